//! From the entries to the handlers, and back.

use ferrix_abi::error::Error;

use crate::arch::TrapFrame;
use crate::sched::{self, Next};

/// What the entries call for a native system call; interrupts are off. It returns to the caller, or not at all: then
/// the caller continues by returning to user mode when it runs again.
pub type Entry = extern "C" fn(&mut TrapFrame);

/// After a handler.
#[inline(always)]
pub(super) fn finish(next: Next) {
    if let Next::Switch(core, thread) = next {
        sched::resume(core, thread)
    }
}

/// A number that is no call's.
pub(super) extern "C" fn unknown(frame: &mut TrapFrame) {
    finish(Next::error(frame, Error::NoSystemCall))
}
