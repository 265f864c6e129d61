//! Who may change whose scheduling: Linux's rules (sched(7), "Privileges and resource limits"), and nice values.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::limit::Resource;
use ferrix_abi::sched::{NICE, Policy, Scheduling, Whose};

use crate::arch::TrapFrame;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{PIDS, Process};
use crate::sched::{self, Next, Parameters, inherit};
use crate::thread::{Thread, by_tid, current, current_process};

/// Whether a process may do as it likes: as a Linux program with `CAP_SYS_NICE`. Servers have handles for that.
pub(super) fn is_privileged(core: &Core, caller: &Process) -> bool {
    caller.identity.get(core).euid == 0
}

/// Whether a process's user is that of another.
pub(super) fn owns(core: &Core, caller: &Process, target: &Process) -> bool {
    let (user, other) = (caller.identity.get(core).euid, target.identity.get(core));
    [other.euid, other.ruid].contains(&user)
}

/// Whether user 0's word counts for rising.
fn may_rise(core: &Core, caller: &Process) -> bool {
    caller.personality.get(core).is_some() && is_privileged(core, caller)
}

fn may_be_nice(core: &Core, target: &Process, nice: i8) -> bool {
    let most = target.limit(core, Resource::Nice).soft;
    (i64::from(*NICE.end() + 1) - i64::from(nice)) as u64 <= most
}

/// Sets what a Linux program wants of a thread, if it may.
pub(super) fn set_linux(core: &Core, thread: &'static Thread, wanted: Scheduling) -> Result<()> {
    let new = Parameters::of_linux(wanted).ok_or(Error::Invalid)?;
    let caller = current_process();
    if !may_rise(core, caller) {
        let target = thread.process();
        let allowed = owns(core, caller, target) && is_within_limits(core, target, thread, new);
        if !allowed {
            return Err(Error::NotPermitted);
        }
    }
    set(core, thread, new);
    Ok(())
}

fn set(core: &Core, thread: &'static Thread, new: Parameters) {
    sched::change_parameters(core, thread, new);
    inherit::changed(core, thread);
}

fn is_within_limits(core: &Core, target: &Process, thread: &Thread, new: Parameters) -> bool {
    let old = thread.sched.parameters(core);
    let nice_enough = |nice| may_be_nice(core, target, nice);
    let by_policy = match new.policy {
        Policy::Idle => true,
        Policy::Other => new.linux.nice >= old.linux.nice || nice_enough(new.linux.nice),
        Policy::Fifo | Policy::RoundRobin => {
            let most = target.limit(core, Resource::RealtimePriority).soft;
            let rises = new.linux.realtime > old.linux.realtime;
            (new.policy == old.policy || most != 0)
                && (!rises || u64::from(new.linux.realtime) <= most)
        }
    };
    let leaves_idle = old.policy == Policy::Idle && new.policy != Policy::Idle;
    by_policy
        && (!leaves_idle || nice_enough(old.linux.nice))
        && new.linux.reset_on_fork >= old.linux.reset_on_fork
}

/// Does something with each thread that is meant; `NoSuchProcess` if there is none.
fn for_each(
    core: &Core,
    whose: Whose,
    id: u32,
    mut act: impl FnMut(&'static Thread),
) -> Result<()> {
    let caller = current_process();
    let mut found = 0;
    let mut count = |thread: &'static Thread| {
        act(thread);
        found += 1;
    };
    if whose == Whose::Thread {
        let thread = if id == 0 {
            Some(current())
        } else {
            by_tid(core, id)
        };
        thread.into_iter().for_each(&mut count);
    }
    let meant = |process: &Process| match (whose, id) {
        (Whose::Thread, _) => false,
        (Whose::Group, 0) => process.group.get(core) == caller.group.get(core),
        (Whose::Group, id) => process.group.get(core) == id,
        (Whose::User, 0) => process.identity.get(core).ruid == caller.identity.get(core).ruid,
        (Whose::User, id) => process.identity.get(core).ruid == id,
    };
    let mut previous = 0;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        previous = pid;
        if meant(process) {
            process.threads.iter(core).for_each(&mut count);
        }
    }
    if found == 0 {
        Err(Error::NoSuchProcess)
    } else {
        Ok(())
    }
}

fn whose(number: u64) -> Result<Whose> {
    let number = u8::try_from(number).map_err(|_| Error::Invalid)?;
    Whose::try_from(number).map_err(|_| Error::Invalid)
}

/// `NiceSet`.
pub fn set_nice(frame: &mut TrapFrame) -> Next {
    let [which, id, nice, ..] = frame.arguments();
    let nice = (nice as i32).clamp(*NICE.start(), *NICE.end()) as i8;
    let core = lock();
    let result = whose(which).and_then(|whose| {
        let mut last = Ok(0);
        for_each(&core, whose, id as u32, |thread| {
            if let Err(error) = set_nice_of(&core, thread, nice) {
                last = Err(error);
            }
        })?;
        last
    });
    Next::result(frame, result)
}

fn set_nice_of(core: &Core, thread: &'static Thread, nice: i8) -> Result<()> {
    let (caller, target) = (current_process(), thread.process());
    let old = thread.sched.parameters(core);
    if !may_rise(core, caller) {
        if !is_privileged(core, caller) && !owns(core, caller, target) {
            return Err(Error::NotPermitted);
        }
        if nice < old.linux.nice && !may_be_nice(core, target, nice) {
            return Err(Error::AccessDenied);
        }
    }
    let wanted = Scheduling { nice, ..old.linux };
    let new = Parameters::of_linux(wanted).ok_or(Error::Invalid)?;
    set(core, thread, new);
    Ok(())
}

/// `NiceGet`.
pub fn get_nice(frame: &mut TrapFrame) -> Next {
    let [which, id, ..] = frame.arguments();
    let core = lock();
    let result = whose(which).and_then(|whose| {
        let mut lowest = *NICE.end();
        for_each(&core, whose, id as u32, |thread| {
            let nice = i32::from(thread.sched.parameters(&core).linux.nice);
            lowest = lowest.min(nice);
        })?;
        Ok((NICE.end() + 1 - lowest) as u64)
    });
    Next::result(frame, result)
}
