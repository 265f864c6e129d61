//! From the entry to the handler.

use ferrix_abi::error::Error;

use super::table::TABLE;
use crate::arch::TrapFrame;
use crate::ipc;
use crate::sched::{self, Next};

/// A native system call; interrupts are off. Returns to the caller, or not at all: then the caller
/// continues by returning to user mode when it runs again.
pub extern "C" fn dispatch(frame: &mut TrapFrame) {
    ipc::try_hand_over(frame);
    let next = match TABLE.get(frame.rax as u8 as usize) {
        Some(handler) => handler(frame),
        None => unknown(frame),
    };
    match next {
        Next::Caller => {}
        Next::Switch(core, thread) => sched::resume(core, thread),
    }
}

/// A number that is no call's.
pub(super) fn unknown(frame: &mut TrapFrame) -> Next {
    Next::error(frame, Error::NoSystemCall)
}
