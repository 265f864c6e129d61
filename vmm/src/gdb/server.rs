//! The server: a listening socket, at most one connection, gdbstub's state machine between them.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use event_manager::{EventOps, Events, MutEventSubscriber};
use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine::{self, *};
use gdbstub::stub::{DisconnectReason, GdbStub, GdbStubError, MultiThreadStopReason};
use gdbstub::target::ext::breakpoints::WatchKind;
use vmm_sys_util::epoll::EventSet;

use super::target::{GdbTarget, tid};
use crate::control::{Control, Outcome};
use crate::vcpu::points::Access;
use crate::vcpu::{DebugReason, DebugStop};

type Machine = GdbStubStateMachine<'static, GdbTarget, TcpStream>;
type Stepped = Result<Machine, GdbStubError<std::convert::Infallible, io::Error>>;
type Stop = MultiThreadStopReason<u64>;

/// A gdb that reads no answers for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const CHUNK: usize = 4096;

/// The server in the event loop.
pub struct GdbServer {
    address: String,
    listener: TcpListener,
    target: GdbTarget,
    control: std::sync::Arc<Control>,
    connection: Option<Connection>,
    guest: Guest,
}

/// How the guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guest {
    Alive,
    /// It died on this vCPU, and is looked at.
    Dead(usize),
    /// It was looked at.
    Buried,
}

struct Connection {
    stream: TcpStream,
    machine: Machine,
}

/// Binds the address; port 0 takes any free port. Returns the address bound as well.
pub fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

impl GdbServer {
    /// A server that waits for its first connection.
    pub fn new(listener: TcpListener, target: GdbTarget, control: std::sync::Arc<Control>) -> Self {
        let address = listener.local_addr();
        Self {
            address: address.map_or_else(|error| error.to_string(), |address| address.to_string()),
            listener,
            target,
            control,
            connection: None,
            guest: Guest::Alive,
        }
    }

    /// Where it listens, for people.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a gdb is there.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The guest has died on this vCPU; gdb may look, but nothing runs any more.
    pub fn mourn(&mut self, vcpu: usize) {
        self.guest = Guest::Dead(vcpu);
        if let Some(Connection { stream, machine }) = self.connection.take() {
            let machine = self.tell_death(machine);
            self.connection = machine.ok().map(|machine| Connection { stream, machine });
        }
    }

    /// Whether gdb has looked at the dead guest and gone.
    pub fn has_parted(&self) -> bool {
        self.guest == Guest::Buried
    }

    /// A dead guest stops as soon as it is to run.
    fn tell_death(&mut self, machine: Machine) -> Stepped {
        match (self.guest, machine) {
            (Guest::Dead(vcpu), Running(run)) => {
                let stop = Stop::SignalWithThread {
                    tid: tid(vcpu),
                    signal: Signal::SIGABRT,
                };
                run.report_stop(&mut self.target, stop)
            }
            (_, machine) => Ok(machine),
        }
    }

    /// Tells gdb that the machine has ended.
    pub fn goodbye(&mut self, status: u8) {
        let machine = self.connection.take().map(|connection| connection.machine);
        if let Some(Running(running)) = machine
            && let Err(error) = running.report_stop(&mut self.target, Stop::Exited(status))
        {
            log::debug!("gdb: {error}");
        }
    }

    fn accept(&mut self, ops: &mut EventOps<'_>) {
        let Ok((stream, peer)) = self.listener.accept() else {
            return;
        };
        if self.connection.is_some() {
            log::warn!("gdb at {peer} was turned away: another one is connected");
            return;
        }
        match self.connect(stream) {
            Ok(connection) => {
                let watched = ops.add(Events::new(&connection.stream, EventSet::IN));
                self.connection = watched.is_ok().then_some(connection);
            }
            Err(error) => log::warn!("gdb at {peer}: {error}"),
        }
    }

    /// Stops the guest and starts the protocol.
    fn connect(&mut self, stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        self.target.pause();
        // Stops that nobody asked for are stale.
        self.target.take_stop();
        let machine = GdbStub::new(stream.try_clone()?)
            .run_state_machine(&mut self.target)
            .map_err(io::Error::other)?;
        Ok(Connection { stream, machine })
    }

