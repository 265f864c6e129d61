//! New processes.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;
use ferrix_abi::error::Result;
use ferrix_abi::limit::RESOURCES;
use ferrix_abi::process::ARGUMENTS_MAX;

use super::halt::Halt;
use super::kind::{Life, PIDS, PROCESSES, Process, count_fork};
use super::limits::{self, check_processes};
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::mm::{AddressSpace, KernelStack};
use crate::object::core_lock::{lock, with_lock};
use crate::object::table::{Copied, HandleTable};
use crate::object::{Core, Object};
use crate::thread::by_tid;
use crate::{sched, thread, time};

/// Places of a handle table that are copied in one section of the core lock.
const COPIED_AT_ONCE: usize = 32;

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
    process.halt.set(core, Halt::NONE);
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
    let space = super::with_current_space(AddressSpace::fork);
    let copied = space.and_then(|space| {
        let stack = KernelStack::new()?;
        Ok((space, stack, copy_handles(parent)?))
    });
    cpu::disable_interrupts();
    let (space, stack, handles) = copied?;
    let mut core = lock();
    let child = match check_processes(&mut core, parent)
        .and_then(|()| create_empty(&mut core, Some(parent), space, &[]))
    {
        Ok(child) => child,
        Err(error) => {
            super::end::close_all(core, handles);
            return Err(error);
        }
    };
    inherit(&mut core, parent, child, handles);
    match thread::fork_current(&mut core, child, frame, stack) {
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

/// The child's handles. Interrupts are on: the core lock is held for a few places at a time.
fn copy_handles(parent: &'static Process) -> Result<HandleTable<Object>> {
    let mut copy = HandleTable::new();
    loop {
        let step = with_lock(|core| {
            let table = parent.handles.get(core);
            table.fork_some(&mut copy, COPIED_AT_ONCE, |object, rights| {
                object.retain(core, rights);
                object.clone()
            })
        });
        match step {
            Ok(Copied::Some) => {}
            Ok(Copied::All) => return Ok(copy),
            Err(error) => {
                cpu::disable_interrupts();
                super::end::close_all(lock(), copy);
                cpu::enable_interrupts();
                return Err(error);
            }
        }
    }
}

/// What a child has from its parent, besides memory and group.
fn inherit(
    core: &mut Core,
    parent: &'static Process,
    child: &'static Process,
    handles: HandleTable<Object>,
) {
    *child.handles.get_mut(core) = handles;
    let mut arguments = ArrayVec::<u8, ARGUMENTS_MAX>::new();
    // As one piece, unlike `clone`.
    let _ = arguments.try_extend_from_slice(parent.arguments.get(core));
    child.set_arguments(core, &arguments);
    child.personality.set(core, parent.personality.get(core));
    child.signals.inherit(core, &parent.signals);
}
