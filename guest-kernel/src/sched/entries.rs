//! What interrupts and the return to user mode call; the idle loop.
//!
//! A handler may have interrupted code that holds a lock which is taken under the core lock too. So
//! it takes the core lock only when the interrupted code holds none. Otherwise it notes what
//! happened in [`CpuSched::deferred`](super::CpuSched) and asks for a preemption, which happens when the last lock
//! is released: [`preempt`] then does the work first.

use core::sync::atomic::Ordering::Relaxed;

use ferrix_machine::trace::RESCHEDULE;

use super::cpu::{load, local, set_hint};
use super::switch::{preempting, resume, switch, time_slice};
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::arch::trace_point::{count_interrupt, trace_point};
use crate::object::Core;
use crate::object::core_lock::{self, CoreGuard};
use crate::thread::{self, State, current, work};
use crate::{ipc, irq, process, signal, timer, trace};

/// An interrupt's work that may have to wait until no lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Work {
    /// Timers.
    Timer = 1,
    /// Devices: see `deferred_gsis`.
    Device = 2,
    /// Paged objects: see [`settle`](crate::ipc::settle).
    Pagers = 1 << 8,
    /// Pages are few: see [`shortage`](crate::ipc::shortage).
    Memory = 1 << 9,
}

/// From an interrupt handler: does `now` under the core lock, or notes the work if the interrupted
/// code holds a lock.
pub fn defer(what: Work, now: impl FnOnce(&mut Core)) {
    if cpu::this_cpu().preempt_disabled() {
        local().deferred.fetch_or(what as u32, Relaxed);
        cpu::this_cpu().set_need_resched();
    } else {
        now(&mut core_lock::lock());
    }
}

/// Notes work for the next moment without locks, at the latest the return to user mode. Interrupts
/// are off.
pub fn defer_always(what: Work) {
    local().deferred.fetch_or(what as u32, Relaxed);
    cpu::this_cpu().set_need_resched();
}

#[cold]
fn do_deferred(core: &mut Core) {
    let what = local().deferred.swap(0, Relaxed);
    if what & Work::Device as u32 != 0 {
        irq::deferred(core);
    }
    if what & Work::Timer as u32 != 0 {
        timer::expired(core);
    }
    if what & Work::Pagers as u32 != 0 {
        ipc::settle(core);
    }
    if what & Work::Memory as u32 != 0 {
        ipc::shortage::memory_low(core);
    }
}

fn lock_and_catch_up() -> CoreGuard {
    let mut core = core_lock::lock();
    // What is done may defer more, and who called is about to withdraw the request for a preemption.
    while local().has_deferred() {
        do_deferred(&mut core);
    }
    core
}

/// A preemption is due and no lock is held: at the release of the last one, and before an interrupt returns
/// to the kernel.
pub extern "C" fn preempt() {
    let state = cpu::interrupts_save_and_disable();
    let core = lock_and_catch_up();
    if let Some(next) = preempting(&core) {
        switch(core, next);
    } else {
        drop(core);
    }
    cpu::interrupts_restore(state);
}

/// Another CPU has put something into our queue, or changed the running thread.
pub fn reschedule_ipi() {
    count_interrupt(RESCHEDULE);
    let cpu = cpu::this_cpu();
    cpu.set_need_resched();
    cpu.set_work(cpu::WORK_SIGNAL);
}

/// Work waits before the return to user mode. Interrupts are off.
pub extern "C" fn user_return_work(frame: &mut TrapFrame) {
    let mut core = lock_and_catch_up();
    let caller = current();
    let bits = caller.work.get(&core);
    if bits & work::KILL != 0 {
        drop(core);
        thread::end_current();
    }
    if bits & work::STOP != 0 {
        return process::stop_current(core, caller);
    }
    if cpu::this_cpu().need_resched()
        && let Some(next) = preempting(&core)
    {
        resume(core, next);
    }
    cpu::this_cpu().clear_work(cpu::WORK_SIGNAL);
    if bits & work::SIGNAL != 0 {
        caller.clear_work(&core, work::SIGNAL);
        signal::deliver(&mut core, caller, frame);
    }
}

/// What a CPU does when it has started: becomes its idle thread, which runs whatever is ready and
/// halts when nothing is.
pub fn idle_loop() -> ! {
    cpu::disable_interrupts();
    let mut core = core_lock::lock();
    let idle = thread::idle(&mut core);
    idle.sched.cpu.set(&core, cpu::cpu_id() as u8);
    local().idle.set(&core, Some(idle));
    local().since.set(&core, crate::time::cycles());
    drop(core);
    cpu::this_cpu().clear_need_resched();
    loop {
        let mut core = lock_and_catch_up();
        cpu::this_cpu().clear_need_resched();
        let id = cpu::cpu_id();
        let next = local().queue.pop(&core).or_else(|| steal(&core, id));
        if let Some(next) = next {
            time_slice(&core, local());
            idle.state.set(&core, State::Ready);
            switch(core, next);
            continue;
        }
        set_hint(&core, id);
        let done = thread::reap(&mut core);
        drop(core);
        if !done {
            // Interrupts come in between: not before the instruction after the one that enables them
            // (SDM volume 2, STI).
            cpu::enable_interrupts();
            core::hint::spin_loop();
            cpu::disable_interrupts();
            continue;
        }
        cpu::halt_until_interrupt();
        cpu::disable_interrupts();
    }
}

/// Takes a thread from the CPU with the longest queue.
fn steal(core: &Core, here: usize) -> Option<&'static thread::Thread> {
    let others = (0..cpu::cpu_count()).filter(|&id| id != here);
    let busiest = others.max_by_key(|&id| load(core, id))?;
    let queue = &cpu::cpu(busiest).sched.queue;
    if queue.length(core) == 0 {
        return None;
    }
    let thread = queue.find(core, |thread| thread.sched.may_run_on(core, here))?;
    queue.remove(core, thread);
    thread.sched.cpu.set(core, here as u8);
    trace_point(|| trace::migrate(core, thread, busiest));
    Some(thread)
}
