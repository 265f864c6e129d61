//! A CPU's scheduling state, and the CPUs' loads.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ferrix_abi::info::CpuInfo;

use super::averages::Averages;
use super::queue::RunQueue;
use super::switch::running_on;
use crate::arch::cpu;
use crate::object::{Core, CoreCell};
use crate::thread::{Thread, work};
use crate::time;
use crate::timer::Owner;
use crate::timer::queue::DeadlineQueue;

/// The scheduler's part of a CPU.
#[derive(Debug)]
pub struct CpuSched {
    /// Threads that are ready.
    pub queue: RunQueue<Thread>,
    /// Deadlines of threads that blocked here.
    pub timers: DeadlineQueue<Owner>,
    /// The thread that runs when no other does.
    pub idle: CoreCell<Option<&'static Thread>>,
    /// The time stamp at which the running thread's slice ends; 0: it is not timed.
    pub slice_end: CoreCell<u64>,
    /// Cycles in a slice, since the first one.
    pub slice: CoreCell<u64>,
    /// The time stamp that the timer is set to; 0: it is not set.
    pub armed: CoreCell<u64>,
    /// Whether the slice is over.
    pub slice_over: CoreCell<bool>,
    /// Time stamp of the last switch.
    pub since: CoreCell<u64>,
    /// The time stamp at which this CPU looks at the loads again.
    pub look: CoreCell<u64>,
    /// Cycles in long system calls and faults here.
    pub system_cycles: CoreCell<u64>,
    /// Cycles of threads that are nice, in the kernel or not, up to the last switch.
    pub nice_cycles: CoreCell<u64>,
    /// Of these, cycles in long system calls and faults.
    pub nice_system_cycles: CoreCell<u64>,
    /// Switches here.
    pub switches: CoreCell<u64>,
    /// Work that an interrupt left for when no lock is held: see [`defer`](super::defer).
    pub deferred: AtomicU32,
    /// Bits of the GSIs that arrived meanwhile.
    pub deferred_gsis: [AtomicU32; 2],
}

impl CpuSched {
    /// All zero, so that it costs nothing in the kernel's image.
    pub const fn new() -> CpuSched {
        CpuSched {
            queue: RunQueue::new(),
            timers: DeadlineQueue::new(),
            idle: CoreCell::new(None),
            slice_end: CoreCell::new(0),
            slice: CoreCell::new(0),
            armed: CoreCell::new(0),
            slice_over: CoreCell::new(false),
            since: CoreCell::new(0),
            look: CoreCell::new(0),
            system_cycles: CoreCell::new(0),
            nice_cycles: CoreCell::new(0),
            nice_system_cycles: CoreCell::new(0),
            switches: CoreCell::new(0),
            deferred: AtomicU32::new(0),
            deferred_gsis: [const { AtomicU32::new(0) }; 2],
        }
    }

    /// Whether work is deferred.
    pub fn has_deferred(&self) -> bool {
        self.deferred.load(Relaxed) != 0
    }
}

impl Default for CpuSched {
    fn default() -> Self {
        Self::new()
    }
}

/// This CPU's state.
#[inline(always)]
pub fn local() -> &'static CpuSched {
    &cpu::this_cpu().sched
}

/// Threads that run or are ready on a CPU.
pub(super) fn load(core: &Core, id: usize) -> u32 {
    let busy = !super::running_on(core, id).is_none_or(Thread::is_idle);
    cpu::cpu(id).sched.queue.length(core) + busy as u32
}

/// The CPU with the fewest runnable threads, as of the last look.
static LEAST_LOADED: CoreCell<u8> = CoreCell::new(0);

/// Looks for the CPU with the fewest runnable threads.
#[inline(never)]
pub fn refresh_hint(core: &Core) {
    let least = (0..cpu::cpu_count()).min_by_key(|&id| load(core, id));
    LEAST_LOADED.set(core, least.unwrap_or(0) as u8);
}

/// The CPU that new threads should go to.
pub(super) fn hint(core: &Core) -> usize {
    LEAST_LOADED.get(core) as usize
}

/// This CPU has nothing to do.
pub(super) fn set_hint(core: &Core, id: usize) {
    LEAST_LOADED.set(core, id as u8);
}

/// Context switches since boot.
pub fn switches(core: &Core) -> u64 {
    (0..cpu::cpu_count())
        .map(|id| cpu::cpu(id).sched.switches.get(core))
        .sum()
}

/// Idle time of all CPUs, in nanoseconds.
pub fn idle_nanoseconds(core: &Core) -> u64 {
    let cycles = (0..cpu::cpu_count()).map(|id| idle_cycles(core, id));
    crate::time::cycles_to_ns(cycles.sum())
}

/// Cycles that a CPU had no thread to run.
fn idle_cycles(core: &Core, id: usize) -> u64 {
    let idle = cpu::cpu(id).sched.idle.get(core);
    idle.map_or(0, |idle| idle.cycles_now(core))
}

/// Cycles of nice threads in user mode, up to now.
fn nice_cycles(core: &Core, id: usize) -> u64 {
    let sched = &cpu::cpu(id).sched;
    let running = running_on(core, id).filter(|thread| thread.work.get(core) & work::NICE != 0);
    let now = running.map_or(0, |_| time::cycles().saturating_sub(sched.since.get(core)));
    (sched.nice_cycles.get(core) + now).saturating_sub(sched.nice_system_cycles.get(core))
}

/// What a CPU has done. Its times add up to the time since boot.
pub fn cpu_info(core: &Core, id: usize) -> CpuInfo {
    let sched = &cpu::cpu(id).sched;
    let idle_ns = time::cycles_to_ns(idle_cycles(core, id));
    let busy_ns = time::now_ns().saturating_sub(idle_ns);
    let system_ns = time::cycles_to_ns(sched.system_cycles.get(core)).min(busy_ns);
    let nice_ns = time::cycles_to_ns(nice_cycles(core, id)).min(busy_ns - system_ns);
    CpuInfo {
        user_ns: busy_ns - system_ns - nice_ns,
        nice_ns,
        system_ns,
        idle_ns,
        switches: sched.switches.get(core),
        runnable: load(core, id).into(),
    }
}

/// Samples of the load, and their averages.
static AVERAGES: CoreCell<Averages> = CoreCell::new(Averages::new());

/// Takes a sample of the load, if one is due.
pub fn sample_load(core: &Core, now: u64) {
    let mut averages = AVERAGES.get(core);
    if averages.is_due(now) {
        let cpus = cpu::cpu_count();
        let waiting: u32 = (0..cpus)
            .map(|id| cpu::cpu(id).sched.queue.length(core))
            .sum();
        averages.sample(now, cpus as u64, idle_nanoseconds(core), waiting.into());
        AVERAGES.set(core, averages);
    }
}

/// The load averaged over 1, 5 and 15 minutes.
pub fn load_averages(core: &Core) -> [u64; 3] {
    sample_load(core, time::now_ns());
    AVERAGES.get(core).values()
}
