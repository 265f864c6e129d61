//! Taking caught signals, and delivery on the return to user mode.

use ferrix_abi::process::Personality;
use ferrix_abi::signal::{SignalInfo, SignalSet, SignalSlot};

use super::action::UNBLOCKABLE;
use super::send::{interrupts, settle, take};
use crate::arch::{TrapFrame, take_back_system_call};
use crate::object::Core;
use crate::thread::{Thread, work};

/// Flags that a signal entry does not begin with: TF, DF.
const CLEARED_FLAGS: u64 = 1 << 8 | 1 << 10;

/// Takes the next caught signal that is not blocked, with the mask to restore after its handler. If there
/// is none, the thread's slot says so.
pub fn take_caught(core: &mut Core, thread: &'static Thread) -> Option<(SignalInfo, SignalSet)> {
    let caught = thread.process().signals.dispositions.get(core).caught();
    let info = take(core, thread, caught & !thread.mask.get(core));
    if info.is_none() {
        thread.set_signal_pending(core, 0);
        thread.clear_work(core, work::TOLD);
        settle(core, thread);
        return None;
    }
    if let Some(mask) = thread.saved_mask.take(core) {
        thread.mask.set(core, mask);
    }
    settle(core, thread);
    info.map(|info| (info, thread.mask.get(core)))
}

/// Takes a signal of a set, whether blocked or not (`SigWait`).
pub fn take_awaited(
    core: &mut Core,
    thread: &'static Thread,
    set: SignalSet,
) -> Option<SignalInfo> {
    let info = take(core, thread, set & !UNBLOCKABLE);
    if info.is_some() {
        settle(core, thread);
    }
    info
}

/// The current thread, about to return to user mode, has a signal to take: diverts it to the
/// personality, or tells the personality if it is inside.
pub fn deliver(core: &mut Core, thread: &'static Thread, frame: &mut TrapFrame) {
    let Some(personality) = thread.process().personality.get(core) else {
        return;
    };
    if !interrupts(core, thread) {
        return settle(core, thread);
    }
    take_back_system_call(frame);
    if is_inside(&personality, frame.rip) {
        thread.set_signal_pending(core, 1);
        thread.add_work(core, work::TOLD);
        if (personality.exit_begin..personality.exit_end).contains(&frame.rip) {
            frame.rip = personality.exit_begin;
        }
        return;
    }
    if let Some((info, mask)) = take_caught(core, thread) {
        let pending = interrupts(core, thread) as u32;
        let slot = SignalSlot {
            pending,
            mask,
            info,
            ..SignalSlot::default()
        };
        divert(core, thread, frame, slot, personality.signal_entry);
    }
}

/// Whether an address is in the personality's text.
pub fn is_inside(personality: &Personality, rip: u64) -> bool {
    (personality.text_begin..personality.text_end).contains(&rip)
}

/// Continues the thread at an entry of the personality; the slot says where it was.
pub fn divert(core: &Core, thread: &Thread, frame: &mut TrapFrame, slot: SignalSlot, entry: u64) {
    let slot = SignalSlot {
        rip: frame.rip,
        rsp: frame.rsp,
        rflags: frame.rflags,
        ..slot
    };
    thread.write_slot(core, &slot);
    frame.rip = entry;
    frame.rflags &= !CLEARED_FLAGS;
}
