//! POSIX's named semaphores.

use std::io;

use super::{c_string, check};

/// An open semaphore.
#[derive(Debug)]
pub struct Semaphore(*mut libc::sem_t);

fn opened(semaphore: *mut libc::sem_t) -> io::Result<Semaphore> {
    if semaphore == libc::SEM_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Semaphore(semaphore))
}

impl Semaphore {
    /// Makes one with a value; `EEXIST` if there is one with this name.
    pub fn create(name: &str, value: u32) -> io::Result<Semaphore> {
        let name = c_string(name)?;
        let flags = libc::O_CREAT | libc::O_EXCL;
        // SAFETY: a string that outlives the call.
        opened(unsafe { libc::sem_open(name.as_ptr(), flags, 0o666, value) })
    }

    /// Opens one.
    pub fn open(name: &str) -> io::Result<Semaphore> {
        let name = c_string(name)?;
        // SAFETY: a string that outlives the call.
        opened(unsafe { libc::sem_open(name.as_ptr(), 0) })
    }

    /// Takes one, or waits.
    pub fn wait(&self) -> io::Result<()> {
        // SAFETY: open as long as this object is.
        check(unsafe { libc::sem_wait(self.0) }).map(drop)
    }

    /// Takes one; `EAGAIN` if there is none.
    pub fn try_wait(&self) -> io::Result<()> {
        // SAFETY: as above.
        check(unsafe { libc::sem_trywait(self.0) }).map(drop)
    }

    /// Gives one.
    pub fn post(&self) -> io::Result<()> {
        // SAFETY: as above.
        check(unsafe { libc::sem_post(self.0) }).map(drop)
    }

    /// How many there are.
    pub fn value(&self) -> io::Result<i32> {
        let mut value = 0;
        // SAFETY: as above; a live number.
        check(unsafe { libc::sem_getvalue(self.0, &mut value) })?;
        Ok(value)
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: open, and nobody uses it afterwards.
        unsafe { libc::sem_close(self.0) };
    }
}

/// Takes the name away.
pub fn unlink(name: &str) -> io::Result<()> {
    let name = c_string(name)?;
    // SAFETY: a string that outlives the call.
    check(unsafe { libc::sem_unlink(name.as_ptr()) }).map(drop)
}
