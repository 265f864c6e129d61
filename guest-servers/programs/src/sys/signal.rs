//! Signals: dispositions, and a set of those that arrived.

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::check;

/// Bit N is set when the handler saw signal N.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(signal: libc::c_int) {
    ARRIVED.fetch_or(1 << signal, Ordering::SeqCst);
}

fn set(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all-zero is a valid sigaction: empty mask, no flags. Without SA_RESTART a read
    // or a wait returns EINTR, which is how the shell learns of ^C at its prompt.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the pointer is a live sigaction's; the handler only touches an atomic.
    check(unsafe { libc::sigaction(signal, &action, ptr::null_mut()) }).map(drop)
}

/// Gives `signal` its default effect. One that cannot have another is left alone.
pub fn restore_default(signal: i32) {
    let _ = set(signal, libc::SIG_DFL);
}

/// Makes `signal` have no effect.
pub fn ignore(signal: i32) -> io::Result<()> {
    set(signal, libc::SIG_IGN)
}

/// Makes `signal` only be remembered for [`take`].
pub fn catch(signal: i32) -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int) = note;
    set(signal, handler as libc::sighandler_t)
}

/// Whether `signal` arrived since it was last taken.
pub fn take(signal: i32) -> bool {
    let bit = 1 << signal;
    ARRIVED.load(Ordering::Relaxed) & bit != 0
        && ARRIVED.fetch_and(!bit, Ordering::SeqCst) & bit != 0
}

/// Whether `signal` waits to be taken.
pub fn arrived(signal: i32) -> bool {
    ARRIVED.load(Ordering::Relaxed) & 1 << signal != 0
}

/// Whether any caught signal waits to be taken.
pub fn any() -> bool {
    ARRIVED.load(Ordering::Relaxed) != 0
}

/// Forgets what arrived; for a new process.
pub fn forget() {
    ARRIVED.store(0, Ordering::SeqCst);
}