    fn receive(&mut self, ops: &mut EventOps<'_>) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let mut chunk = [0; CHUNK];
        let count = connection.stream.read(&mut chunk).unwrap_or(0);
        if count == 0 {
            return self.close(&connection.stream, ops);
        }
        let mut machine = connection.machine;
        for &byte in &chunk[..count] {
            let fed = self.feed(machine, byte);
            match fed.and_then(|machine| self.tell_death(machine)) {
                Ok(Disconnected(end)) => {
                    if matches!(end.get_reason(), DisconnectReason::Kill) {
                        self.control.end(Outcome::Quit);
                    }
                    return self.close(&connection.stream, ops);
                }
                Ok(next) => machine = next,
                Err(error) => {
                    log::warn!("gdb: {error}");
                    return self.close(&connection.stream, ops);
                }
            }
        }
        self.connection = Some(Connection {
            stream: connection.stream,
            machine,
        });
    }

    fn feed(&mut self, machine: Machine, byte: u8) -> Stepped {
        let next = match machine {
            Idle(idle) => idle.incoming_data(&mut self.target, byte)?,
            Running(run) => run.incoming_data(&mut self.target, byte)?,
            other => other,
        };
        match next {
            CtrlCInterrupt(interrupt) => {
                self.target.pause();
                // A breakpoint that was hit just before is told instead.
                let stop = self.target.take_stop().map_or(INTERRUPTED, stop_reason);
                interrupt.interrupt_handled(&mut self.target, Some(stop))
            }
            next => Ok(next),
        }
    }

    /// vCPUs have stopped by themselves.
    fn stopped(&mut self, ops: &mut EventOps<'_>) {
        self.target.pause();
        let (stop, connection) = (self.target.take_stop(), self.connection.take());
        match (stop, connection) {
            (
                Some(stop),
                Some(Connection {
                    stream,
                    machine: Running(run),
                }),
            ) => match run.report_stop(&mut self.target, stop_reason(stop)) {
                Ok(machine) => self.connection = Some(Connection { stream, machine }),
                Err(error) => {
                    log::warn!("gdb: {error}");
                    self.close(&stream, ops);
                }
            },
            (_, None) => self.target.release(),
            (_, connection) => self.connection = connection,
        }
    }

    /// The guest goes on without a debugger; another one may come.
    fn close(&mut self, stream: &TcpStream, ops: &mut EventOps<'_>) {
        if let Err(error) = ops.remove(Events::new(stream, EventSet::IN)) {
            log::debug!("gdb: {error}");
        }
        self.target.pause();
        self.target.take_stop();
        self.target.release();
        if let Guest::Dead(_) = self.guest {
            self.guest = Guest::Buried;
        }
    }
}

const INTERRUPTED: Stop = Stop::SignalWithThread {
    tid: std::num::NonZeroUsize::MIN,
    signal: Signal::SIGINT,
};

fn stop_reason(stop: DebugStop) -> Stop {
    let tid = tid(stop.vcpu);
    match stop.reason {
        DebugReason::Breakpoint => Stop::SwBreak(tid),
        DebugReason::Step => Stop::SignalWithThread {
            tid,
            signal: Signal::SIGTRAP,
        },
        DebugReason::Point(point) => {
            let (kind, addr) = match point.access {
                Access::Execute => return Stop::HwBreak(tid),
                Access::Write => (WatchKind::Write, point.address),
                Access::ReadWrite => (WatchKind::ReadWrite, point.address),
            };
            Stop::Watch { tid, kind, addr }
        }
    }
}

impl MutEventSubscriber for GdbServer {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let own: [&dyn AsRawFd; 2] = [&self.listener, self.target.stop_event()];
        // One that stayed for the guest's death.
        let connection = self.connection.iter().map(|it| &it.stream as &dyn AsRawFd);
        for file in own.into_iter().chain(connection) {
            ops.add(Events::new(&file.as_raw_fd(), EventSet::IN))
                .expect("sockets and event files can be polled");
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        if events.fd() == self.listener.as_raw_fd() {
            self.accept(ops);
        } else if events.fd() == self.target.stop_event().as_raw_fd() {
            self.stopped(ops);
        } else {
            self.receive(ops);
        }
    }
}
