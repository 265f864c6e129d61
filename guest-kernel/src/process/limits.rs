//! Resource limits: a table that processes share until one of them changes, and what follows from it.
//!
//! Where something is refused on the way (memory, handles) the limit is kept there too, so that nothing
//! has to be looked up: [`apply`] brings it there. Numbers of processes and CPU time are looked at here.

use alloc::sync::Arc;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::limit::{
    DEFAULTS, FILES_MAX, HANDLES_MAX, INFINITY, Limit, LimitInfo, RESOURCES, Resource,
};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::{SIGKILL, SIGXCPU};

use super::info::times;
use super::kind::{PIDS, Process};
use crate::mm::{self, AddressSpace, Bound};
use crate::object::Core;
use crate::timer::{self, Owner};
use crate::{signal, thread, time};

/// The limits of a process, indexed by [`Resource`]; none: the defaults.
pub type LimitTable = Option<Arc<[Limit; RESOURCES]>>;

const SECOND_NS: u64 = 1_000_000_000;
/// CPU time is looked at no more often, in nanoseconds.
const LOOK_NS: u64 = 1_000_000;

impl Process {
    /// One of its limits.
    pub fn limit(&self, core: &Core, which: Resource) -> Limit {
        match self.limits.get(core) {
            Some(table) => table[which as usize],
            None => DEFAULTS[which as usize],
        }
    }

    /// Counts something that was refused.
    pub fn violated(&self, core: &mut Core, which: Resource) {
        let count = &mut self.violations.get_mut(core)[which as usize];
        *count = count.saturating_add(1);
    }
}

/// Whether `caller` may read and set the limits of `target` (`prlimit(2)`).
pub fn may_limit(core: &Core, caller: &Process, target: &Process) -> bool {
    let (own, other) = (caller.identity.get(core), target.identity.get(core));
    core::ptr::eq(caller, target)
        || own.euid == 0
        || [other.ruid, other.euid, other.suid] == [own.ruid; 3]
            && [other.rgid, other.egid, other.sgid] == [own.rgid; 3]
}

/// Sets a limit; returns the old one.
pub fn set_limit(
    core: &mut Core,
    caller: &'static Process,
    target: &'static Process,
    which: Resource,
    new: Limit,
) -> Result<Limit> {
    let old = target.limit(core, which);
    if new.soft > new.hard {
        return Err(Error::Invalid);
    }
    let most = match which {
        Resource::Files => FILES_MAX,
        Resource::Handles => HANDLES_MAX,
        _ => INFINITY,
    };
    let raises = new.hard > old.hard && caller.identity.get(core).euid != 0;
    if raises || new.hard > most {
        return Err(Error::NotPermitted);
    }
    mm::ensure_reserve()?;
    let mut table = target
        .limits
        .get(core)
        .as_deref()
        .map_or(DEFAULTS, |table| *table);
    table[which as usize] = new;
    *target.limits.get_mut(core) = Some(Arc::new(table));
    apply(core, target);
    watch_cpu(core, target);
    if !core::ptr::eq(caller, target) {
        let mut next = target.threads.first(core);
        while let Some(thread) = next {
            thread.set_limits_changed(core);
            next = target.threads.after(core, Some(thread));
        }
    }
    Ok(old)
}

/// Brings a process's limits to its memory and handles. Called when they or its user change.
pub fn apply(core: &mut Core, process: &'static Process) {
    let soft = |which| process.limit(core, which).soft;
    let pages = |bytes| match bytes {
        INFINITY => INFINITY,
        bytes => bytes / PAGE_SIZE,
    };
    let locked = match process.identity.get(core).euid {
        0 => INFINITY,
        _ => pages(soft(Resource::Locked)),
    };
    let bounds = [
        (Bound::Mapped, soft(Resource::AddressSpace)),
        (Bound::Resident, pages(soft(Resource::Resident))),
        (Bound::Locked, locked),
        (Bound::Data, soft(Resource::Data)),
        (Bound::Stack, soft(Resource::Stack)),
    ];
    let handles = soft(Resource::Handles);
    if let Some(space) = process.space(core) {
        for (bound, most) in bounds {
            space.set_limit(bound, most);
        }
    }
    process.handles.get_mut(core).set_most(handles);
}

