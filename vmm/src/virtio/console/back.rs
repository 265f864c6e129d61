//! The console's back: rings on one side, standard input and output on the other.
//!
//! No byte is lost and no vCPU waits: when standard output takes no more, output buffers stay in
//! the ring; when the guest takes no input, standard input is not read. However much the guest writes, the event loop
//! comes to its other work: one call moves a ring full or [`OUTPUT_LIMIT`] bytes.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use event_manager::{EventOps, Events, MutEventSubscriber};
use serde::Serialize;
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::eventfd::EventFd;

use super::{Active, RECEIVE, TRANSMIT, Window};
use crate::console::input::Input;
use crate::console::out::{Buffered, Patience};
use crate::memory::Ram;
use crate::virtio::ring::{Served, again, serve};
use crate::virtio::{Interrupt, Segments, Slot};

/// Output is taken from the ring while less than this waits for standard output.
const OUTPUT_LIMIT: usize = 64 << 10;

/// Counters of the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConsoleSnapshot {
    /// Bytes that the guest wrote and the host took.
    pub bytes_out: u64,
    /// Bytes that the guest was given.
    pub bytes_in: u64,
    /// Notifications of the guest, and of the console's own for what one call left.
    pub notifications: u64,
    /// Interrupts raised.
    pub interrupts: u64,
}

/// The back.
pub struct ConsoleBack {
    slot: Slot<Active>,
    ram: Arc<Ram>,
    interrupt: Arc<Interrupt>,
    window: Arc<Window>,
    notified: [EventFd; 2],
    input: Input,
    out: Buffered,
    counters: ConsoleSnapshot,
}

impl ConsoleBack {
    /// A back between these ends; `notified` are the queues' events.
    pub fn new(
        slot: Slot<Active>,
        ram: Arc<Ram>,
        interrupt: Arc<Interrupt>,
        notified: [EventFd; 2],
        (input, out): (Input, Buffered),
    ) -> Self {
        let window = Arc::new(Window::new(input.window_size(), interrupt.clone()));
        Self {
            slot,
            ram,
            interrupt,
            window,
            notified,
            input,
            out,
            counters: ConsoleSnapshot::default(),
        }
    }

    /// What the front shows of the window.
    pub fn window(&self) -> Arc<Window> {
        self.window.clone()
    }

    /// Moves a piece of output as far as standard output takes it. True when nothing waits for room.
    pub fn transmit(&mut self) -> bool {
        let more = self.take_output();
        let drained = self.out.drain();
        if more && drained {
            again(&self.notified[TRANSMIT]);
        }
        drained
    }

    /// Puts out everything that the guest made available as long as patience lasts. For the end.
    pub fn flush(&mut self, patience: Patience) {
        while self.take_output() {
            if !self.out.flush(patience) {
                return;
            }
        }
        self.out.flush(patience);
    }

    /// Reads standard input once. Nobody tells the monitor that a pseudo-terminal's window has changed, so it
    /// asks when something is typed.
    pub fn input_ready(&mut self) {
        self.look_at_window();
        self.input.fill();
    }

    /// Tells the driver the window's size if it has changed.
    pub fn look_at_window(&self) {
        self.window.resize(self.input.window_size());
    }

    /// Gives input to the guest as far as it has buffers and there is input.
    pub fn receive(&mut self) {
        let mut slot = self.slot.lock();
        let Some(active) = slot.as_mut() else { return };
        let Active {
            activation,
            end_told,
            ..
        } = active;
        let Some(queue) = activation.queues.get_mut(RECEIVE) else {
            return;
        };
        let (input, ram) = (&mut self.input, self.ram.as_ref());
        let mut given = 0;
        let more = serve(queue, ram, &self.interrupt, |buffers| {
            if input.is_empty() {
                let tell = input.has_ended() && !*end_told;
                *end_told |= tell;
                return if tell { Served::Used(0) } else { Served::Later };
            }
            let count = give(input, ram, &buffers.writable);
            given += u64::from(count);
            Served::Used(count)
        });
        self.counters.bytes_in += given;
        if more {
            again(&self.notified[RECEIVE]);
        }
    }

    /// The counters now.
    pub fn counters(&self) -> ConsoleSnapshot {
        ConsoleSnapshot {
            bytes_out: self.out.written,
            interrupts: self.interrupt.raised(),
            ..self.counters
        }
    }

    /// Takes output from the ring up to the limits. True if one of them stopped it.
    fn take_output(&mut self) -> bool {
        let mut slot = self.slot.lock();
        let Some(Active {
            activation, taken, ..
        }) = slot.as_mut()
        else {
            return false;
        };
        let Some(queue) = activation.queues.get_mut(TRANSMIT) else {
            return false;
        };
        let (ram, out) = (self.ram.as_ref(), &mut self.out);
        let mut full = false;
        let more = serve(queue, ram, &self.interrupt, |buffers| {
            let served = take(out, ram, buffers.readable, taken);
            full = served == Served::Later;
            served
        });
        more || full
    }
}

/// Takes what fits of an output buffer of which `taken` bytes were taken before.
fn take(out: &mut Buffered, ram: &Ram, mut rest: Segments, taken: &mut u64) -> Served {
    rest.take_front((*taken).min(rest.length()));
    let room = OUTPUT_LIMIT.saturating_sub(out.pending()) as u64;
    let piece = rest.take_front(room.min(rest.length())).unwrap_or_default();
    let mut bytes = vec![0; piece.length() as usize];
    if let Err(error) = piece.read(ram, &mut bytes) {
        // What is not RAM holds no output, nor does what comes behind it.
        log::warn!("console output: {error}");
        *taken = 0;
        return Served::Used(0);
    }
    out.push(&bytes);
    if rest.length() > 0 {
        *taken += piece.length();
        return Served::Later;
    }
    *taken = 0;
    Served::Used(0)
}

/// Moves input to the guest's buffers; returns how many bytes.
fn give(input: &mut Input, ram: &Ram, buffers: &Segments) -> u32 {
    let wanted = usize::try_from(buffers.length()).unwrap_or(usize::MAX);
    let bytes = input.peek(wanted);
    match buffers.write(ram, bytes) {
        Ok(count) => {
            input.consume(count);
            count as u32
        }
        Err(error) => {
            log::warn!("console input: {error}");
            0
        }
    }
}

impl MutEventSubscriber for ConsoleBack {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        for event in &self.notified {
            ops.add(Events::new(event, EventSet::IN))
                .expect("event files can be polled");
        }
        self.input.watch(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        if events.fd() == self.input.as_raw_fd() {
            self.input_ready();
        }
        for event in &self.notified {
            // `WouldBlock` if there was nothing.
            self.counters.notifications +=
                u64::from(event.as_raw_fd() == events.fd() && event.read().is_ok());
        }
        self.receive();
        self.input.watch(ops);
        self.transmit();
        if let Err(error) = self.out.watch(ops) {
            log::error!("cannot watch standard output: {error}");
        }
    }
}
