//! Resource limits.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::info::SlabInfo;
use ferrix_abi::limit::{Limit, LimitInfo, Resource};

use super::unlocked;
use crate::arch::TrapFrame;
use crate::mm::heap;
use crate::mm::uaccess::UserPtr;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{Process, by_pid, describe_limits, may_limit, set_limit};
use crate::sched::Next;
use crate::thread::current_process;

fn resource(number: u64) -> Result<Resource> {
    u8::try_from(number)
        .ok()
        .and_then(|number| Resource::try_from(number).ok())
        .ok_or(Error::Invalid)
}

/// The process with a pid (0: the caller), if its limits are the caller's business.
fn named(core: &Core, pid: u64) -> Result<&'static Process> {
    let caller = current_process();
    let target = match pid as u32 {
        0 => return Ok(caller),
        pid => by_pid(core, pid).ok_or(Error::NoSuchProcess)?,
    };
    if may_limit(core, caller, target) {
        Ok(target)
    } else {
        Err(Error::NotPermitted)
    }
}

/// `LimitSet`.
pub fn set(frame: &mut TrapFrame) -> Next {
    let [pid, which, new, old, ..] = frame.arguments();
    let result = exchange(pid, which, UserPtr::new(new)).and_then(|before| {
        let target = UserPtr::<Limit>::new(old);
        match target.is_null() {
            true => Ok(()),
            false => unlocked(|| target.write(&before)),
        }
    });
    Next::result(frame, result.map(|()| 0))
}

fn exchange(pid: u64, which: u64, new: UserPtr<Limit>) -> Result<Limit> {
    let which = resource(which)?;
    let new = match new.is_null() {
        true => None,
        false => Some(unlocked(|| new.read())?),
    };
    let mut core = lock();
    let target = named(&core, pid)?;
    match new {
        Some(new) => set_limit(&mut core, current_process(), target, which, new),
        None => Ok(target.limit(&core, which)),
    }
}

/// `LimitInfo`.
pub fn info(frame: &mut TrapFrame) -> Next {
    let [pid, target, ..] = frame.arguments();
    let result =
        info_of(pid).and_then(|info| unlocked(|| UserPtr::<LimitInfo>::new(target).write(&info)));
    Next::result(frame, result.map(|()| 0))
}

fn info_of(pid: u64) -> Result<LimitInfo> {
    let core = lock();
    let process = named(&core, pid)?;
    Ok(describe_limits(&core, process, process.space(&core)))
}

/// `LimitViolated`.
pub fn violated(frame: &mut TrapFrame) -> Next {
    let result = resource(frame.rdi).map(|which| {
        current_process().violated(&mut lock(), which);
        0
    });
    Next::result(frame, result)
}

/// `SlabInfo`.
pub fn slab_info(frame: &mut TrapFrame) -> Next {
    let [index, target, ..] = frame.arguments();
    let result = usize::try_from(index)
        .ok()
        .and_then(heap::class_info)
        .ok_or(Error::NotFound)
        .and_then(|info| unlocked(|| UserPtr::<SlabInfo>::new(target).write(&info)));
    Next::result(frame, result.map(|()| 0))
}
