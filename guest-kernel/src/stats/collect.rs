//! Filling [`SystemStats`].

use ferrix_abi::info::SystemStats;

use super::INTERRUPTS;
use crate::ipc::{PORTS, SESSIONS};
use crate::mm::{self, VmObject, fault};
use crate::object::Core;
use crate::process::{self, PIDS, PROCESSES};
use crate::{sched, thread};

/// Counts everything. Dead threads are freed before ([`thread::reap`]), so that two counts around a balanced stretch of
/// work agree.
pub fn collect(core: &Core) -> SystemStats {
    let memory = mm::statistics();
    SystemStats {
        total_pages: memory.total,
        free_pages: memory.free,
        kernel_pages: memory.kernel,
        table_pages: memory.tables,
        processes: PROCESSES.used(core) as u64,
        threads: thread::live(core) as u64,
        handles: handles(core),
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

fn handles(core: &Core) -> u64 {
    let mut previous = 0;
    let mut sum = 0;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        sum += process.handles.get(core).used() as u64;
        previous = pid;
    }
    sum
}
