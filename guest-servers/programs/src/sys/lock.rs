//! Advisory locks: `fcntl` and `flock`, and the interval timer that ends a wait for one.

use std::io;
use std::time::Duration;

use super::check;

/// What `struct flock` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub kind: i32,
    /// What `start` counts from: `SEEK_*`.
    pub whence: i32,
    /// First byte.
    pub start: i64,
    /// Bytes; 0: to the end.
    pub length: i64,
    /// Who has it.
    pub pid: i32,
}

impl Record {
    /// `length` bytes from `start` on.
    pub const fn new(kind: i32, start: i64, length: i64) -> Record {
        Record {
            kind,
            whence: libc::SEEK_SET,
            start,
            length,
            pid: 0,
        }
    }
}

/// `fcntl` with a command about locks; what it leaves in the structure.
pub fn record(fd: i32, command: i32, asked: Record) -> io::Result<Record> {
    let mut lock = libc::flock {
        l_type: asked.kind as i16,
        l_whence: asked.whence as i16,
        l_start: asked.start,
        l_len: asked.length,
        l_pid: asked.pid,
    };
    // SAFETY: the structure outlives the call.
    check(unsafe { libc::fcntl(fd, command, &raw mut lock) })?;
    Ok(Record {
        kind: lock.l_type.into(),
        whence: lock.l_whence.into(),
        start: lock.l_start,
        length: lock.l_len,
        pid: lock.l_pid,
    })
}

/// `fcntl` with a command about locks and a bad pointer.
pub fn record_nowhere(fd: i32, command: i32) -> io::Result<()> {
    // SAFETY: the system checks the address, which is the point.
    check(unsafe { libc::fcntl(fd, command, 8) }).map(drop)
}

/// `flock`.
pub fn whole(fd: i32, how: i32) -> io::Result<()> {
    // SAFETY: two numbers.
    check(unsafe { libc::flock(fd, how) }).map(drop)
}

/// Another descriptor for the same open file.
pub fn duplicate(fd: i32) -> io::Result<i32> {
    // SAFETY: a number.
    check(unsafe { libc::dup(fd) })
}

/// `dup2`.
pub fn replace(from: i32, to: i32) -> io::Result<()> {
    // SAFETY: two numbers; the callers own both descriptors.
    check(unsafe { libc::dup2(from, to) }).map(drop)
}

/// SIGALRM again and again; zero: no more.
pub fn alarm_every(interval: Duration) -> io::Result<()> {
    let time = libc::timeval {
        tv_sec: interval.as_secs() as i64,
        tv_usec: interval.subsec_micros().into(),
    };
    let timer = libc::itimerval {
        it_interval: time,
        it_value: time,
    };
    // SAFETY: a structure that outlives the call.
    check(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) })
        .map(drop)
}

/// A byte that processes share, where one tells the other.
pub struct Shared(usize);

impl Shared {
    /// A page of them, zero.
    pub fn new() -> io::Result<Shared> {
        let how = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        super::memory::map(0, super::memory::PAGE, (prot, how), -1, 0).map(Shared)
    }

    /// Its value.
    pub fn get(&self) -> u8 {
        super::memory::peek(self.0)
    }

    /// Sets it.
    pub fn set(&self, value: u8) {
        super::memory::poke(self.0, value);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Its own mapping: cannot fail.
        let _ = super::memory::unmap(self.0, super::memory::PAGE);
    }
}
