//! File descriptors by number, as a shell moves them about.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::check;

/// A file descriptor that somebody else owns: copying or dropping it changes nothing. Using a
/// number that is not open is an error (`EBADF`), never undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub RawFd);

impl Fd {
    /// Standard input.
    pub const STDIN: Self = Self(0);
    /// Standard output.
    pub const STDOUT: Self = Self(1);
    /// Standard error.
    pub const STDERR: Self = Self(2);

    /// Whether it is a terminal.
    pub fn is_terminal(self) -> bool {
        // SAFETY: isatty takes any number.
        unsafe { libc::isatty(self.0) == 1 }
    }

    /// Makes `self` another name of `source`, closing what it was.
    pub fn replace_with(self, source: Self) -> io::Result<()> {
        // SAFETY: dup2 takes any two numbers. Only numbers that no Rust value owns are
        // replaced: 0 to 9 belong to the shell's user, owned ones are kept above.
        check(unsafe { libc::dup2(source.0, self.0) }).map(drop)
    }

    /// A copy with a number of 10 or more that exec closes, so that it can be put back later.
    pub fn save(self) -> io::Result<OwnedFd> {
        // SAFETY: fcntl(F_DUPFD_CLOEXEC) takes any number.
        let copy = check(unsafe { libc::fcntl(self.0, libc::F_DUPFD_CLOEXEC, 10) })?;
        // SAFETY: the descriptor was just made and nothing else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(copy) })
    }

    /// Closes the number. Only for numbers that no Rust value owns.
    pub fn close(self) {
        // SAFETY: close takes any number; the caller's redirections own 0 to 9.
        unsafe { libc::close(self.0) };
    }
}

/// `lseek` with any `SEEK_*`; `std` knows no holes.
pub fn seek(fd: RawFd, offset: i64, whence: i32) -> io::Result<i64> {
    // SAFETY: lseek takes any numbers.
    match unsafe { libc::lseek(fd, offset, whence) } {
        -1 => Err(io::Error::last_os_error()),
        at => Ok(at),
    }
}

impl Read for Fd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the pointer and the length are one live buffer's.
        let count = unsafe { libc::read(self.0, buffer.as_mut_ptr().cast(), buffer.len()) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

impl Write for Fd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the pointer and the length are one live buffer's.
        let count = unsafe { libc::write(self.0, bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Fd {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let (offset, whence) = match target {
            SeekFrom::Start(offset) => (i64::try_from(offset).unwrap_or(i64::MAX), libc::SEEK_SET),
            SeekFrom::Current(offset) => (offset, libc::SEEK_CUR),
            SeekFrom::End(offset) => (offset, libc::SEEK_END),
        };
        // SAFETY: lseek takes any numbers.
        let position = unsafe { libc::lseek(self.0, offset, whence) };
        u64::try_from(position).map_err(|_| io::Error::last_os_error())
    }
}

/// A pipe: the end to read from and the end to write to. Both are closed by exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: pipe2 fills an array of two.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: both were just made and nothing else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Puts `file` at `place`, whatever number it has now, and lets exec keep it there.
pub fn place(file: impl Into<OwnedFd>, place: Fd) -> io::Result<()> {
    let file: OwnedFd = file.into();
    let number = file.into_raw_fd();
    if number == place.0 {
        // SAFETY: the descriptor is open: it was owned until a line ago.
        return check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) }).map(drop);
    }
    let placed = place.replace_with(Fd(number));
    Fd(number).close();
    placed
}
