//! Standard input on its way to the guest.
//!
//! Terminals and pipes are watched by the event loop; a regular file is read when the guest wants
//! bytes. At the end of input nothing is watched or read any more.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use event_manager::{EventOps, Events};
use rustix::fs::{FileType, fstat};
use vmm_sys_util::epoll::EventSet;

use super::escape::{self, Escape, Typed};
use super::terminal::{self, WindowSize};
use crate::control::{Control, Outcome};

/// Input is read while less than this waits for the guest.
const LIMIT: usize = 64 << 10;
const CHUNK: usize = 4096;

/// How the event loop knows that there is input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Not asked at the moment, because enough waits.
    Off,
    /// Asked.
    On,
    /// Cannot be asked (a regular file): there always is.
    Always,
    /// There is no more; the event loop may still watch.
    Ended,
    /// There is no more, and nobody watches.
    Closed,
}

/// Standard input.
#[derive(Debug)]
pub struct Input {
    source: File,
    watch: Watch,
    waiting: VecDeque<u8>,
    /// Set for a terminal only: other input is the guest's byte for byte.
    escape: Option<Escape>,
    control: Arc<Control>,
    /// Standard input; otherwise a connection or a pseudo-terminal of the monitor's own.
    is_stdio: bool,
    /// The other end of a pseudo-terminal, which must not hang up.
    _keep: Option<OwnedFd>,
}

impl Input {
    /// A stream that does not block, without escapes. `keep` stays open as long as it.
    pub fn of(source: File, keep: Option<OwnedFd>, control: Arc<Control>) -> Self {
        Self {
            source,
            watch: Watch::Off,
            waiting: VecDeque::new(),
            escape: None,
            control,
            is_stdio: false,
            _keep: keep,
        }
    }

    /// Opens the stream behind a descriptor such as standard input. `control` is told of Ctrl-A x.
    pub fn open(stream: BorrowedFd<'_>, control: Arc<Control>) -> io::Result<Self> {
        let escape = stream.is_terminal().then(Escape::default);
        let kind = FileType::from_raw_mode(fstat(stream)?.st_mode);
        let reopened = match kind {
            FileType::Fifo | FileType::CharacterDevice => reopen(stream),
            _ => None,
        };
        let source = match reopened {
            Some(source) => source,
            None => File::from(stream.try_clone_to_owned()?),
        };
        Ok(Self {
            escape,
            is_stdio: true,
            ..Self::of(source, None, control)
        })
    }

    /// The size of the window behind it.
    pub fn window_size(&self) -> WindowSize {
        match self.is_stdio {
            true => terminal::window_size(),
            false => terminal::size_of(&self.source),
        }
    }

    /// Asks the event loop to tell of input if there is room for it, and else not to.
    pub fn watch(&mut self, ops: &mut EventOps<'_>) {
        let events = Events::new(&self.source, EventSet::IN);
        let room = self.waiting.len() < LIMIT;
        match (self.watch, room) {
            (Watch::Off, true) => {
                // Regular files and some devices cannot be watched; they never block either.
                self.watch = ops.add(events).map_or(Watch::Always, |()| Watch::On);
            }
            (Watch::On, false) => {
                self.watch = ops.remove(events).map_or(Watch::On, |()| Watch::Off);
            }
            (Watch::Ended, _) => {
                // Fails if it was not watched.
                let _ = ops.remove(events);
                self.watch = Watch::Closed;
            }
            _ => {}
        }
    }

    /// Reads once what there is.
    pub fn fill(&mut self) {
        let mut chunk = [0; CHUNK];
        match (&self.source).read(&mut chunk) {
            Ok(0) => self.watch = Watch::Ended,
            Ok(count) => self.take(&chunk[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                log::info!("standard input: {error}");
                self.watch = Watch::Ended;
            }
        }
    }

    /// Whether there is nothing to give.
    pub fn is_empty(&mut self) -> bool {
        if self.waiting.is_empty() && self.watch == Watch::Always {
            self.fill();
        }
        self.waiting.is_empty()
    }

    /// Whether there is nothing to give and never will be. A terminal's end is nobody's end of input: it
    /// hangs up, which ends the monitor.
    pub fn has_ended(&self) -> bool {
        self.waiting.is_empty()
            && self.escape.is_none()
            && matches!(self.watch, Watch::Ended | Watch::Closed)
    }

    /// The next bytes, at most `most`; they stay until [`Self::consume`].
    pub fn peek(&mut self, most: usize) -> &[u8] {
        let all = self.waiting.make_contiguous();
        &all[..all.len().min(most)]
    }

    /// The guest has the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.waiting.drain(..count);
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(keys) = &mut self.escape else {
            self.waiting.extend(bytes);
            return;
        };
        for &byte in bytes {
            match keys.typed(byte) {
                Typed::Nothing => {}
                Typed::One(byte) => self.waiting.push_back(byte),
                Typed::Escaped(byte) => self.waiting.extend([escape::PREFIX, byte]),
                Typed::Help => eprint!("{}", escape::HELP),
                Typed::Quit => self.control.end(Outcome::Quit),
                Typed::Echo(text, key) => eprint!("{text}{}", key.unwrap_or_default()),
                Typed::Command(line) => self.control.ask(line),
            }
        }
    }
}

impl AsRawFd for Input {
    fn as_raw_fd(&self) -> RawFd {
        self.source.as_raw_fd()
    }
}

fn reopen(stream: BorrowedFd<'_>) -> Option<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", stream.as_fd().as_raw_fd()))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn input(file: &File) -> Input {
        Input::open(file.as_fd(), Arc::new(Control::new().unwrap())).unwrap()
    }

    #[test]
    fn a_file_is_read_when_bytes_are_wanted() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"\x01xabc").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut input = input(&file);
        input.watch = Watch::Always;
        assert!(!input.is_empty());
        assert_eq!(
            input.peek(100),
            b"\x01xabc",
            "no escapes outside of a terminal"
        );
        input.consume(5);
        assert!(!input.has_ended(), "nobody knows yet");
        assert!(input.is_empty());
        assert_eq!(input.watch, Watch::Ended);
        assert!(input.is_empty() && input.has_ended());
    }

    #[test]
    fn a_pseudo_terminal_has_a_window_of_its_own() {
        use rustix::pty::{OpenptFlags, openpt};
        use rustix::termios::{Winsize, tcsetwinsize};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let size = Winsize {
            ws_row: 33,
            ws_col: 99,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let control = Arc::new(Control::new().unwrap());
        let seen = Input::of(File::from(master), None, control).window_size();
        assert_eq!((seen.columns, seen.rows), (99, 33));
    }

    #[test]
    fn an_empty_pipe_does_not_block_and_a_closed_one_ends() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut input = input(&File::from(reader));
        input.fill();
        assert_eq!(input.watch, Watch::Off);
        drop(writer);
        input.fill();
        assert_eq!(input.watch, Watch::Ended);
    }
}
