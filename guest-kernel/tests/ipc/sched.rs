//! The kernel's, but for what assembly calls, through which a switch cannot unwind here.

use crate::arch::TrapFrame;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::{signal, thread};

pub use ferrix_kernel::sched::{Entity, Parameters, averages, inherit, queue, turn};

#[path = "../../src/sched/cpu.rs"]
mod cpu;
#[path = "../../src/sched/loans.rs"]
mod loans;
#[path = "../../src/sched/switch.rs"]
mod switch;
#[path = "../../src/sched/wake.rs"]
mod wake;

pub use cpu::{CpuSched, local, refresh_hint, sample_load};
pub use loans::{lend, return_loans};
pub use switch::{
    Next, block, block_inside, hand_over, next, resume, running_on, slice_expired,
    slice_expired_below_top,
};
pub use wake::{notify_running, place, requeue, wake};

/// As in the kernel.
#[derive(Clone, Copy)]
pub enum Work {
    Timer,
    Device,
    Pagers,
}

pub fn defer(_: Work, now: impl FnOnce(&mut Core)) {
    now(&mut lock());
}

pub fn defer_always(_: Work) {}

/// Work waits before the return to user mode, as in the kernel, where nobody stops processes.
pub fn user_return_work(frame: &mut TrapFrame) {
    use crate::arch::cpu;
    let mut core = lock();
    let caller = thread::current();
    let bits = caller.work.get(&core);
    if bits & thread::work::KILL != 0 {
        drop(core);
        thread::end_current();
    }
    if cpu::this_cpu().need_resched()
        && let Some(next) = switch::preempting(&core)
    {
        resume(core, next);
    }
    cpu::this_cpu().clear_work(cpu::WORK_SIGNAL);
    if bits & thread::work::SIGNAL != 0 {
        caller.clear_work(&core, thread::work::SIGNAL);
        signal::deliver(&mut core, caller, frame);
    }
}
