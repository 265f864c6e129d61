//! One signal, caught by everybody.

pub use ferrix_kernel::signal::queue;

use crate::arch::TrapFrame;
use crate::machine::{Note, note};
use crate::object::Core;
use crate::process::Process;
use crate::thread::{Thread, interrupt, work};

/// It comes for a thread.
pub fn send(core: &mut Core, thread: &'static Thread) {
    thread.add_work(core, work::SIGNAL);
    interrupt(core, thread);
}

pub fn interrupts(core: &Core, thread: &Thread) -> bool {
    thread.work.get(core) & work::SIGNAL != 0
}

pub fn deliver(core: &mut Core, thread: &'static Thread, _: &mut TrapFrame) {
    note(Note::Signalled(thread.tid.get(core)));
}

pub fn alarm_expired(_: &mut Core, _: &'static Process, _: u64) {}
