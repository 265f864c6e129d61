//! Threads: `clone` with `CLONE_THREAD`, what a thread's end means, thread-local storage.

use crate::stacks::{self, NewThread};
use crate::{local, user};
use ferrix_abi::layout::SYSTEM_BASE;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::{thread, utcb};
use linux_raw_sys::general::{
    ARCH_SET_FS, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS,
    CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_VM, robust_list_head,
};

/// What threads of one process share.
const SHARED: u32 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;

/// `clone` for a thread.
pub fn clone_thread(frame: &Frame) -> Result<u64> {
    let [flags, stack, parent_tid, child_tid, tls, _] = frame.args();
    let flags = flags as u32;
    if flags & SHARED != SHARED || stack == 0 {
        return Err(Errno::EINVAL);
    }
    let wanted = |bit: u32, value: u64| if flags & bit != 0 { value } else { 0 };
    let new = NewThread {
        tls: wanted(CLONE_SETTLS, tls),
        parent_tid: wanted(CLONE_PARENT_SETTID, parent_tid),
        child_tid: wanted(CLONE_CHILD_SETTID, child_tid),
        clear_tid: wanted(CLONE_CHILD_CLEARTID, child_tid),
        mask: local::get().mask,
    };
    let child = Frame {
        rsp: stack,
        rax: 0,
        call: u64::MAX,
        ..*frame
    };
    let tid = stacks::start(&child, &new)?;
    // Both sides store it: each may rely on it at once. Linux ignores an unwritable place: the thread is there.
    let _ = user::write_optional(new.parent_tid, &tid);
    Ok(tid.into())
}

/// What the program expects of a thread's end: robust locks released, the id cleared, a waiter woken.
pub fn leave() {
    release_locks();
    let local = local::get();
    if local.clear_tid != 0 && user::write(local.clear_tid, &0u32).is_ok() {
        let _ = thread::futex_wake(local.clear_tid, 1, u32::MAX);
    }
}

/// Says of the caller's robust locks that their owner died.
pub fn release_locks() {
    if utcb::robust_list() != 0 {
        thread::futex_release();
    }
}

pub fn set_tid_address(frame: &mut Frame) -> Result<u64> {
    let place = frame.rdi;
    local::update(|local| local.clear_tid = place);
    Ok(utcb::tid().into())
}

pub fn set_robust_list(frame: &mut Frame) -> Result<u64> {
    let [head, size, ..] = frame.args();
    if size != size_of::<robust_list_head>() as u64 {
        return Err(Errno::EINVAL);
    }
    utcb::set_robust_list(head);
    Ok(0)
}

pub fn get_robust_list(frame: &mut Frame) -> Result<u64> {
    let [tid, head, size, ..] = frame.args();
    if tid != 0 && tid != u64::from(utcb::tid()) {
        return Err(Errno::EPERM);
    }
    user::write(head, &utcb::robust_list())?;
    user::write(size, &(size_of::<robust_list_head>() as u64)).map(|()| 0)
}

/// Only the FS base is the program's: GS is the personality's.
pub fn arch_prctl(frame: &mut Frame) -> Result<u64> {
    let [code, address, ..] = frame.args();
    if code as u32 != ARCH_SET_FS {
        return Err(Errno::EINVAL);
    }
    if address >= SYSTEM_BASE {
        return Err(Errno::EPERM);
    }
    thread::set_fs_base(address)?;
    Ok(0)
}
