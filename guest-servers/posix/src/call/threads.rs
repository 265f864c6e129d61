//! Threads: `clone` with `CLONE_THREAD`, what a thread's end means, thread-local storage.

use crate::stacks::{self, NewThread};
use crate::{local, user};
use ferrix_abi::layout::SYSTEM_BASE;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::{thread, utcb};
use linux_raw_sys::general::{
    ARCH_SET_FS, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS,
    CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_VM, FUTEX_OWNER_DIED, FUTEX_TID_MASK,
    FUTEX_WAITERS, robust_list_head,
};

/// What threads of one process share.
const SHARED: u32 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;
/// In the address of a robust list's entry: its futex inherits priorities.
const PRIORITY_INHERITED: u64 = 1;
/// Most entries of a robust list that are looked at (Linux's `ROBUST_LIST_LIMIT`).
const ROBUST_MAX: usize = 2048;

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
    let list = local::get().robust_list;
    if list != 0 {
        // A list that cannot be read ends the walk, as on Linux.
        let _ = release_robust(list);
    }
}

fn release_robust(head_at: u64) -> Result<()> {
    let head: robust_list_head = user::read(head_at)?;
    let lock = |entry: u64| (address(entry).wrapping_add_signed(head.futex_offset), entry);
    let (mut entry, pending) = (head.list.next as u64, head.list_op_pending as u64);
    for _ in 0..ROBUST_MAX {
        if address(entry) == head_at {
            break;
        }
        let next: u64 = user::read(address(entry))?;
        if address(entry) != address(pending) {
            owner_died(lock(entry))?;
        }
        entry = next;
    }
    match address(pending) {
        0 => Ok(()),
        _ => owner_died(lock(pending)),
    }
}

/// Address of an entry.
fn address(entry: u64) -> u64 {
    entry & !PRIORITY_INHERITED
}

/// A lock's word says so, and a waiter is woken. Who waits for one that inherits priorities gets it from the kernel, when the
/// thread has ended.
fn owner_died((word, entry): (u64, u64)) -> Result<()> {
    if !word.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut value: u32 = user::read(word)?;
    while value & FUTEX_TID_MASK == utcb::tid() {
        let before = user::exchange(word, value, value & FUTEX_WAITERS | FUTEX_OWNER_DIED)?;
        if before == value {
            if value & FUTEX_WAITERS != 0 && entry & PRIORITY_INHERITED == 0 {
                thread::futex_wake(word, 1, u32::MAX)?;
            }
            break;
        }
        value = before;
    }
    Ok(())
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
    local::update(|local| local.robust_list = head);
    Ok(0)
}

pub fn get_robust_list(frame: &mut Frame) -> Result<u64> {
    let [tid, head, size, ..] = frame.args();
    if tid != 0 && tid != u64::from(utcb::tid()) {
        return Err(Errno::EPERM);
    }
    user::write(head, &local::get().robust_list)?;
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
