//! Robust locks: the C library's mutexes in shared memory, and lists of one's own for the kernel.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::memory::{PAGE, map};

/// Memory that processes share, zero.
pub fn shared_memory(pages: usize) -> io::Result<usize> {
    let how = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    map(0, pages * PAGE, (prot, how), -1, 0)
}

/// A robust mutex in memory that processes share. It is never unmapped.
#[derive(Clone, Copy, Debug)]
pub struct Mutex(usize);

impl Mutex {
    /// An unlocked one.
    pub fn new() -> io::Result<Mutex> {
        let at = shared_memory(1)?;
        // SAFETY: all-zero is a valid place for an attribute object to be initialised.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        let how = &raw mut attributes;
        // SAFETY: the attributes are a live local, the mutex lies in memory of its own, aligned to a page.
        let failed = unsafe {
            libc::pthread_mutexattr_init(how)
                | libc::pthread_mutexattr_setpshared(how, libc::PTHREAD_PROCESS_SHARED)
                | libc::pthread_mutexattr_setrobust(how, libc::PTHREAD_MUTEX_ROBUST)
                | libc::pthread_mutex_init(at as *mut libc::pthread_mutex_t, how)
        };
        match failed {
            0 => Ok(Mutex(at)),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn place(self) -> *mut libc::pthread_mutex_t {
        self.0 as *mut libc::pthread_mutex_t
    }

    /// Locks it; 0, or the error.
    pub fn lock(self) -> i32 {
        // SAFETY: it was initialised, and stays.
        unsafe { libc::pthread_mutex_lock(self.place()) }
    }

    /// Locks it if it is free; 0, or the error.
    pub fn try_lock(self) -> i32 {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_trylock(self.place()) }
    }

    /// What it protects is in order again.
    pub fn make_consistent(self) -> i32 {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_consistent(self.place()) }
    }

    /// Unlocks it.
    pub fn unlock(self) -> i32 {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_unlock(self.place()) }
    }
}

/// The word at an address of the caller's memory.
pub fn word(address: usize) -> &'static AtomicU32 {
    // SAFETY: the tests pass aligned addresses in mappings that they never unmap.
    unsafe { AtomicU32::from_ptr(address as *mut u32) }
}

/// The same, twice as wide.
pub fn wide_word(address: usize) -> &'static AtomicU64 {
    // SAFETY: as above.
    unsafe { AtomicU64::from_ptr(address as *mut u64) }
}

/// Names the head of the calling thread's list to the kernel, instead of the C library's.
pub fn set_list(head: usize) -> io::Result<()> {
    // SAFETY: the kernel checks what it reads there.
    let result = unsafe { libc::syscall(libc::SYS_set_robust_list, head, 24usize) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Waits while the word at an address has a value.
pub fn wait(address: usize, value: u32) {
    // SAFETY: the kernel checks the address; no timeout.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            address,
            libc::FUTEX_WAIT,
            value,
            ptr::null::<libc::timespec>(),
        )
    };
}

/// The calling thread's id.
pub fn thread_id() -> u32 {
    // SAFETY: gettid has no precondition.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Waits until the word at an address has what `enough` wants.
pub fn until(address: usize, enough: impl Fn(u32) -> bool) -> u32 {
    loop {
        let value = word(address).load(SeqCst);
        if enough(value) {
            return value;
        }
        std::thread::yield_now();
    }
}
