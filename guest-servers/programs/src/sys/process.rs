//! Processes: fork, exec, wait, groups, limits.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ptr;

use super::{c_string, check};

/// A process id, or a process group's.
pub type Pid = libc::pid_t;

/// Which side of a [`fork`] this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the new one's id.
    Parent(Pid),
}

/// Duplicates this process. The programs here have one thread, so the child may do anything.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: single-threaded, so no lock can be held by a thread that the child lacks.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Replaces this process by the program at `path`; returns only on failure.
pub fn exec(path: &OsStr, args: &[OsString], environment: &[OsString]) -> io::Result<Infallible> {
    let path = c_string(path)?;
    let args = args.iter().map(c_string).collect::<io::Result<Vec<_>>>()?;
    let environment = environment
        .iter()
        .map(c_string)
        .collect::<io::Result<Vec<_>>>()?;
    let pointers = |strings: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    // SAFETY: both arrays end in null and their strings live until after the call.
    unsafe {
        libc::execve(
            path.as_ptr(),
            pointers(&args).as_ptr(),
            pointers(&environment).as_ptr(),
        )
    };
    Err(io::Error::last_os_error())
}

/// Ends this process at once, without running what the parent registered.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(status) }
}

/// What happened to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended with this status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
    /// This signal stopped it.
    Stopped(i32),
    /// It was stopped and goes on.
    Continued,
}

/// Whether [`wait`] may block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until something happens.
    Block,
    /// Return at once.
    Poll,
}

/// Waits for a change of any child; `None` when polling finds none. `ECHILD` when there is no
/// child, `EINTR` when a signal handler ran.
pub fn wait(patience: Patience) -> io::Result<Option<(Pid, Change)>> {
    let mut status = 0;
    let flags = libc::WUNTRACED
        | libc::WCONTINUED
        | if patience == Patience::Poll {
            libc::WNOHANG
        } else {
            0
        };
    // SAFETY: the pointer is a live integer's.
    let pid = check(unsafe { libc::waitpid(-1, &mut status, flags) })?;
    Ok((pid != 0).then(|| (pid, decode(status))))
}

fn decode(status: i32) -> Change {
    if libc::WIFEXITED(status) {
        Change::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else if libc::WIFCONTINUED(status) {
        Change::Continued
    } else {
        Change::Killed(libc::WTERMSIG(status))
    }
}

/// Waits for the end of one child; what others become meanwhile is lost.
pub fn reap(pid: Pid) -> io::Result<Change> {
    loop {
        match wait(Patience::Block)? {
            Some((ended, change)) if ended == pid => return Ok(change),
            _ => {}
        }
    }
}

/// Sends `signal` to a process, or to the group `-pid`; 0 only asks whether it exists.
pub fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes any numbers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Moves `pid` (0: this process) into group `group` (0: its own).
pub fn set_group(pid: Pid, group: Pid) -> io::Result<()> {
    // SAFETY: setpgid takes any numbers.
    check(unsafe { libc::setpgid(pid, group) }).map(drop)
}

/// This process's group.
pub fn group() -> Pid {
    // SAFETY: getpgrp has no precondition.
    unsafe { libc::getpgrp() }
}

/// The parent's id.
pub fn parent() -> Pid {
    // SAFETY: getppid has no precondition.
    unsafe { libc::getppid() }
}

/// Sets the mask of mode bits that new files lack; returns the old one.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: umask takes any number.
    unsafe { libc::umask(mask) }
}

/// Adds to this process's niceness; the new one.
pub fn renice(increment: i32) -> io::Result<i32> {
    // SAFETY: getpriority and setpriority take any numbers.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let wanted = now.saturating_add(increment).clamp(-20, 19);
    // SAFETY: as above.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, wanted) })?;
    Ok(wanted)
}

/// CPU time of this process's ended children: user and system seconds.
pub fn children_times() -> io::Result<(f64, f64)> {
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is a live rusage's.
    check(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) })?;
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok((seconds(usage.ru_utime), seconds(usage.ru_stime)))
}
