//! Pieces of work in processes of their own.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Longer takes only what hangs.
const LIMIT_SECONDS: u32 = 60;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// Runs `body` in a child: its status, or what killed it.
pub fn run(body: impl FnOnce() -> i32) -> io::Result<End> {
    io::stdout().flush()?;
    // SAFETY: the program has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: numbers only. (The library has handlers for its stacks' guard pages.)
            unsafe {
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                libc::signal(libc::SIGBUS, libc::SIG_DFL);
            }
            limit_time();
            let status = body();
            let _ = io::stdout().flush();
            // SAFETY: ends the process.
            unsafe { libc::_exit(status) }
        }
        pid => wait(pid),
    }
}

/// What hangs from now on is ended by SIGALRM.
pub fn limit_time() {
    // SAFETY: a number only.
    unsafe { libc::alarm(LIMIT_SECONDS) };
}

/// Waits for a child.
pub fn wait(pid: i32) -> io::Result<End> {
    let mut status = 0;
    // SAFETY: the status is a local.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {
        return Err(io::Error::last_os_error());
    }
    Ok(match libc::WIFSIGNALED(status) {
        true => End::Signal(libc::WTERMSIG(status)),
        false => End::Exit(libc::WEXITSTATUS(status)),
    })
}

/// A number that children share, at first 0.
pub fn shared_number() -> io::Result<&'static AtomicUsize> {
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: fresh memory, for ever.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed, aligned, used atomically only.
    let number = unsafe { &*at.cast::<AtomicUsize>() };
    number.store(0, SeqCst);
    Ok(number)
}
