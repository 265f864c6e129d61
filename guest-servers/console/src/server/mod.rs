//! State, dispatch, and what an interrupt sets going.

mod control;
mod device;
mod input;
mod transfer;

pub use device::Device;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, ready};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::SIGWINCH;
use ferrix_console::discipline::Terminal;
use ferrix_console::uart::Input;
use ferrix_proto::file::kind;
use ferrix_proto::{file, tty};
use ferrix_rt::connections::Connections;
use ferrix_rt::log;
use ferrix_rt::service::{Caller, Errno, Outcome, Reply, Request, SESSION_RIGHTS, Service};
use ferrix_rt::sys::{ipc, signal, system};
use linux_raw_sys::errno::{EBADF, ENODEV, ENOSYS, ENOTDIR, ESPIPE};
use transfer::{Reader, Writer};

/// Badge of the device's interrupt; sessions number from 1.
const IRQ: u32 = 0x7fff_fff0;
/// Badge of the line that tells of log text.
const LOG: u32 = 0x7fff_fff2;
/// Badge of the timer of raw reads with a time-out.
const TIMER: u32 = 0x7fff_fff1;
/// Output that may wait for the device before writers wait.
const OUTPUT_MAX: usize = 64 * 1024;
/// `SI_KERNEL`.
const FROM_KERNEL: i32 = 0x80;

/// Size of the window (`struct winsize`): rows, columns, and pixels, which nobody knows.
type WindowSize = [u16; 4];

/// The server.
pub struct Server {
    port: Handle,
    resource: Handle,
    device: Device,
    /// Whether the device may have input that it was not asked for.
    input: Input,
    /// Input that the terminal has no room for.
    held: VecDeque<u8>,
    /// The device says that what is held is the last, and the terminal does not know yet.
    ended: bool,
    terminal: Terminal,
    window_size: WindowSize,
    /// The session whose terminal it is, and its foreground group; 0: none.
    session: u32,
    foreground: u32,
    /// Open descriptions: status flags by badge - 1.
    sessions: Vec<Option<u32>>,
    readers: VecDeque<Reader>,
    writers: VecDeque<Writer>,
    /// Who waits for all output to go.
    drainers: Vec<Caller>,
    connections: Connections,
    /// Readiness as last signalled.
    ready: u32,
    was_read: bool,
}

impl Server {
    /// A terminal on the device.
    pub fn new(port: Handle, resource: Handle, device: Device) -> Server {
        let mut server = Server {
            port,
            resource,
            device,
            input: Input::More,
            held: VecDeque::new(),
            ended: false,
            terminal: Terminal::default(),
            window_size: [0; 4],
            session: 0,
            foreground: 0,
            sessions: Vec::new(),
            readers: VecDeque::new(),
            writers: VecDeque::new(),
            drainers: Vec::new(),
            connections: Connections::new(port),
            ready: ready::WRITABLE,
            was_read: false,
        };
        server.ask_window_size();
        server
    }

