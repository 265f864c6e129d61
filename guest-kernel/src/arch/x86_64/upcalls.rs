//! Everything that the architecture calls in the core of the kernel, in one list.

use super::frame::TrapFrame;
use super::instructions::read_cr2;
use super::{cpu, machine_check, vector};
use crate::mm::{fault, uaccess};

pub use crate::irq::interrupt as device_interrupt;
pub(super) use crate::mm::fault::FAULTS;
pub(super) use crate::object::core_lock::LOCKED as CORE_LOCK;
pub use crate::sched::{
    CpuSched, idle_loop as application_cpu, preempt, reschedule_ipi, user_return_work,
};
pub(super) use crate::stats::INTERRUPTS;
pub use crate::syscall::TABLE as SYSTEM_CALLS;
pub(super) use crate::thread::Thread;
pub use crate::timer::{
    interrupt as timer_interrupt, interrupt_after_all as timer_after_all,
    interrupt_of_program as timer_of_program,
};
pub(super) use crate::trace;

/// A page fault: a program's, or the kernel's on a program's behalf.
pub extern "C" fn page_fault(frame: &mut TrapFrame) {
    let address = read_cr2();
    if frame.is_user() {
        cpu::enable_interrupts();
        if fault::touch_again(address, frame.error) {
            return;
        }
    } else if uaccess::fixup(frame.rip).is_none() {
        crate::panic::kernel_exception(frame);
    }
    fault::page_fault(frame, address, frame.error);
}

/// Any other exception of a program.
pub fn user_exception(frame: &mut TrapFrame) {
    if frame.vector == vector::MACHINE_CHECK as u64 {
        return machine_check::of_program(frame);
    }
    crate::exception::user_exception(frame, frame.vector, frame.error);
}
