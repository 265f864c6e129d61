//! New processes.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::error::Result;
use ferrix_abi::limit::RESOURCES;

use super::kind::{Life, PIDS, PROCESSES, Process, count_fork};
use super::limits::{self, check_processes};
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::mm::AddressSpace;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::object::table::HandleTable;
use crate::thread::by_tid;
use crate::{sched, thread, time};

/// Numbers that are tried for a process before one is taken that a thread has too.
const TRIES: usize = 64;

/// A number that nothing refers to, and that no thread has, if possible: the first thread is to get it too.
fn allocate_pid(core: &Core, process: &'static Process) -> Result<u32> {
    let referred = |id| is_referred(core, id);
    for _ in 0..TRIES {
        let pid = PIDS.allocate(core, process, referred)?;
        if by_tid(core, pid).is_none() {
            return Ok(pid);
        }
        PIDS.release(core, pid);
    }
    PIDS.allocate(core, process, referred)
}

/// An empty process, child of `parent` (none: it is init).
pub fn create_empty(
    core: &mut Core,
    parent: Option<&'static Process>,
    space: Arc<AddressSpace>,
    arguments: &[u8],
) -> Result<&'static Process> {
    let process = PROCESSES.take(core)?;
    let pid = allocate_pid(core, process).inspect_err(|_| PROCESSES.give(core, process))?;
    process.pid.set(core, pid);
    process.life.set(core, Life::Made);
    process.references.set(core, 0);
    process.set_space(core, space);
    *process.handles.get_mut(core) = HandleTable::new();
    process.thread_count.set(core, 0);
    process.stopped.set(core, false);
    process.report.set(core, None);
    process.personality.set(core, None);
    process.executed.set(core, false);
    process.start_ns.set(core, time::now_ns());
    process.cycles.set(core, (0, 0));
    process.child_cycles.set(core, (0, 0));
    process.serves.store(false, Relaxed);
    process.is_first.set(core, false);
    *process.violations.get_mut(core) = [0; RESOURCES];
    process.signals.reset(core);
    process.set_arguments(core, arguments);
    process.parent.set(core, parent);
    let (group, session, identity) = match parent {
        Some(parent) => {
            parent.children.push_back(core, process);
            (
                parent.group.get(core),
                parent.session.get(core),
                parent.identity.get(core),
            )
        }
        None => (pid, pid, Default::default()),
    };
    process.group.set(core, group);
    process.session.set(core, session);
    process.identity.set(core, identity);
    let limits = parent.and_then(|parent| parent.limits.get(core).clone());
    *process.limits.get_mut(core) = limits;
    count_fork(core);
    Ok(process)
}

/// Whether a group or session still has this number.
fn is_referred(core: &Core, id: u32) -> bool {
    let mut previous = 0;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        if process.group.get(core) == id || process.session.get(core) == id {
            return true;
        }
        previous = pid;
    }
    false
}

/// Undoes [`create_empty`] for a process that never had a thread.
fn discard(core: &mut Core, process: &'static Process) -> Option<Arc<AddressSpace>> {
    if let Some(parent) = process.parent.take(core) {
        parent.children.remove(core, process);
    }
    PIDS.release(core, process.pid.get(core));
    process.life.set(core, Life::Gone);
    let space = process.take_space(core);
    process.release_if_unused(core);
    space
}

/// Copies the calling process; returns the child's pid. The child's thread returns 0.
pub fn fork(frame: &TrapFrame) -> Result<u64> {
    let parent = thread::current_process();
    cpu::enable_interrupts();
    let copy = super::with_current_space(AddressSpace::fork);
    cpu::disable_interrupts();
    let space = copy?;
    let mut core = lock();
    check_processes(&mut core, parent)?;
    let child = create_empty(&mut core, Some(parent), space, &[])?;
    let result = inherit(&mut core, parent, child)
        .and_then(|()| thread::fork_current(&mut core, child, frame));
    match result {
        Ok(thread) => {
            child.life.set(&core, Life::Alive);
            if child.limits.get(&core).is_some() {
                child.cpu_warned.set(&core, 0);
                limits::watch_cpu(&core, child);
            }
            sched::place(&core, thread);
            Ok(child.pid.get(&core) as u64)
        }
        Err(error) => {
            let (handles, space) = (
                core::mem::take(child.handles.get_mut(&mut core)),
                discard(&mut core, child),
            );
            super::end::close_all(core, handles);
            drop(space);
            Err(error)
        }
    }
}

/// What a child has from its parent, besides memory and group.
fn inherit(core: &mut Core, parent: &'static Process, child: &'static Process) -> Result<()> {
    let held = &*core;
    let copy = parent.handles.get(held).fork(|object, rights| {
        object.retain(held, rights);
        object.clone()
    })?;
    *child.handles.get_mut(core) = copy;
    let arguments = parent.arguments.get(core).clone();
    *child.arguments.get_mut(core) = arguments;
    child.personality.set(core, parent.personality.get(core));
    child.signals.inherit(core, &parent.signals);
    Ok(())
}