    fn open(&mut self, request: &Request) -> Outcome {
        let free = self
            .sessions
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.sessions.len());
        if free == self.sessions.len() {
            self.sessions.push(None);
        }
        let handle = ipc::session_create(self.port, free as u32 + 1, self.ready)?;
        self.sessions[free] = Some(request.words[0] as u32);
        Ok(Some(
            Reply::value(0)
                .with_words([kind::TERMINAL, 0, 0])
                .with_handle(handle, SESSION_RIGHTS),
        ))
    }

    fn flags(&mut self, badge: u32) -> Result<&mut u32, Errno> {
        let index = (badge as usize).checked_sub(1);
        let slot = index.and_then(|index| self.sessions.get_mut(index));
        slot.and_then(Option::as_mut).ok_or(EBADF as Errno)
    }

    /// Sends a signal to the foreground group.
    fn signal(&self, signo: u32) {
        if self.foreground != 0 {
            let info = SignalInfo {
                signo,
                code: FROM_KERNEL,
                ..SignalInfo::default()
            };
            // A group without processes is no error of the terminal's.
            let _ = signal::send(signal::Target::Process, -(self.foreground as i32), &info);
        }
    }

    fn ask_window_size(&mut self) {
        if let Some(size) = self.device.window_size() {
            self.window_size = [size.rows, size.columns, 0, 0];
        }
    }

    fn window_changed(&mut self) {
        self.ask_window_size();
        self.signal(SIGWINCH);
    }

    /// Puts out what the kernel has logged since it gave the UART away.
    fn put_out_log(&mut self) {
        let mut text = Vec::new();
        let mut piece = [0; 512];
        while let Ok(count @ 1..) = system::log_take(&mut piece, self.resource) {
            text.extend_from_slice(&piece[..count]);
        }
        self.terminal.announce(&text);
        self.pump();
    }

    fn drain(&mut self, request: &Request) -> Outcome {
        self.transmit();
        if self.terminal.output_len() == 0 || self.terminal.is_stopped() {
            return Ok(Some(Reply::value(0)));
        }
        self.drainers.push(request.caller);
        Ok(None)
    }

    /// Moves what can be moved: output to the device, input to readers, writers' bytes to the output.
    fn pump(&mut self) {
        loop {
            self.transmit();
            let progress = self.serve_writers() | self.serve_readers() | self.take_input();
            if !progress {
                break;
            }
        }
        if self.terminal.output_len() == 0 {
            for caller in core::mem::take(&mut self.drainers) {
                let _ = caller.reply(&Reply::value(0));
            }
        }
        self.tell_readiness();
    }

    fn transmit(&mut self) {
        loop {
            let pending = self.terminal.pending_output();
            if pending.is_empty() {
                return;
            }
            match self.device.transmit(pending) {
                Ok(0) => return,
                Ok(taken) => {
                    self.terminal.output_taken(taken);
                    if self.device.saw_input() {
                        self.input = Input::More;
                        self.take_input();
                    }
                }
                Err(fault) => {
                    log!("console", "output: {fault}");
                    return;
                }
            }
        }
    }

    fn tell_readiness(&mut self) {
        let mut now = 0;
        if self.terminal.is_readable() {
            now |= ready::READABLE;
        }
        if self.terminal.output_len() < OUTPUT_MAX {
            now |= ready::WRITABLE;
        }
        let (set, clear) = (now & !self.ready, self.ready & !now);
        if set | clear == 0 {
            return;
        }
        self.ready = now;
        for (badge, _) in (1..)
            .zip(&self.sessions)
            .filter(|(_, flags)| flags.is_some())
        {
            let _ = ipc::session_signal(self.port, badge, set, clear);
        }
    }
}

impl Service for Server {
    fn request(&mut self, request: &Request) -> Outcome {
        match request.head.operation() {
            tty::OPEN => self.open(request),
            tty::DRAIN => self.drain(request),
            file::READ => self.read(request),
            file::WRITE => self.write(request),
            file::IOCTL => self.ioctl(request),
            file::GET_ATTRIBUTES => self.attributes(request),
            file::SET_ATTRIBUTES => Ok(Some(Reply::value(0))),
            file::GET_FLAGS => self.get_flags(request),
            file::SET_FLAGS => self.set_flags(request),
            file::SEEK => Err(ESPIPE as Errno),
            file::SYNC => Err(linux_raw_sys::errno::EINVAL as Errno),
            file::READ_DIRECTORY => Err(ENOTDIR as Errno),
            file::GET_OBJECT => Err(ENODEV as Errno),
            _ => Err(ENOSYS as Errno),
        }
    }

    fn closed(&mut self, badge: u32) {
        if let Some(slot) = (badge as usize)
            .checked_sub(1)
            .and_then(|index| self.sessions.get_mut(index))
        {
            *slot = None;
        }
    }

    fn notified(&mut self, badge: u32, _count: u64) {
        match badge {
            IRQ => self.interrupt(),
            LOG => self.put_out_log(),
            TIMER => {
                let _ = ipc::port_timer(self.port, TIMER, FOREVER);
                self.time_is_up();
            }
            _ => {}
        }
    }

    fn cancelled(&mut self, caller: Caller) {
        self.cancel(caller);
    }

    fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }
}