/// Whether the user of a process may have one process or thread more.
#[inline]
pub fn check_processes(core: &mut Core, process: &Process) -> Result<()> {
    let identity = process.identity.get(core);
    if identity.ruid == 0 || identity.euid == 0 {
        return Ok(());
    }
    let most = process.limit(core, Resource::Processes).soft;
    // Whatever all have together, one user has not more.
    if u64::from(thread::live(core)) < most && u64::from(super::PROCESSES.used(core)) < most {
        return Ok(());
    }
    if of_user(core, identity.ruid) < most {
        return Ok(());
    }
    process.violated(core, Resource::Processes);
    Err(Error::WouldBlock)
}

/// Threads of a real user; a zombie counts as one.
fn of_user(core: &Core, user: u32) -> u64 {
    let mut previous = 0;
    let mut sum = 0;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        previous = pid;
        if process.identity.get(core).ruid == user {
            sum += u64::from(process.thread_count.get(core).max(1));
        }
    }
    sum
}

/// CPU time of a process, in nanoseconds.
fn cpu_ns(core: &Core, process: &Process) -> u64 {
    time::cycles_to_ns(times(core, process).0)
}

/// Times the moment at which a process with a limit of CPU time can first have reached it.
pub fn watch_cpu(core: &Core, process: &'static Process) {
    let limit = process.limit(core, Resource::Cpu);
    let used = cpu_ns(core, process);
    let past = |seconds: &u64| *seconds != INFINITY && seconds.saturating_mul(SECOND_NS) > used;
    let next = match [limit.soft, limit.hard].into_iter().filter(past).min() {
        Some(seconds) if used < limit.soft.saturating_mul(SECOND_NS) => seconds * SECOND_NS,
        // Beyond the soft limit: every second.
        _ if limit.soft != INFINITY => (used / SECOND_NS + 1) * SECOND_NS,
        _ => return process.cpu_timer.cancel(core),
    };
    let together = u64::from(process.thread_count.get(core).max(1));
    let wait = ((next - used) / together).max(LOOK_NS);
    let deadline = time::now_ns() + wait;
    timer::set(core, &process.cpu_timer, deadline, Owner::CpuLimit(process));
}

/// A process may have reached its limit of CPU time.
pub fn cpu_watched(core: &mut Core, process: &'static Process) {
    if !process.is_alive(core) {
        return;
    }
    let limit = process.limit(core, Resource::Cpu);
    let used = cpu_ns(core, process) / SECOND_NS;
    if used >= limit.hard {
        process.violated(core, Resource::Cpu);
        return super::kill(core, process, SIGKILL);
    }
    watch_cpu(core, process);
    if used >= limit.soft && process.cpu_warned.replace(core, used) != used {
        process.violated(core, Resource::Cpu);
        let info = SignalInfo {
            signo: SIGXCPU,
            code: signal::SI_KERNEL,
            ..SignalInfo::default()
        };
        // Pending once at most.
        let _ = signal::send_to_process(core, process, info);
    }
}

/// What `LimitInfo` reports; `space` is the process's, or nothing of a zombie.
pub fn describe_limits(
    core: &Core,
    process: &'static Process,
    space: Option<&AddressSpace>,
) -> LimitInfo {
    let mut info = LimitInfo::default();
    if let Some(table) = process.limits.get(core) {
        info.limits = **table;
    }
    for (sum, count) in info.violations.iter_mut().zip(process.violations.get(core)) {
        *sum = u64::from(*count);
    }
    let table = process.handles.get(core);
    let mut put = |which: Resource, used: u64, refused: u64| {
        info.used[which as usize] = used;
        info.violations[which as usize] += refused;
    };
    put(
        Resource::Handles,
        table.used().into(),
        table.violations().into(),
    );
    put(Resource::Cpu, cpu_ns(core, process) / SECOND_NS, 0);
    let user = process.identity.get(core).ruid;
    put(Resource::Processes, of_user(core, user), 0);
    if let Some(space) = space {
        let (used, refused) = space.bounds();
        let mut bound = |which, bound: Bound, unit: u64| {
            put(which, used[bound as usize] * unit, refused[bound as usize]);
        };
        bound(Resource::AddressSpace, Bound::Mapped, 1);
        bound(Resource::Resident, Bound::Resident, PAGE_SIZE);
        bound(Resource::Locked, Bound::Locked, PAGE_SIZE);
        bound(Resource::Data, Bound::Data, 1);
        bound(Resource::Stack, Bound::Stack, 1);
    }
    info
}
