//! I/O ports in user mode: the permission map of the TSS (Intel SDM volume 1, 19.5.2).
//!
//! A CPU's map is closed unless a thread that uses ports runs there. Such a thread opens it by the
//! fault of its first IN or OUT, and a switch to another thread closes it; so the switches
//! of all other threads cost nothing.

use super::cpu::{cpu, cpu_count, this_cpu};
use super::thread::{ArchThread, PORTS};

/// Gives the current thread, on this CPU and until it is switched out, the ports of `ranges` (first
/// port and count). Returns false if it has them already: its fault has another reason.
///
/// `whose` names process and version of the ranges. Interrupts are off.
pub fn open(
    thread: &mut ArchThread,
    whose: [u32; 2],
    ranges: impl Iterator<Item = (u16, u16)>,
) -> bool {
    let tss = &this_cpu().tss;
    if tss.is_open(whose) {
        return false;
    }
    thread.traits |= PORTS;
    tss.open(whose, ranges);
    true
}

/// Takes the ports from a thread that is switched out on this CPU.
#[cold]
pub(super) fn close(thread: &mut ArchThread) {
    thread.traits &= !PORTS;
    this_cpu().tss.close();
}

/// Takes the ports from whoever has some, on all CPUs: those who still may use them will fault.
pub fn close_everywhere() {
    (0..cpu_count()).for_each(|id| cpu(id).tss.close());
}
