//! Locked and resident pages, limits, and what a child gets.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{MemoryInfo, MemoryLimit};
use ferrix_abi::vm::Inheritance;

use super::unlocked;
use crate::arch::TrapFrame;
use crate::mm::uaccess::{UserPtr, UserSlice};
use crate::mm::{Inherit, Lock, fault};
use crate::object::core_lock::lock;
use crate::process::{by_pid, with_current_space};
use crate::sched::Next;
use crate::thread::current_process;

/// Pages that `VmResident` looks at under one lock.
const CHUNK: usize = 256;

/// `VmLock`.
pub fn lock_range(frame: &mut TrapFrame) -> Next {
    let [address, length, how, ..] = frame.arguments();
    let result = match how {
        0 => set_lock(address, length, Lock::Unlocked).map(|_| 0),
        1 => set_lock(address, length, Lock::Locked)
            .and_then(|range| unlocked(|| fault::touch(range).map(|()| 0))),
        _ => Err(Error::Invalid),
    };
    Next::result(frame, result)
}

fn set_lock(address: u64, length: u64, lock: Lock) -> Result<core::ops::Range<u64>> {
    unlocked(|| with_current_space(|space| space.lock_range(address, length, lock)))
}

/// `VmResident`.
pub fn resident(frame: &mut TrapFrame) -> Next {
    let [address, length, target, ..] = frame.arguments();
    let result = unlocked(|| tell_resident(address, length, target));
    Next::result(frame, result.map(|()| 0))
}

fn tell_resident(address: u64, length: u64, target: u64) -> Result<()> {
    let pages = length.div_ceil(PAGE_SIZE);
    let mut done = 0;
    while done < pages {
        let mut bytes = [0; CHUNK];
        let count = (pages - done).min(CHUNK as u64);
        let bytes = &mut bytes[..count as usize];
        let start = done.checked_mul(PAGE_SIZE).ok_or(Error::NoMemory)?;
        let start = address.checked_add(start).ok_or(Error::NoMemory)?;
        with_current_space(|space| space.resident(start, bytes))?;
        let to = target.checked_add(done).ok_or(Error::Fault)?;
        UserSlice::<u8>::new(to, bytes.len()).write(bytes)?;
        done += count;
    }
    Ok(())
}

/// `VmInherit`.
pub fn inherit(frame: &mut TrapFrame) -> Next {
    let [address, length, what, ..] = frame.arguments();
    let what = u8::try_from(what)
        .ok()
        .and_then(|what| Inheritance::try_from(what).ok());
    let result = what.ok_or(Error::Invalid).and_then(|what| {
        let inherit = match what {
            Inheritance::ByKind => Inherit::ByKind,
            Inheritance::None => Inherit::Nothing,
        };
        unlocked(|| with_current_space(|space| space.inherit(address, length, inherit)))
    });
    Next::result(frame, result.map(|()| 0))
}

/// `MemoryInfo`.
pub fn info(frame: &mut TrapFrame) -> Next {
    let [pid, target, ..] = frame.arguments();
    let result = info_of(pid as u32)
        .and_then(|info| unlocked(|| UserPtr::<MemoryInfo>::new(target).write(&info)));
    Next::result(frame, result.map(|()| 0))
}

fn info_of(pid: u32) -> Result<MemoryInfo> {
    if pid == 0 {
        return unlocked(|| Ok(with_current_space(|space| space.memory_info())));
    }
    let core = lock();
    let process = by_pid(&core, pid).ok_or(Error::NoSuchProcess)?;
    let space = process.share_space(&core);
    drop(core);
    // A zombie has no memory.
    unlocked(|| Ok(space.map_or(MemoryInfo::default(), |space| space.memory_info())))
}

/// `MemoryForget`.
pub fn forget(frame: &mut TrapFrame) -> Next {
    with_current_space(|space| space.forget_most());
    Next::result(frame, Ok(0))
}

/// `MemoryLimit`.
pub fn limit(frame: &mut TrapFrame) -> Next {
    let [process, which, most, ..] = frame.arguments();
    let which = u8::try_from(which)
        .ok()
        .and_then(|which| MemoryLimit::try_from(which).ok());
    let result = which
        .ok_or(Error::Invalid)
        .and_then(|which| set_limit(Handle(process as u32), which, most));
    Next::result(frame, result.map(|()| 0))
}

fn set_limit(process: Handle, which: MemoryLimit, most: u64) -> Result<()> {
    let core = lock();
    let process = current_process().process_named(&core, process, Rights::WRITE)?;
    let space = process.share_space(&core).ok_or(Error::NoSuchProcess)?;
    drop(core);
    unlocked(|| {
        space.set_limit(which.into(), most);
        Ok(())
    })
}
