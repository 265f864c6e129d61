//! Output that never blocks: standard output and standard error.
//!
//! `O_NONBLOCK` belongs to the open file, which a shell shares with us; so terminals and pipes are
//! opened a second time. Regular files do not block. What cannot be reopened is polled first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use event_manager::{EventOps, Events, Result as EventResult};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use vmm_sys_util::epoll::EventSet;

/// A polled stream takes at least this much without blocking.
const POLLED_CHUNK: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Writes return `WouldBlock` by themselves, or never block.
    Direct,
    /// Has to be polled before each write.
    Polled,
    /// The reader is gone: bytes are dropped.
    Broken,
}

/// A non-blocking end of a stream.
#[derive(Debug)]
pub struct Out {
    file: File,
    kind: Kind,
}

impl Out {
    /// Opens the stream behind a descriptor such as standard output.
    pub fn open(stream: BorrowedFd<'_>) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(fstat(stream)?.st_mode);
        if matches!(kind, FileType::Fifo | FileType::CharacterDevice) {
            let again = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open(format!("/proc/self/fd/{}", stream.as_raw_fd()));
            if let Ok(file) = again {
                return Ok(Self::from_file(file));
            }
        }
        let file = File::from(stream.try_clone_to_owned()?);
        let regular = kind == FileType::RegularFile;
        Ok(Self {
            file,
            kind: if regular { Kind::Direct } else { Kind::Polled },
        })
    }

    /// Uses a file as it is; it must be non-blocking or regular.
    pub fn from_file(file: impl Into<OwnedFd>) -> Self {
        Self {
            file: File::from(file.into()),
            kind: Kind::Direct,
        }
    }

    /// Writes what goes without blocking. `WouldBlock` if nothing does.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = match self.kind {
            Kind::Direct => bytes,
            Kind::Polled if writable(self.file.as_fd(), Some(&ZERO)) => {
                &bytes[..bytes.len().min(POLLED_CHUNK)]
            }
            Kind::Polled => return Err(io::ErrorKind::WouldBlock.into()),
            Kind::Broken => return Ok(bytes.len()),
        };
        loop {
            match self.file.write(chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) => return self.broken(&error, bytes.len()),
                Ok(written) => return Ok(written),
            }
        }
    }

    /// Waits until a write goes, up to `patience`. False if it does not.
    fn wait_writable(&self, patience: Patience) -> bool {
        self.kind == Kind::Broken || writable(self.file.as_fd(), patience.left().as_ref())
    }

    /// The reader is gone or the device full: the guest goes on, its output is dropped.
    fn broken(&mut self, error: &io::Error, length: usize) -> io::Result<usize> {
        self.kind = Kind::Broken;
        log::warn!("cannot write the guest's output: {error}; it is dropped from here on");
        Ok(length)
    }
}

impl AsRawFd for Out {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.file.as_raw_fd()
    }
}

const ZERO: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Waits up to `limit` for room; errors count as room, since a write then reports them.
fn writable(stream: BorrowedFd<'_>, limit: Option<&Timespec>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
    loop {
        match poll(&mut fds, limit) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
            Ok(ready) => return ready > 0,
        }
    }
}

/// How long to wait for a reader that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes: no byte of the guest is lost.
    Endless,
    /// Until then: the machine was ended from outside.
    Until(Instant),
}

impl Patience {
    /// What is left of it, as poll wants it.
    fn left(self) -> Option<Timespec> {
        match self {
            Self::Endless => None,
            Self::Until(end) => {
                let left = end.saturating_duration_since(Instant::now());
                left.try_into().ok()
            }
        }
    }
}

/// Bytes on their way out, in order.
#[derive(Debug)]
pub struct Buffered {
    out: Out,
    pending: Vec<u8>,
    /// The event loop tells of room.
    watched: bool,
    /// Bytes handed over to the host.
    pub written: u64,
}

impl Buffered {
    /// Nothing pending.
    pub fn new(out: Out) -> Self {
        Self {
            out,
            pending: Vec::new(),
            watched: false,
            written: 0,
        }
    }

    /// Adds bytes behind those pending.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Bytes not yet handed over.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Hands over what goes without blocking; true when nothing is left.
    pub fn drain(&mut self) -> bool {
        let mut done = 0;
        while done < self.pending.len() {
            match self.out.write(&self.pending[done..]) {
                Ok(written) => done += written,
                Err(_) => break,
            }
        }
        self.written += done as u64;
        self.pending.drain(..done);
        self.pending.is_empty()
    }

    /// Hands over everything as long as patience lasts. For the end. True when nothing is left.
    pub fn flush(&mut self, patience: Patience) -> bool {
        while !self.drain() {
            if !self.out.wait_writable(patience) {
                return false;
            }
        }
        true
    }
}

impl Buffered {
    /// Has the event loop tell of room if something is pending, and else not.
    pub fn watch(&mut self, ops: &mut EventOps<'_>) -> EventResult<()> {
        let wanted = !self.pending.is_empty();
        let room = Events::new(&self.out, EventSet::OUT);
        match (wanted, self.watched) {
            (true, false) => ops.add(room)?,
            (false, true) => ops.remove(room)?,
            _ => {}
        }
        self.watched = wanted;
        Ok(())
    }
}

impl AsRawFd for Buffered {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.out.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    #[test]
    fn a_full_pipe_keeps_bytes_and_order() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut out = Buffered::new(Out::open(writer.as_fd()).unwrap());
        let sent: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        for chunk in sent.chunks(1000) {
            out.push(chunk);
            out.drain();
        }
        assert!(out.pending() > 0, "the pipe holds less than was sent");
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            File::from(reader).read_to_end(&mut got).unwrap();
            got
        });
        assert!(!out.flush(Patience::Until(Instant::now())) || out.pending() == 0);
        assert!(out.flush(Patience::Endless));
        assert_eq!(out.written, sent.len() as u64);
        drop((out, writer));
        assert!(reading.join().unwrap() == sent);
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut out = Buffered::new(Out::open(writer.as_fd()).unwrap());
        drop(reader);
        out.push(b"lost");
        assert!(out.drain());
        assert!(out.flush(Patience::Endless));
    }
}
