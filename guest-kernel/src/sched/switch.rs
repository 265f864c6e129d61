//! Who runs next.

use ferrix_abi::error::{Error, Result, encode};

use super::cpu::{CpuSched, local};
use super::queue::ages;
use crate::arch::TrapFrame;
use crate::arch::cpu::{self, PerCpu};
use crate::object::{Core, CoreGuard};
use crate::thread::{State, Thread, current, flow, work};
use crate::{time, timer};

/// A slice, in nanoseconds.
const SLICE_NS: u64 = 10_000_000;

/// Who runs after a system call.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// The caller, with what is in its frame.
    Caller,
    /// This thread. The caller waits, or is in a run queue.
    Switch(CoreGuard, &'static Thread),
}

impl Next {
    /// The caller, with a result.
    #[inline(always)]
    pub fn result(frame: &mut TrapFrame, result: Result<u64>) -> Next {
        frame.rax = encode(result);
        Next::Caller
    }

    /// The caller, with an error.
    pub fn error(frame: &mut TrapFrame, error: Error) -> Next {
        Self::result(frame, Err(error))
    }
}

/// The thread that runs on a CPU.
pub fn running_on(core: &Core, id: usize) -> Option<&'static Thread> {
    let _ = core;
    let arch = cpu::cpu(id).current();
    if arch.is_null() {
        None
    } else {
        Some(Thread::of(arch))
    }
}

/// The current thread waits: puts it in `state`; the next one runs.
#[inline(always)]
pub fn block(guard: CoreGuard, caller: &'static Thread, state: State) -> Next {
    caller.state.set(&guard, state);
    let next = next(&guard);
    Next::Switch(guard, next)
}

/// The current thread waits in the middle of its work in the kernel; returns when it runs again.
pub fn block_inside(guard: CoreGuard, caller: &'static Thread, state: State) {
    caller.state.set(&guard, state);
    let next = next(&guard);
    switch(guard, next);
}

/// Takes the next thread to run on this CPU out of its queue, and times its slice.
#[inline(always)]
pub fn next(core: &Core) -> &'static Thread {
    let sched = local();
    match sched.queue.pop(core) {
        Some(thread) => {
            time_slice(core, sched, thread);
            thread
        }
        None => {
            sched.slice_end.set(core, 0);
            idle_thread(core, sched)
        }
    }
}

fn idle_thread(core: &Core, sched: &CpuSched) -> &'static Thread {
    match sched.idle.get(core) {
        Some(idle) => idle,
        None => unreachable!("a CPU schedules only after it has entered its idle loop"),
    }
}

/// Times the slice of `thread`, which is about to run, if others wait for their turn. A slice that
/// is timed already goes on: who takes over from a thread that waits gets the rest of it.
#[inline(always)]
pub(super) fn time_slice(core: &Core, sched: &'static CpuSched, thread: &Thread) {
    if sched.slice_end.get(core) == 0 && sched.queue.length(core) != 0 {
        start_slice(core, sched, thread);
    }
}

/// Starts a slice if the queue holds who would get the next one.
#[cold]
fn start_slice(core: &Core, sched: &'static CpuSched, thread: &Thread) {
    let priority = thread.sched.priority.get(core);
    let waits =
        sched.queue.top(core) == Some(priority) || ages(priority) && sched.queue.has_ageing(core);
    if waits && thread.sched.shares(core) {
        let end = time::now_ns() + SLICE_NS;
        sched.slice_end.set(core, end);
        timer::arm(core, sched, end);
    }
}

/// Accounts the time since the last switch, and notes that `thread` runs.
#[inline(always)]
fn change(core: &Core, cpu: &PerCpu, previous: &Thread, thread: &'static Thread) {
    let sched = &cpu.sched;
    let now = time::cycles();
    let ran = now.wrapping_sub(sched.since.replace(core, now));
    previous
        .cycles
        .set(core, previous.cycles.get(core).wrapping_add(ran));
    sched.switches.set(core, sched.switches.get(core) + 1);
    thread.sched.cpu.set(core, cpu.id() as u8);
    thread.state.set(core, State::Running);
}

/// The CPU's work is what waits for the thread that runs, and what waited for the CPU.
#[inline(always)]
fn note_work(cpu: &PerCpu, pending: u32) {
    if pending != 0 {
        cpu.set_work(cpu::WORK_SIGNAL);
    } else if cpu.work() != 0 {
        cpu.clear_work(cpu::WORK_SIGNAL);
    }
}

/// Runs `thread`; the current thread stays parked.
pub fn resume(guard: CoreGuard, thread: &'static Thread) -> ! {
    note_work(cpu::this_cpu(), thread.work.get(&guard) & work::AT_RETURN);
    hand_over(guard, thread)
}

/// As [`resume`], for a thread with no work at its return to user mode.
#[inline(always)]
pub fn hand_over(guard: CoreGuard, thread: &'static Thread) -> ! {
    let previous = current();
    change(&guard, cpu::this_cpu(), previous, thread);
    flow::resume(guard, previous, thread)
}

/// Runs `thread` in the middle of the current one's work; returns when that runs again.
pub(super) fn switch(guard: CoreGuard, thread: &'static Thread) {
    let previous = current();
    let cpu = cpu::this_cpu();
    note_work(cpu, thread.work.get(&guard) & work::AT_RETURN);
    change(&guard, cpu, previous, thread);
    flow::switch(guard, previous, thread);
}

/// The current thread gives up the rest of its slice.
pub fn yield_current(guard: CoreGuard, caller: &'static Thread) -> Next {
    let sched = local();
    let priority = caller.sched.priority.get(&guard);
    match sched.queue.top(&guard) {
        Some(top) if top >= priority => {
            let next = sched.queue.pop_from(&guard, top);
            caller.state.set(&guard, State::Ready);
            sched.queue.push_back(&guard, caller, priority);
            time_slice(&guard, sched, next);
            Next::Switch(guard, next)
        }
        _ => Next::Caller,
    }
}

/// The timer says that the slice of the running thread is over.
pub fn slice_expired(core: &Core, sched: &CpuSched) {
    sched.slice_end.set(core, 0);
    sched.queue.age(core);
    let running = current();
    sched.slice_over.set(core, running.sched.shares(core));
    running.sched.used_slice(core);
    cpu::this_cpu().set_need_resched();
}

/// If another thread should run than the current one: queues that, and takes the other.
pub(super) fn preempting(core: &Core) -> Option<&'static Thread> {
    cpu::this_cpu().clear_need_resched();
    let sched = local();
    let running = current();
    if running.is_idle() {
        return None;
    }
    let over = sched.slice_over.take(core);
    let priority = running.sched.priority.get(core);
    let top = sched.queue.top(core);
    let leaves = !running.sched.may_run_on(core, cpu::cpu_id());
    let yields = top.is_some_and(|top| top > priority || over && top == priority);
    if !leaves && !yields {
        time_slice(core, sched, running);
        return None;
    }
    running.state.set(core, State::Ready);
    if leaves || over {
        super::wake::place_preempted(core, running, priority);
    } else {
        sched.queue.push_front(core, running, priority);
    }
    Some(next(core))
}
