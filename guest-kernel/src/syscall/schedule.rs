//! Scheduling and CPU time.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::sched::{Policy, Scheduling};

use super::permission::{self, is_privileged, owns};
use crate::arch::TrapFrame;
use crate::arch::cpu as arch_cpu;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{self, by_pid};
use crate::sched::{self, Next, Parameters, inherit};
use crate::thread::{Thread, by_tid, current, current_process};
use crate::time;

/// The thread with a tid; 0 is the caller.
fn named(core: &Core, tid: u64) -> Result<&'static Thread> {
    match tid as u32 {
        0 => Ok(current()),
        tid => by_tid(core, tid).ok_or(Error::NoSuchProcess),
    }
}

/// `Yield`.
pub fn yield_slice(frame: &mut TrapFrame) -> Next {
    frame.rax = 0;
    sched::yield_current()
}

/// `SchedSet`.
pub fn set(frame: &mut TrapFrame) -> Next {
    let [tid, policy, priority, resource, ..] = frame.arguments();
    let core = lock();
    let result = change(&core, tid, policy, priority, Handle(resource as u32));
    Next::result(frame, result.map(|()| 0))
}

fn change(core: &Core, tid: u64, policy: u64, priority: u64, resource: Handle) -> Result<()> {
    let policy = u8::try_from(policy)
        .ok()
        .and_then(|policy| Policy::try_from(policy).ok());
    let new = policy
        .zip(u8::try_from(priority).ok())
        .and_then(|(policy, base)| Parameters::new(policy, base))
        .ok_or(Error::Invalid)?;
    let thread = named(core, tid)?;
    let old = thread.sched.parameters(core);
    if !may_change(core, thread) || new.base > old.base {
        current_process().check_resource(core, resource, Rights::PROCESS)?;
    }
    sched::change_parameters(core, thread, new);
    inherit::changed(core, thread);
    Ok(())
}

fn may_change(core: &Core, thread: &Thread) -> bool {
    process::may_signal(core, current_process(), thread.process())
}

/// `SchedGet`.
pub fn get(frame: &mut TrapFrame) -> Next {
    let core = lock();
    let tid = frame.rdi;
    let result = named(&core, tid).map(|thread| {
        let parameters = thread.sched.parameters(&core);
        frame.rdx = parameters.linux.pack();
        let effective = thread.sched.priority.get(&core) as u64;
        effective << 16 | (u8::from(parameters.policy) as u64) << 8 | parameters.base as u64
    });
    Next::result(frame, result)
}

/// `SetAffinity`.
pub fn set_affinity(frame: &mut TrapFrame) -> Next {
    let [tid, mask, ..] = frame.arguments();
    let core = lock();
    let result = pin(&core, tid, mask as u32);
    Next::result(frame, result.map(|()| 0))
}

fn pin(core: &Core, tid: u64, mask: u32) -> Result<()> {
    let thread = named(core, tid)?;
    if mask & present() == 0 {
        return Err(Error::Invalid);
    }
    let caller = current_process();
    if !is_privileged(core, caller) && !owns(core, caller, thread.process()) {
        return Err(Error::NotPermitted);
    }
    sched::requeue(core, thread, || thread.set_affinity(core, mask));
    Ok(())
}

/// `SchedChange`.
pub fn change_linux(frame: &mut TrapFrame) -> Next {
    let [tid, wanted, ..] = frame.arguments();
    let core = lock();
    let result = named(&core, tid)
        .and_then(|thread| permission::set_linux(&core, thread, Scheduling::unpack(wanted)));
    Next::result(frame, result.map(|()| 0))
}

/// The CPUs that there are.
fn present() -> u32 {
    (1u64 << arch_cpu::cpu_count()).wrapping_sub(1) as u32
}

/// `GetAffinity`.
pub fn get_affinity(frame: &mut TrapFrame) -> Next {
    let core = lock();
    let result =
        named(&core, frame.rdi).map(|thread| (thread.sched.affinity.get(&core) & present()) as u64);
    Next::result(frame, result)
}

/// `GetCpu`.
pub fn cpu(frame: &mut TrapFrame) -> Next {
    Next::result(frame, Ok(arch_cpu::cpu_id() as u64))
}

/// `CpuTime`.
pub fn cpu_time(frame: &mut TrapFrame) -> Next {
    let [id, which, ..] = frame.arguments();
    let core = lock();
    let cycles = match which {
        0 => times_of_process(&core, id as u32),
        1 => named(&core, id)
            .map(|thread| (thread.cycles_now(&core), thread.system_cycles.get(&core))),
        _ => Err(Error::Invalid),
    };
    let result = cycles.map(|(all, system)| {
        let system = time::cycles_to_ns(system);
        frame.rdx = system;
        time::cycles_to_ns(all).saturating_sub(system)
    });
    Next::result(frame, result)
}

fn times_of_process(core: &Core, pid: u32) -> Result<(u64, u64)> {
    let process = match pid {
        0 => current_process(),
        pid => by_pid(core, pid).ok_or(Error::NoSuchProcess)?,
    };
    Ok(process::times(core, process))
}
