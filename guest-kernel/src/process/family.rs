//! Process groups and sessions, and who may signal whom.

use ferrix_abi::error::{Error, Result};

use super::kind::{PIDS, Process, by_pid};
use crate::object::Core;

/// POSIX `setpgid`: `pid` 0 is the caller, `group` 0 the process's own id.
pub fn set_group(core: &Core, caller: &'static Process, pid: u32, group: u32) -> Result<()> {
    let own = caller.pid.get(core);
    let pid = if pid == 0 { own } else { pid };
    let group = if group == 0 { pid } else { group };
    let target = by_pid(core, pid).ok_or(Error::NoSuchProcess)?;
    let is_child = target
        .parent
        .get(core)
        .is_some_and(|parent| core::ptr::eq(parent, caller));
    if pid != own && !is_child {
        return Err(Error::NoSuchProcess);
    }
    if is_child && target.executed.get(core) {
        return Err(Error::AccessDenied);
    }
    let session = caller.session.get(core);
    if target.session.get(core) != session || target.session.get(core) == pid {
        return Err(Error::NotPermitted);
    }
    if group != pid && !in_group(core, group).any(|member| member.session.get(core) == session) {
        return Err(Error::NotPermitted);
    }
    target.group.set(core, group);
    Ok(())
}

/// POSIX `setsid`.
pub fn new_session(core: &Core, caller: &'static Process) -> Result<u64> {
    let pid = caller.pid.get(core);
    if in_group(core, pid).next().is_some() {
        return Err(Error::NotPermitted);
    }
    caller.session.set(core, pid);
    caller.group.set(core, pid);
    Ok(pid as u64)
}

/// The processes of a group.
pub fn in_group(core: &Core, group: u32) -> impl Iterator<Item = &'static Process> {
    let mut previous = 0;
    core::iter::from_fn(move || {
        loop {
            let (pid, process) = PIDS.next_used(core, previous)?;
            previous = pid;
            if process.group.get(core) == group {
                return Some(process);
            }
        }
    })
}

/// POSIX's rule for `kill`: user 0, or the sender's real or effective user is the target's real or
/// saved one.
pub fn may_signal(core: &Core, sender: &Process, target: &Process) -> bool {
    let (from, to) = (sender.identity.get(core), target.identity.get(core));
    from.euid == 0
        || [from.ruid, from.euid]
            .iter()
            .any(|user| [to.ruid, to.suid].contains(user))
}
