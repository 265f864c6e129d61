//! Reading and writing, and who waits for them.

use super::{OUTPUT_MAX, Server, TIMER};
use alloc::vec::Vec;
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::{SIGTTIN, SIGTTOU};
use ferrix_console::discipline::Readiness;
use ferrix_machine::milestone;
use ferrix_proto::file::io;
use ferrix_rt::clock;
use ferrix_rt::service::{Caller, Errno, Outcome, Reply, Request};
use ferrix_rt::sys::{ipc, process, signal, system};
use linux_raw_sys::errno::{EAGAIN, EBADF, EINTR};
use linux_raw_sys::general as linux;

/// Most bytes of one read or write.
const PIECE: usize = 64 * 1024;
/// `VTIME` counts these.
const TENTH_NS: u64 = 100_000_000;

/// Somebody who waits for input.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    request: Request,
}

/// Somebody who waits for room.
pub(super) struct Writer {
    request: Request,
    bytes: Vec<u8>,
    done: usize,
}

impl Server {
    pub(super) fn read(&mut self, request: &Request) -> Outcome {
        let flags = *self.flags(request.badge)?;
        if flags & linux::O_ACCMODE == linux::O_WRONLY {
            return Err(EBADF as Errno);
        }
        if !core::mem::replace(&mut self.was_read, true) {
            system::milestone(milestone::PROMPT);
        }
        self.check_foreground(request, SIGTTIN)?;
        if self.input_waits() {
            // Also what came before the interrupt was bound.
            self.pump();
        }
        let waits = flags & linux::O_NONBLOCK == 0 && request.words[1] & io::NON_BLOCKING == 0;
        let timed = !self.terminal.termios().has_local(linux::ICANON) && self.terminal.time() > 0;
        if timed && waits && self.terminal.readable_len() == 0 {
            self.arm_timer();
            self.readers.push_back(Reader { request: *request });
            return Ok(None);
        }
        match self.terminal.read(wanted(request)) {
            Readiness::Bytes(bytes) => {
                if self.input_waits() {
                    self.pump();
                }
                let reply = request.answer_bytes(&self.connections, &bytes)?;
                self.tell_readiness();
                Ok(Some(reply))
            }
            Readiness::Wait if !waits => Err(EAGAIN as Errno),
            Readiness::Wait => {
                self.readers.push_back(Reader { request: *request });
                Ok(None)
            }
        }
    }

    pub(super) fn write(&mut self, request: &Request) -> Outcome {
        let flags = *self.flags(request.badge)?;
        if flags & linux::O_ACCMODE == linux::O_RDONLY {
            return Err(EBADF as Errno);
        }
        if self.terminal.termios().has_local(linux::TOSTOP) {
            self.check_foreground(request, SIGTTOU)?;
        }
        let bytes = request.payload(&self.connections, PIECE)?;
        if self.terminal.output_len() >= OUTPUT_MAX || !self.writers.is_empty() {
            let waits = flags & linux::O_NONBLOCK == 0 && request.words[1] & io::NON_BLOCKING == 0;
            if !waits {
                return Err(EAGAIN as Errno);
            }
            self.writers.push_back(Writer {
                request: *request,
                bytes,
                done: 0,
            });
            self.pump();
            return Ok(None);
        }
        self.terminal.write(&bytes);
        self.transmit();
        self.tell_readiness();
        Ok(Some(Reply::value(bytes.len() as u64)))
    }

    /// A process outside the foreground group is stopped when it uses its terminal (POSIX XBD 11.1.4).
    fn check_foreground(&self, request: &Request, signo: u32) -> Result<(), Errno> {
        if self.foreground == 0 {
            return Ok(());
        }
        let pid = request.caller.pid;
        let (group, session) = (process::group(pid)?, process::session(pid)?);
        if group == self.foreground || session != self.session {
            return Ok(());
        }
        let info = SignalInfo {
            signo,
            code: super::FROM_KERNEL,
            ..SignalInfo::default()
        };
        let _ = signal::send(signal::Target::Process, -(group as i32), &info);
        Err(EINTR as Errno)
    }

    /// Gives input to those who wait; true if anybody got some.
    pub(super) fn serve_readers(&mut self) -> bool {
        let mut progress = false;
        while let Some(&Reader { request }) = self.readers.front() {
            let Readiness::Bytes(bytes) = self.terminal.read(wanted(&request)) else {
                break;
            };
            if bytes.is_empty()
                && self.terminal.time() > 0
                && !self.terminal.termios().has_local(linux::ICANON)
            {
                // VMIN is 0: the timer ends this wait.
                break;
            }
            self.readers.pop_front();
            self.hand_over(&request, &bytes);
            progress = true;
        }
        if !progress
            && !self.readers.is_empty()
            && self.terminal.readable_len() > 0
            && self.terminal.time() > 0
        {
            self.arm_timer();
        }
        progress
    }

    fn hand_over(&mut self, request: &Request, bytes: &[u8]) {
        let reply = request
            .answer_bytes(&self.connections, bytes)
            .unwrap_or_else(Reply::error);
        if request.caller.reply(&reply).is_err() {
            self.terminal.unread(bytes);
        }
    }

    /// Takes output of those who wait; true if there was room for any.
    pub(super) fn serve_writers(&mut self) -> bool {
        let mut progress = false;
        while self.terminal.output_len() < OUTPUT_MAX {
            let Some(mut writer) = self.writers.pop_front() else {
                break;
            };
            self.terminal.write(&writer.bytes);
            writer.done += writer.bytes.len();
            let _ = writer
                .request
                .caller
                .reply(&Reply::value(writer.done as u64));
            progress = true;
        }
        progress
    }

    fn arm_timer(&self) {
        let deadline = clock::monotonic_ns() + u64::from(self.terminal.time()) * TENTH_NS;
        let _ = ipc::port_timer(self.port, TIMER, deadline);
    }

    /// A raw read waited long enough: it gets what there is.
    pub(super) fn time_is_up(&mut self) {
        if let Some(Reader { request }) = self.readers.pop_front()
            && let Readiness::Bytes(bytes) = self.terminal.take(wanted(&request))
        {
            self.hand_over(&request, &bytes);
        }
        self.pump();
    }

    /// Ends the wait of a caller.
    pub(super) fn cancel(&mut self, caller: Caller) {
        if let Some(at) = self
            .readers
            .iter()
            .position(|reader| reader.request.caller == caller)
        {
            self.readers.remove(at);
        } else if let Some(at) = self
            .writers
            .iter()
            .position(|writer| writer.request.caller == caller)
        {
            self.writers.remove(at);
        } else if let Some(at) = self.drainers.iter().position(|waits| *waits == caller) {
            self.drainers.remove(at);
        } else {
            // It was answered in the meantime.
            return;
        }
        let _ = caller.reply(&Reply::error(EINTR as Errno));
    }
}

fn wanted(request: &Request) -> usize {
    (request.head.length() as usize).min(PIECE)
}
