//! Stopping and continuing a process: job control.

use super::kind::{Life, Process};
use super::waiting::Report;
use crate::object::{Core, CoreGuard};
use crate::sched;
use crate::signal;
use crate::thread::{State, Thread, work};

/// Stops a process: threads that run stop at their next return to user mode, those that wait go on
/// waiting, but not beyond.
pub fn stop(core: &mut Core, process: &'static Process, by: u32) {
    if process.life.get(core) != Life::Alive || process.stopped.replace(core, true) {
        return;
    }
    process.report.set(core, Some(Report::Stopped(by)));
    for thread in process.threads.iter(core) {
        if thread.state.get(core) == State::Ready {
            // It may be in the middle of the kernel: it stops on its way out.
            thread.work.set(core, thread.work.get(core) | work::STOP);
        } else {
            thread.add_work(core, work::STOP);
        }
    }
    if let Some(parent) = process.parent.get(core) {
        signal::child_changed(core, parent, Some(process));
    }
}

/// Continues a process if it is stopped.
pub fn continue_all(core: &mut Core, process: &'static Process) {
    if !process.stopped.replace(core, false) {
        return;
    }
    process.report.set(core, Some(Report::Continued));
    for thread in process.threads.iter(core) {
        thread.clear_work(core, work::STOP);
        if thread.state.get(core) == State::Stopped {
            sched::place(core, thread);
        }
    }
    if let Some(parent) = process.parent.get(core) {
        signal::child_changed(core, parent, Some(process));
    }
}

/// The current thread, on its way to user mode, finds its process stopped.
pub fn stop_current(guard: CoreGuard, caller: &'static Thread) {
    caller.state.set(&guard, State::Stopped);
    let next = sched::next(&guard);
    sched::resume(guard, next)
}
