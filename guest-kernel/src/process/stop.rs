//! Stopping and continuing a process: job control.

use super::halt::Halt;
use super::kind::{Life, Process};
use super::waiting::Report;
use crate::object::{Core, CoreGuard};
use crate::sched;
use crate::signal;
use crate::thread::{State, Thread, work};

/// Stops a process: threads that run stop at their next return to user mode, those that wait go on
/// waiting, but not beyond. The parent is told when none runs any more.
pub fn stop(core: &mut Core, process: &'static Process, by: u32) {
    if process.life.get(core) != Life::Alive || process.stopped.replace(core, true) {
        return;
    }
    let mut running = 0;
    for thread in process.threads.iter(core) {
        // One that is ready may be in the middle of the kernel: it stops on its way out.
        let runs = matches!(thread.state.get(core), State::Running | State::Ready);
        running += u32::from(runs);
        let awaited = if runs { work::AWAITED } else { 0 };
        thread.add_work(core, work::STOP | awaited);
    }
    advance(core, process, Halt::new(by, running), Halt::report);
}

/// A thread does not run any more: it has stopped, begins to wait, or ends. If it was the last one that the report of a
/// stop waits for, the parent is told.
pub fn runs_no_more(core: &mut Core, thread: &'static Thread) {
    if thread.work.get(core) & work::AWAITED != 0 {
        thread.clear_work(core, work::AWAITED);
        let process = thread.process();
        advance(core, process, process.halt.get(core), Halt::one_less);
    }
}

/// Notes where a stop is after a step, and reports it if it is done.
fn advance(
    core: &mut Core,
    process: &'static Process,
    mut halt: Halt,
    step: fn(&mut Halt) -> Option<u32>,
) {
    let done = step(&mut halt);
    process.halt.set(core, halt);
    if let Some(by) = done {
        report(core, process, Report::Stopped(by));
    }
}

fn report(core: &mut Core, process: &'static Process, report: Report) {
    process.report.set(core, Some(report));
    if let Some(parent) = process.parent.get(core) {
        signal::child_changed(core, parent, Some(process));
    }
}

/// Continues a process if it is stopped.
pub fn continue_all(core: &mut Core, process: &'static Process) {
    if !process.stopped.replace(core, false) {
        return;
    }
    process.halt.set(core, Halt::NONE);
    for thread in process.threads.iter(core) {
        thread.clear_work(core, work::STOP | work::AWAITED);
        if thread.state.get(core) == State::Stopped {
            sched::place(core, thread);
        }
    }
    report(core, process, Report::Continued);
}

/// The current thread, on its way to user mode, finds its process stopped.
pub fn stop_current(mut guard: CoreGuard, caller: &'static Thread) {
    caller.state.set(&guard, State::Stopped);
    runs_no_more(&mut guard, caller);
    let next = sched::next(&guard);
    sched::resume(guard, next)
}
