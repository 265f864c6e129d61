//! Making threads ready, and where.

use super::Parameters;
use super::cpu::{hint, load};
use super::queue::InQueue;
use super::switch::{running_on, settle_time, time_slice};
use crate::arch::trace_point::trace_point;
use crate::arch::{apic, cpu, vector};
use crate::object::Core;
use crate::object::list::List;
use crate::thread::{State, Thread, work};
use crate::trace;

/// A thread's wait is over: it becomes ready. It slept, so it rises.
#[inline(always)]
pub fn wake(core: &Core, thread: &'static Thread) {
    thread.sched.slept(core);
    place(core, thread);
}

/// Puts a thread that is in no queue into the run queue of a suitable CPU.
pub fn place(core: &Core, thread: &'static Thread) {
    if thread.work.get(core) & (work::STOP | work::KILL) == work::STOP {
        thread.state.set(core, State::Stopped);
        return;
    }
    let id = suitable(core, thread);
    enqueue(core, thread, id);
}

/// Adds a ready thread to a CPU's queue and makes that CPU look, if it should.
#[inline(always)]
fn enqueue(core: &Core, thread: &'static Thread, id: usize) {
    trace_point(|| trace::wake(core, thread, id));
    let priority = thread.sched.priority.get(core);
    thread.state.set(core, State::Ready);
    thread.sched.cpu.set(core, id as u8);
    let sched = &cpu::cpu(id).sched;
    sched.queue.push_back(core, thread, priority);
    let Some(running) = running_on(core, id) else {
        return;
    };
    let here = id == cpu::cpu_id();
    if running.is_idle() || priority > running.sched.priority.get(core) {
        if here {
            cpu::this_cpu().set_need_resched();
        } else {
            apic::send_ipi(id, vector::RESCHEDULE);
        }
    } else if here {
        time_slice(core, sched);
    } else if sched.slice_end.get(core) == 0 {
        // That CPU times its slices itself, with its own timer.
        apic::send_ipi(id, vector::RESCHEDULE);
    }
}

/// The last CPU unless it is busy, else the least loaded.
#[inline(always)]
fn suitable(core: &Core, thread: &Thread) -> usize {
    if cpu::cpu_count() == 1 {
        0
    } else {
        choose(core, thread)
    }
}

fn choose(core: &Core, thread: &Thread) -> usize {
    let last = thread.sched.cpu.get(core) as usize;
    let allowed = |id: usize| id < cpu::cpu_count() && thread.sched.may_run_on(core, id);
    if allowed(last) && load(core, last) == 0 {
        return last;
    }
    let hint = hint(core);
    if allowed(hint) && load(core, hint) == 0 {
        return hint;
    }
    let least = (0..cpu::cpu_count())
        .filter(|&id| allowed(id))
        .min_by_key(|&id| (load(core, id), id != last));
    least.unwrap_or(0)
}

/// Queues the thread that ran here until its slice ended, or that may not stay: on a CPU with
/// nothing to do if there is one, else behind its equals here.
pub(super) fn place_preempted(core: &Core, thread: &'static Thread, priority: u8) {
    let here = cpu::cpu_id();
    let id = suitable(core, thread);
    if id == here || thread.sched.may_run_on(core, here) && load(core, id) != 0 {
        thread.state.set(core, State::Ready);
        cpu::cpu(here).sched.queue.push_back(core, thread, priority);
    } else {
        enqueue(core, thread, id);
    }
}

/// Takes a ready thread out of its run queue, for changing its priority or ending it.
pub fn dequeue(core: &Core, thread: &'static Thread) {
    cpu::cpu(thread.sched.cpu.get(core) as usize)
        .sched
        .queue
        .remove(core, thread);
}

/// Changes a thread's priority by `change`, keeping the run queues right.
pub fn requeue(core: &Core, thread: &'static Thread, change: impl FnOnce()) {
    match thread.state.get(core) {
        State::Ready => {
            dequeue(core, thread);
            change();
            // Not stopped, even if its process is: it may be in the middle of the kernel.
            enqueue(core, thread, suitable(core, thread));
        }
        State::Running => {
            change();
            notify_running(core, thread);
        }
        _ => change(),
    }
}

/// Changes a thread's parameters, keeping the run queues right. Its time up to now counts by the old ones.
pub fn change_parameters(core: &Core, thread: &'static Thread, new: Parameters) {
    if thread.state.get(core) == State::Running {
        settle_time(core, thread);
    }
    requeue(core, thread, || thread.sched.set_parameters(core, new));
    thread.mark_nice(core);
}

/// Makes the CPU on which a thread runs look at its work soon.
pub fn notify_running(core: &Core, thread: &Thread) {
    let id = thread.sched.cpu.get(core) as usize;
    if id == cpu::cpu_id() {
        let cpu = cpu::this_cpu();
        cpu.set_need_resched();
        if thread.work.get(core) & work::AT_RETURN != 0 {
            cpu.set_work(cpu::WORK_SIGNAL);
        }
    } else {
        apic::send_ipi(id, vector::RESCHEDULE);
    }
}

/// Wakes every thread of a queue of waiters.
pub fn wake_all(
    core: &Core,
    waiters: &List<Thread, InQueue>,
    mut prepare: impl FnMut(&'static Thread),
) {
    while let Some(thread) = waiters.pop_front(core) {
        prepare(thread);
        wake(core, thread);
    }
}
