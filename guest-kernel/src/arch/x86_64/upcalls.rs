//! Everything that the architecture calls in the core of the kernel, in one list.

use super::frame::TrapFrame;
use super::instructions::read_cr2;

/// The scheduler's part of a CPU.
#[derive(Debug)]
pub struct CpuSched;
impl CpuSched {
    /// Nothing.
    pub const fn new() -> CpuSched {
        CpuSched
    }
}

/// A native system call; interrupts are off.
pub extern "C" fn syscall(frame: &mut TrapFrame) {
    frame.rax += 1;
}
/// Work waits before the return to user mode.
pub extern "C" fn user_return_work(_frame: &mut TrapFrame) {}
/// A preemption is due.
pub extern "C" fn preempt() {}
/// A page fault.
pub extern "C" fn page_fault(frame: &mut TrapFrame) {
    panic!("page fault at {:#x}: {frame:x?}", read_cr2())
}
/// Any other exception.
pub fn exception(frame: &mut TrapFrame) {
    panic!("exception: {frame:x?}")
}
/// A device's interrupt.
pub fn device_interrupt(gsi: u32) {
    log!("gsi {gsi}");
}
/// The timer.
pub fn timer_interrupt() {
    log!("tick");
}
/// A reschedule IPI.
pub fn reschedule_ipi() {}
/// A user exception.
pub fn user_exception(frame: &mut TrapFrame) {
    panic!("user exception: {frame:x?}")
}
/// An application processor.
pub fn application_cpu() -> ! {
    super::cpu::halt_forever()
}
