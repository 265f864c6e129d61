//! Signals as readable events, so that they end the machine in order and restore the terminal.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr;

use vmm_sys_util::signal::create_sigset;

/// Signals that end the machine.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Signals on which the machine goes on: the window's new size, and the question where the guest is.
const OTHERS: [i32; 2] = [libc::SIGWINCH, libc::SIGUSR1];

/// The signals of this process that the event loop handles.
#[derive(Debug)]
pub struct Signals(File);

impl Signals {
    /// Takes over the ending signals, SIGWINCH and SIGUSR1. Call before any other thread starts: threads
    /// inherit the mask. Signals that the parent ignores (nohup, background jobs) stay ignored.
    pub fn take_over() -> io::Result<Self> {
        let mut wanted: Vec<i32> = ENDING.into_iter().filter(|&s| !is_ignored(s)).collect();
        wanted.extend(OTHERS);
        let set = create_sigset(&wanted)?;
        // SAFETY: `set` is initialised; the old mask is not asked for.
        let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) };
        if blocked != 0 {
            return Err(io::Error::from_raw_os_error(blocked));
        }
        // SAFETY: -1 asks for a new descriptor; `set` is initialised.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// The number of the next signal that has come, if any.
    pub fn next(&self) -> Option<i32> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        (&self.0).read_exact(&mut info).ok()?;
        Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Lets the ending signals end the process at once, now that the terminal is restored and only
/// output is left to be written.
pub fn give_back() -> io::Result<()> {
    let set = create_sigset(&ENDING)?;
    // SAFETY: `set` is initialised; the old mask is not asked for.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut()) };
    if failed != 0 {
        Err(io::Error::from_raw_os_error(failed))
    } else {
        Ok(())
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: a sigaction of zeros is a valid value to be overwritten.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; `action` is ours.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}
