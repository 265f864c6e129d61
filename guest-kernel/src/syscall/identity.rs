//! Pids, groups, sessions, users.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::process::Identity;

use super::unlocked;
use crate::arch::TrapFrame;
use crate::mm::uaccess::UserPtr;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{self, Process, by_pid};
use crate::sched::Next;
use crate::thread::current_process;

/// The process with a pid; 0 is the caller.
fn named(core: &Core, pid: u64) -> Result<&'static Process> {
    match pid as u32 {
        0 => Ok(current_process()),
        pid => by_pid(core, pid).ok_or(Error::NoSuchProcess),
    }
}

fn ask(frame: &mut TrapFrame, answer: impl FnOnce(&Core, &'static Process) -> u32) -> Next {
    let core = lock();
    let result = named(&core, frame.rdi).map(|process| answer(&core, process) as u64);
    Next::result(frame, result)
}

/// `ParentPid`.
pub fn parent(frame: &mut TrapFrame) -> Next {
    ask(frame, |core, process| {
        process
            .parent
            .get(core)
            .map_or(0, |parent| parent.pid.get(core))
    })
}

/// `GetGroup`.
pub fn group(frame: &mut TrapFrame) -> Next {
    ask(frame, |core, process| process.group.get(core))
}

/// `GetSession`.
pub fn session(frame: &mut TrapFrame) -> Next {
    ask(frame, |core, process| process.session.get(core))
}

/// `SetGroup`.
pub fn set_group(frame: &mut TrapFrame) -> Next {
    let [pid, group, ..] = frame.arguments();
    let core = lock();
    let result = match i32::try_from(group as i64) {
        Ok(group) if group >= 0 => {
            process::set_group(&core, current_process(), pid as u32, group as u32)
        }
        _ => Err(Error::Invalid),
    };
    Next::result(frame, result.map(|()| 0))
}

/// `NewSession`.
pub fn new_session(frame: &mut TrapFrame) -> Next {
    let core = lock();
    let result = process::new_session(&core, current_process());
    Next::result(frame, result)
}

/// `GetIdentity`.
pub fn get(frame: &mut TrapFrame) -> Next {
    let [pid, target, ..] = frame.arguments();
    let core = lock();
    let identity = named(&core, pid).map(|process| process.identity.get(&core));
    drop(core);
    let result = identity
        .and_then(|identity| unlocked(|| UserPtr::<Identity>::new(target).write(&identity)));
    Next::result(frame, result.map(|()| 0))
}

/// `SetIdentity`.
pub fn set(frame: &mut TrapFrame) -> Next {
    let source = UserPtr::<Identity>::new(frame.rdi);
    let result = unlocked(|| source.read()).and_then(|new| {
        let mut core = lock();
        let process = current_process();
        let old = process.identity.replace(&core, new);
        if !may_become(old, new) {
            process.identity.set(&core, old);
            return Err(Error::NotPermitted);
        }
        if (old.euid == 0) != (new.euid == 0) {
            // Some limits do not bind user 0.
            process::apply_limits(&mut core, process);
        }
        Ok(0)
    });
    Next::result(frame, result)
}

/// Effective user 0 may become anybody; others may only permute what they have.
fn may_become(old: Identity, new: Identity) -> bool {
    let users = [old.ruid, old.euid, old.suid];
    let groups = [old.rgid, old.egid, old.sgid];
    old.euid == 0
        || [new.ruid, new.euid, new.suid]
            .iter()
            .all(|user| users.contains(user))
            && [new.rgid, new.egid, new.sgid]
                .iter()
                .all(|group| groups.contains(group))
}
