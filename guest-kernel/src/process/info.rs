//! What can be asked of a process.

use ferrix_abi::process::{ARGUMENTS_MAX, ProcessInfo, state};

use super::kind::{Life, Process};
use crate::mm::Usage;
use crate::object::Core;
use crate::thread::{State, Thread};
use crate::time;

/// Cycles of all threads, dead and alive: in all, and those in the kernel.
pub fn times(core: &Core, process: &Process) -> (u64, u64) {
    process
        .threads
        .iter(core)
        .fold(process.cycles.get(core), |(all, system), thread| {
            (
                all + thread.cycles_now(core),
                system + thread.system_cycles.get(core),
            )
        })
}

/// The record of a process. `usage` is what its address space says.
pub fn describe(core: &Core, process: &'static Process, usage: Usage) -> ProcessInfo {
    let (all, system) = times(core, process);
    let system_ns = time::cycles_to_ns(system);
    let highest = process
        .threads
        .iter(core)
        .max_by_key(|thread| thread.sched.parameters(core).base);
    let parameters = highest.map(|thread| thread.sched.parameters(core));
    let text = process.arguments.get(core);
    let mut arguments = [0; ARGUMENTS_MAX];
    arguments[..text.len()].copy_from_slice(text);
    ProcessInfo {
        pid: process.pid.get(core),
        parent: process
            .parent
            .get(core)
            .map_or(0, |parent| parent.pid.get(core)),
        group: process.group.get(core),
        session: process.session.get(core),
        state: letter(core, process),
        priority: parameters.map_or(0, |parameters| parameters.base),
        policy: parameters.map_or(0, |parameters| parameters.policy.into()),
        cpu: highest.map_or(0, |thread| thread.sched.cpu.get(core)),
        threads: process.thread_count.get(core),
        handles: process.handles.get(core).used(),
        uid: process.identity.get(core).ruid,
        virtual_bytes: usage.mapped_bytes,
        resident_pages: usage.resident_pages,
        user_ns: time::cycles_to_ns(all).saturating_sub(system_ns),
        system_ns,
        start_ns: process.start_ns.get(core),
        arguments,
        arguments_length: text.len() as u32,
        has_personality: process.personality.get(core).is_some() as u32,
    }
}

fn letter(core: &Core, process: &Process) -> u8 {
    let runs = |thread: &Thread| matches!(thread.state.get(core), State::Running | State::Ready);
    match process.life.get(core) {
        Life::Zombie => state::ZOMBIE,
        _ if process.stopped.get(core) => state::STOPPED,
        _ if process.threads.iter(core).any(runs) => state::RUNNING,
        _ => state::SLEEPING,
    }
}
