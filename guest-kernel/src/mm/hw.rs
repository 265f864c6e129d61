//! What the machine-independent part asks of the hardware.

pub use super::paging::{invalidate_page, load_root};
pub use crate::arch::cpu::{MAX_CPUS, cpu_count, cpu_id};
pub use crate::ipc::PagerLink;

/// Asks a CPU to look at the shoot-down under way.
pub fn send_shoot_down(cpu: usize) {
    crate::arch::apic::send_ipi(cpu, crate::arch::vector::TLB);
}

/// Does something that no interrupt may come into.
#[inline]
pub fn without_interrupts(work: impl FnOnce()) {
    let state = crate::arch::cpu::interrupts_save_and_disable();
    work();
    crate::arch::cpu::interrupts_restore(state);
}

/// Pages have become few.
pub fn tell_memory_low() {
    crate::sched::defer_always(crate::sched::Work::Memory);
}

/// Whether the running thread is a server's.
pub fn is_server() -> bool {
    let process = crate::thread::current_process();
    process.serves.load(core::sync::atomic::Ordering::Relaxed)
}
