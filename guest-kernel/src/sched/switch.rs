//! Who runs next.

use ferrix_abi::error::{Error, Result, encode};

use super::cpu::{CpuSched, local};
use super::turn::{Turn, end_slice, end_slice_aged};
use crate::arch::TrapFrame;
use crate::arch::cpu::{self, PerCpu};
use crate::arch::trace_point;
use crate::object::core_lock::{lock, try_lock};
use crate::object::{Core, CoreGuard};
use crate::thread::{State, Thread, current, flow, work};
use crate::{process, time, timer};

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
pub fn block_inside(mut guard: CoreGuard, caller: &'static Thread, state: State) {
    caller.state.set(&guard, state);
    process::runs_no_more(&mut guard, caller);
    let next = next(&guard);
    switch(guard, next);
}

/// Takes the next thread to run on this CPU out of its queue, and times its slice.
#[inline(always)]
pub fn next(core: &Core) -> &'static Thread {
    let sched = local();
    match sched.queue.pop(core) {
        Some(thread) => {
            time_slice(core, sched);
            thread
        }
        None => {
            sched.slice_end.set(core, 0);
            idle_thread(core, sched)
        }
    }
}

/// As [`next`], if that is the only one that waits, has no work at its return to user mode, and need not be timed.
#[inline(always)]
pub fn only_next(core: &Core, cpu: &PerCpu) -> Option<&'static Thread> {
    let queue = &cpu.sched.queue;
    if queue.length(core) != 1 {
        return None;
    }
    let next = queue.first(core)?;
    if next.work.get(core) & work::AT_RETURN != 0 || !is_timed(core, cpu) {
        return None;
    }
    queue.clear(core);
    Some(next)
}

/// Whether nothing is to be done about the slice when another thread runs, or when somebody begins to wait.
#[inline(always)]
pub fn is_timed(core: &Core, cpu: &PerCpu) -> bool {
    cpu.sched.slice_end.get(core) != 0
}

fn idle_thread(core: &Core, sched: &CpuSched) -> &'static Thread {
    match sched.idle.get(core) {
        Some(idle) => idle,
        None => unreachable!("a CPU schedules only after it has entered its idle loop"),
    }
}

/// Times a slice if anybody waits. One that is timed already goes on: who takes over from a thread that waits gets the
/// rest of it. Nor does it matter who runs: a server, or a thread that does not share, may hand the CPU over to one that
/// does without a look at the queue.
#[inline(always)]
pub(super) fn time_slice(core: &Core, sched: &'static CpuSched) {
    if sched.slice_end.get(core) == 0 && sched.queue.length(core) != 0 {
        start_slice(core, sched);
    }
}

#[cold]
fn start_slice(core: &Core, sched: &'static CpuSched) {
    let slice = time::ns_to_cycles(SLICE_NS);
    sched.slice.set(core, slice);
    let end = time::cycles() + slice;
    sched.slice_end.set(core, end);
    timer::arm(core, sched, end);
}

/// Accounts the time since the last switch, and notes that `thread`, whose CPU is this one already, runs.
#[inline(always)]
fn change(core: &Core, cpu: &PerCpu, previous: &Thread, thread: &'static Thread) {
    let sched = &cpu.sched;
    let now = time::cycles();
    let ran = now.wrapping_sub(sched.since.replace(core, now));
    previous
        .cycles
        .set(core, previous.cycles.get(core).wrapping_add(ran));
    previous.switches.set(core, previous.switches.get(core) + 1);
    trace_point::count_switch(core, thread);
    thread.state.set(core, State::Running);
}

/// As a switch does, accounts the time of a thread that runs, and goes on.
pub(super) fn settle_time(core: &Core, thread: &Thread) {
    let sched = &cpu::cpu(thread.sched.cpu.get(core) as usize).sched;
    note_nice(core, sched, thread);
    let now = time::cycles();
    let ran = now.saturating_sub(sched.since.replace(core, now));
    thread.cycles.set(core, thread.cycles.get(core) + ran);
}

/// Adds the time since the last switch to what nice threads have had, if `running` is one.
#[inline(always)]
fn note_nice(core: &Core, sched: &CpuSched, running: &Thread) {
    if running.work.get(core) & work::NICE != 0 {
        let ran = time::cycles().saturating_sub(sched.since.get(core));
        sched
            .nice_cycles
            .set(core, sched.nice_cycles.get(core) + ran);
    }
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
    let cpu = cpu::this_cpu();
    let previous = current();
    note_nice(&guard, &cpu.sched, previous);
    note_work(cpu, thread.work.get(&guard) & work::AT_RETURN);
    hand_over(guard, cpu, previous, thread)
}

