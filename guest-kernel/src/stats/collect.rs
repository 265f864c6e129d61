//! Filling [`SystemStats`].

use ferrix_abi::info::SystemStats;

use super::INTERRUPTS;
use crate::ipc::{PORTS, SESSIONS};
use crate::mm::{self, VmObject, fault};
use crate::object::Core;
use crate::object::core_lock::with_lock;
use crate::process::{self, PIDS, PROCESSES};
use crate::{sched, thread};

/// Processes whose handles are counted in one section of the core lock.
const COUNTED_AT_ONCE: usize = 16;

/// Counts the rest. Dead threads are freed before ([`thread::reap`]), so that two counts around a balanced stretch of
/// work agree.
pub fn collect(core: &Core, before: &Before) -> SystemStats {
    let memory = &before.memory;
    SystemStats {
        total_pages: memory.total,
        free_pages: memory.free,
        kernel_pages: memory.kernel,
        table_pages: memory.tables,
        processes: PROCESSES.used(core) as u64,
        threads: thread::live(core) as u64,
        handles: before.handles,
        objects: VmObject::count(),
        ports: PORTS.used(core) as u64,
        sessions: SESSIONS.used(core) as u64,
        switches: sched::switches(core),
        interrupts: INTERRUPTS.get(),
        faults: fault::count(),
        calls: 0,
        forks: process::forks(core),
        idle_ns: sched::idle_nanoseconds(core),
        shoot_downs: mm::tlb::shoot_downs(),
        load: sched::load_averages(core),
    }
}

/// What is counted without the core lock.
#[derive(Debug)]
pub struct Before {
    memory: mm::Statistics,
    handles: u64,
}

/// Counts it. Interrupts are on.
pub fn before() -> Before {
    let handles = handles();
    Before {
        memory: mm::statistics(),
        handles,
    }
}

/// Handles of all processes: the core lock is held for a few processes at a time.
fn handles() -> u64 {
    let mut previous = Some(0);
    let mut sum = 0;
    while let Some(first) = previous {
        previous = with_lock(|core| {
            let mut last = first;
            for _ in 0..COUNTED_AT_ONCE {
                let (pid, process) = PIDS.next_used(core, last)?;
                sum += process.handles.get(core).used() as u64;
                last = pid;
            }
            Some(last)
        });
    }
    sum
}
