//! Exceptions of the running thread.

use arrayvec::ArrayVec;
use ferrix_abi::signal::{SignalInfo, SignalSlot};

use super::action::Action;
use super::queue::bit;
use super::take::{divert, is_inside};
use crate::arch::TrapFrame;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{self, NAME, Process};
use crate::thread::{self, Thread, current, work};

/// Gives the running thread the signal of its own fault, whether it blocks it or not: to the personality's
/// fault entry if that faulted, to the program's handler if there is one that may run, else
/// the process ends.
pub fn force(frame: &mut TrapFrame, info: SignalInfo) {
    let mut core = lock();
    let thread = current();
    if thread.work.get(&core) & work::KILL != 0 {
        drop(core);
        thread::end_current();
    }
    if !divert_fault(&mut core, thread, frame, info) {
        let died = Died::new(&core, thread.process());
        process::kill(&mut core, thread.process(), info.signo);
        drop(core);
        died.report(frame, &info);
        thread::end_current();
    }
}

/// Whether the fault has a handler, to which the thread goes now.
fn divert_fault(
    core: &mut Core,
    thread: &'static Thread,
    frame: &mut TrapFrame,
    info: SignalInfo,
) -> bool {
    let process = thread.process();
    let Some(personality) = process.personality.get(core) else {
        return false;
    };
    let mask = thread.mask.get(core);
    let slot = SignalSlot {
        mask,
        info,
        ..SignalSlot::default()
    };
    if is_inside(&personality, frame.rip) {
        if thread.fault_active(core) != 0 {
            return false;
        }
        let pending = super::interrupts(core, thread) as u32;
        let slot = SignalSlot {
            fault_active: 1,
            pending,
            ..slot
        };
        divert(core, thread, frame, slot, personality.fault_entry);
        return true;
    }
    let action = process.signals.dispositions.get(core).action(info.signo);
    if action != Action::Catch || mask & bit(info.signo) != 0 {
        return false;
    }
    let pending = super::interrupts(core, thread) as u32;
    divert(
        core,
        thread,
        frame,
        SignalSlot { pending, ..slot },
        personality.signal_entry,
    );
    true
}

/// Whose death the log tells of.
struct Died {
    pid: u32,
    name: ArrayVec<u8, NAME>,
    serves: bool,
}

impl Died {
    fn new(core: &Core, process: &'static Process) -> Died {
        Died {
            pid: process.pid.get(core),
            name: process.name(core),
            serves: process.personality.get(core).is_none(),
        }
    }

    /// A server's death is the system's business: the log tells. A program's is its shell's. A line takes long: not
    /// under the core lock.
    fn report(&self, frame: &TrapFrame, info: &SignalInfo) {
        if self.serves {
            log!(
                "server {} (pid {}): signal {} at {:#x}, address {:#x}, code {:#x}",
                core::str::from_utf8(&self.name).unwrap_or("?"),
                self.pid,
                info.signo,
                frame.rip,
                info.address,
                info.error
            );
        }
    }
}