/// As [`resume`], from the current thread, which is not nice, to one with no work at its return to user mode.
#[inline(always)]
pub fn hand_over(
    guard: CoreGuard,
    cpu: &PerCpu,
    previous: &'static Thread,
    thread: &'static Thread,
) -> ! {
    change(&guard, cpu, previous, thread);
    flow::resume(guard, previous, thread)
}

/// Runs `thread` in the middle of the current one's work; returns when that runs again.
pub(super) fn switch(guard: CoreGuard, thread: &'static Thread) {
    let previous = current();
    let cpu = cpu::this_cpu();
    note_nice(&guard, &cpu.sched, previous);
    note_work(cpu, thread.work.get(&guard) & work::AT_RETURN);
    change(&guard, cpu, previous, thread);
    flow::switch(guard, previous, thread);
}

/// The current thread gives up the rest of its slice.
///
/// Usually to an equal, in a slice that is timed already: this is the way of few instructions.
#[inline(always)]
pub fn yield_current() -> Next {
    let Some(guard) = try_lock() else {
        return yield_unusually();
    };
    let (cpu, caller) = (cpu::this_cpu(), current());
    let queue = &cpu.sched.queue;
    let (above, priority) = (queue.above(&guard), caller.sched.priority.get(&guard));
    if above <= priority {
        return Next::Caller;
    }
    match queue.first(&guard) {
        Some(next)
            if above - 1 == priority
                && is_timed(&guard, cpu)
                && next.work.get(&guard) & work::AT_RETURN == 0
                && caller.work.get(&guard) & work::NICE == 0 =>
        {
            queue.exchange(&guard, next, caller);
            caller.state.set(&guard, State::Ready);
            hand_over(guard, cpu, caller, next)
        }
        _ => {
            drop(guard);
            yield_unusually()
        }
    }
}

#[inline(never)]
fn yield_unusually() -> Next {
    let guard = lock();
    let (sched, caller) = (local(), current());
    let priority = caller.sched.priority.get(&guard);
    let urgent = sched.queue.above(&guard) > priority;
    let Some(next) = urgent.then(|| sched.queue.pop(&guard)).flatten() else {
        return Next::Caller;
    };
    caller.state.set(&guard, State::Ready);
    sched.queue.push_back(&guard, caller, priority);
    time_slice(&guard, sched);
    Next::Switch(guard, next)
}

/// At the time stamp `now` the timer says that the slice of the running thread is over. If nobody takes over, the next
/// one begins; the caller sets the timer.
pub fn slice_expired(core: &Core, sched: &'static CpuSched, now: u64) {
    let running = current();
    let turn = end_slice(core, &sched.queue, &running.sched);
    begin_turn(core, sched, running, turn, now);
}

/// As [`slice_expired`]. Returns when the next slice ends; 0: none has begun. None: nothing has changed, for somebody
/// waits at the top, which takes longer.
#[inline(always)]
pub fn slice_expired_below_top(core: &Core, sched: &'static CpuSched, now: u64) -> Option<u64> {
    let above = sched.queue.age_below_top(core)?;
    let running = current();
    let turn = end_slice_aged(core, above, &running.sched);
    Some(begin_turn(core, sched, running, turn, now))
}

#[inline(always)]
fn begin_turn(
    core: &Core,
    sched: &'static CpuSched,
    running: &Thread,
    turn: Turn,
    now: u64,
) -> u64 {
    let end = match turn {
        Turn::Another => {
            sched.slice_over.set(core, running.sched.shares(core));
            cpu::this_cpu().set_need_resched();
            0
        }
        Turn::Again => now + sched.slice.get(core),
        Turn::Alone => 0,
    };
    sched.slice_end.set(core, end);
    end
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
        time_slice(core, sched);
        return None;
    }
    running.state.set(core, State::Ready);
    running
        .preemptions
        .set(core, running.preemptions.get(core) + 1);
    if leaves || over {
        super::wake::place_preempted(core, running, priority);
    } else {
        sched.queue.push_front(core, running, priority);
    }
    Some(next(core))
}
