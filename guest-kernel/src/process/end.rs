//! The end of a process: its threads end, the last one frees what it has, its parent is told.

use alloc::sync::Arc;

use super::halt::Halt;
use super::kind::{InitPid, Life, PIDS, Process};
use super::waiting::Report;
use crate::arch::cpu;
use crate::ipc;
use crate::mm::{oom, tlb};
use crate::object::core_lock::lock;
use crate::object::table::HandleTable;
use crate::object::{Core, CoreGuard, Object};
use crate::sched;
use crate::signal;
use crate::thread::{self, State, Thread, work};

/// The calling process ends with `status`, as `wait4` encodes it.
pub fn exit(status: u32) -> ! {
    let mut core = lock();
    kill(&mut core, thread::current_process(), status);
    drop(core);
    thread::end_current()
}

/// A process ends with `status`: all its threads do. The first status counts.
pub fn kill(core: &mut Core, process: &'static Process, status: u32) {
    match process.life.get(core) {
        Life::Alive => {}
        Life::Made => return finish_unstarted(core, process, status),
        _ => return,
    }
    assert!(
        process.pid.get(core) != InitPid::PID,
        "init ended with status {status:#x}: nothing can run without it"
    );
    process.life.set(core, Life::Ending);
    process.report.set(core, Some(Report::Ended(status)));
    process.stopped.set(core, false);
    process.halt.set(core, Halt::NONE);
    let mut next = process.threads.first(core);
    while let Some(thread) = next {
        next = process.threads.after(core, Some(thread));
        thread::kill(core, thread);
    }
}

/// Ends all threads of the caller's process but the caller, and waits for their end: what they do then, to locks that
/// they held, is done. Not so if the caller is killed meanwhile.
pub fn end_others(mut core: CoreGuard, caller: &'static Thread) -> CoreGuard {
    let process = caller.process();
    let mut next = process.threads.first(&core);
    while let Some(thread) = next {
        next = process.threads.after(&core, Some(thread));
        if !core::ptr::eq(thread, caller) {
            thread::kill(&mut core, thread);
        }
    }
    while process.thread_count.get(&core) > 1 && caller.work.get(&core) & work::KILL == 0 {
        process.survivor.set(&core, Some(caller));
        sched::block_inside(core, caller, State::Alone);
        core = lock();
    }
    core
}

/// A thread has left its process: who waits to be the only one looks.
pub fn thread_left(core: &Core, process: &'static Process) {
    if let Some(survivor) = process.survivor.take(core) {
        sched::wake(core, survivor);
    }
}

/// A process without threads is killed: nobody else would free what it has.
fn finish_unstarted(core: &mut Core, process: &'static Process, status: u32) {
    process.life.set(core, Life::Ending);
    process.report.set(core, Some(Report::Ended(status)));
    let handles = core::mem::take(process.handles.get_mut(core));
    abandon(core, handles);
    release_space(process.take_space(core));
    become_zombie(core, process);
}

fn release_space(space: Option<Arc<crate::mm::AddressSpace>>) {
    drop(space);
}

/// Closes all handles of a table, under a core lock that is already held throughout.
fn abandon(core: &mut Core, mut handles: HandleTable<Object>) {
    while let Some((object, rights)) = handles.pop() {
        object.release(core, rights);
    }
}

/// Closes all handles of a table, letting others at the core lock in between.
pub(super) fn close_all(guard: CoreGuard, mut handles: HandleTable<Object>) {
    drop(guard);
    while let Some((object, rights)) = handles.pop() {
        object.release(&mut lock(), rights);
        drop(object);
    }
}

/// The last thread of a process, running, frees what the process has. Afterwards it is a zombie and the
/// thread has no user memory any more. Returns with the core lock held.
pub fn finish(guard: CoreGuard, process: &'static Process, last: &'static Thread) -> CoreGuard {
    let mut core = guard;
    process.life.set(&core, Life::Ending);
    if process
        .report
        .get(&core)
        .is_none_or(|report| !matches!(report, Report::Ended(_)))
    {
        process.report.set(&core, Some(Report::Ended(0)));
    }
    process.signals.disarm(&mut core);
    process.cpu_timer.cancel(&core);
    ipc::server_died(&mut core, process);
    let handles = core::mem::take(process.handles.get_mut(&mut core));
    close_all(core, handles);
    let mut core = lock();
    last.arch_mut(&mut core).set_root(tlb::kernel_root());
    let space = process.take_space(&core);
    drop(core);
    cpu::enable_interrupts();
    release_space(space);
    cpu::disable_interrupts();
    let mut core = lock();
    oom::memory_freed(&core);
    become_zombie(&mut core, process);
    core
}

/// Gives the children to init, and tells the parent.
fn become_zombie(core: &mut Core, process: &'static Process) {
    process.life.set(core, Life::Zombie);
    adopt_children(core, process);
    let Some(parent) = process.parent.get(core) else {
        return;
    };
    if parent.signals.leaves_no_zombies(core) {
        reap(core, process);
        signal::child_changed(core, parent, None);
    } else {
        signal::child_changed(core, parent, Some(process));
    }
}

fn adopt_children(core: &mut Core, process: &'static Process) {
    let Some(init) = PIDS.get(core, InitPid::PID) else {
        return;
    };
    let mut orphaned_zombie = false;
    while let Some(child) = process.children.pop_front(core) {
        if child.life.get(core) == Life::Made {
            // Nobody would start it.
            child.parent.set(core, None);
            finish_unstarted(core, child, 0);
            reap(core, child);
            continue;
        }
        child.parent.set(core, Some(init));
        init.children.push_back(core, child);
        orphaned_zombie |= child.life.get(core) == Life::Zombie;
    }
    if orphaned_zombie {
        signal::child_changed(core, init, None);
    }
}

/// The parent has taken note of a zombie: its id is free.
pub fn reap(core: &mut Core, process: &'static Process) {
    if let Some(parent) = process.parent.take(core) {
        parent.children.remove(core, process);
        let (own, below) = (process.cycles.get(core), process.child_cycles.get(core));
        let (all, system) = parent.child_cycles.get(core);
        parent
            .child_cycles
            .set(core, (all + own.0 + below.0, system + own.1 + below.1));
    }
    PIDS.release(core, process.pid.get(core));
    process.life.set(core, Life::Gone);
    process.release_if_unused(core);
}
