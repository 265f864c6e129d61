//! What threads and CPUs do.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::info::CpuInfo;
use ferrix_abi::thread::ThreadInfo;

use super::unlocked;
use crate::arch::TrapFrame;
use crate::arch::cpu::cpu_count;
use crate::arch::trace_point::trace_point;
use crate::ipc;
use crate::mm::uaccess::UserPtr;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{Process, by_pid};
use crate::sched::{self, Next};
use crate::thread::{Thread, by_tid, current, current_process};
use crate::time::cycles_to_ns;
use crate::trace;

/// `ThreadNext`.
pub fn next_thread(frame: &mut TrapFrame) -> Next {
    let [pid, previous, target, ..] = frame.arguments();
    let result = describe_next(pid as u32, previous as u32).and_then(|info| {
        unlocked(|| UserPtr::<ThreadInfo>::new(target).write(&info))?;
        Ok(info.tid as u64)
    });
    Next::result(frame, result)
}

fn describe_next(pid: u32, previous: u32) -> Result<ThreadInfo> {
    let core = lock();
    let process = match pid {
        0 => current_process(),
        pid => by_pid(&core, pid).ok_or(Error::NoSuchProcess)?,
    };
    next_above(&core, process, previous)
        .map(|thread| describe(&core, thread))
        .ok_or(Error::NotFound)
}

fn next_above(core: &Core, process: &Process, previous: u32) -> Option<&'static Thread> {
    process
        .threads
        .iter(core)
        .filter(|thread| thread.tid.get(core) > previous)
        .min_by_key(|thread| thread.tid.get(core))
}

fn describe(core: &Core, thread: &Thread) -> ThreadInfo {
    let parameters = thread.sched.parameters(core);
    let system_ns = cycles_to_ns(thread.system_cycles.get(core));
    let involuntary = thread.preemptions.get(core);
    let [first, last] = thread.name.get(core).map(u64::to_le_bytes);
    let mut name = [0; 16];
    name[..8].copy_from_slice(&first);
    name[8..].copy_from_slice(&last);
    ThreadInfo {
        tid: thread.tid.get(core),
        affinity: thread.sched.affinity.get(core),
        activity: thread.state.get(core).activity().into(),
        policy: parameters.linux.policy,
        base: parameters.base,
        effective: thread.sched.priority.get(core),
        nice: parameters.linux.nice,
        realtime: parameters.linux.realtime,
        reserved: 0,
        donors: thread.inheritance.donors(core).count() as u32,
        cpu: thread.sched.cpu.get(core).into(),
        user_ns: cycles_to_ns(thread.cycles_now(core)).saturating_sub(system_ns),
        system_ns,
        voluntary: thread.switches.get(core).saturating_sub(involuntary),
        involuntary,
        name,
    }
}

/// `ThreadName`.
pub fn name_thread(frame: &mut TrapFrame) -> Next {
    let [tid, first, last, token, ..] = frame.arguments();
    let core = lock();
    let result = named_by_caller(&core, tid as u32, token).map(|thread| {
        thread.name.set(&core, [first, last]);
        trace_point(|| trace::name(&core, thread));
        0
    });
    Next::result(frame, result)
}

/// The thread of this id, if it belongs to the process that wants it named: the caller's own, or the one whose call
/// the caller serves.
fn named_by_caller(core: &Core, tid: u32, token: u64) -> Result<&'static Thread> {
    if tid == 0 {
        return Ok(current());
    }
    let namer = match token {
        0 => current_process(),
        token => ipc::caller_of(core, current(), token)?.process(),
    };
    by_tid(core, tid)
        .filter(|thread| core::ptr::eq(thread.process(), namer))
        .ok_or(Error::NoSuchProcess)
}

/// `CpuInfo`.
pub fn cpu_info(frame: &mut TrapFrame) -> Next {
    let [cpu, target, ..] = frame.arguments();
    let result = usize::try_from(cpu)
        .ok()
        .filter(|&cpu| cpu < cpu_count())
        .ok_or(Error::NotFound)
        .map(|cpu| sched::cpu_info(&lock(), cpu))
        .and_then(|info| unlocked(|| UserPtr::<CpuInfo>::new(target).write(&info)));
    Next::result(frame, result.map(|()| 0))
}
