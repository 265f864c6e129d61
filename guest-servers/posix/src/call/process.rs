//! Making and ending processes: `fork`, `vfork`, `clone`, `exit`.

use super::{mq, shm, threads};
use crate::state::{All, LockFuture, RecordLocks};
use crate::{local, program, stacks, user};
use ferrix_abi::signal::number::SIGCHLD;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::{process, thread, utcb};
use linux_raw_sys::general::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID,
    CLONE_SETTLS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, CSIGNAL,
};

pub fn fork(_: &mut Frame) -> Result<u64> {
    Ok(fork_process()?.unwrap_or(0).into())
}

/// The child's pid in the parent, `None` in the child.
fn fork_process() -> Result<Option<u32>> {
    let mut locks = All::lock();
    let child = program::fork(&mut locks)?;
    if child.is_none() {
        locks.windows.forget();
        mq::forked(&mut locks.files.queue);
        locks.files.pollers.only_caller();
        shm::count_again(&locks);
        *locks.locking = LockFuture::No;
        locks.files.record_locks = RecordLocks::None;
        locks.stacks.only_caller();
        local::update(|local| local.clear_tid = 0);
    }
    Ok(child)
}

/// `vfork` is `fork`: memory is copied when written, and the parent need not wait for that.
pub fn clone(frame: &mut Frame) -> Result<u64> {
    let [flags, stack, parent_tid, child_tid, tls, _] = frame.args();
    let bits = flags as u32;
    if bits & CLONE_THREAD != 0 {
        return threads::clone_thread(frame);
    }
    // Sharing memory is only understood as `vfork` means it; other shared things not at all.
    let shares = bits & (CLONE_FILES | CLONE_FS | CLONE_SIGHAND) != 0 && bits & CLONE_VFORK == 0;
    let alone = bits & CLONE_VM != 0 && bits & CLONE_VFORK == 0;
    if shares || alone || bits & CSIGNAL != SIGCHLD {
        return Err(Errno::EINVAL);
    }
    if let Some(pid) = fork_process()? {
        if bits & CLONE_PARENT_SETTID != 0 {
            // Linux ignores an unwritable place: the child is there.
            let _ = user::write(parent_tid, &pid);
        }
        return Ok(pid.into());
    }
    if stack != 0 {
        frame.rsp = stack;
    }
    begin_child(bits, child_tid, tls)?;
    Ok(0)
}

fn begin_child(flags: u32, child_tid: u64, tls: u64) -> Result<()> {
    if flags & CLONE_SETTLS != 0 {
        thread::set_fs_base(tls)?;
    }
    if flags & CLONE_CHILD_CLEARTID != 0 {
        local::update(|local| local.clear_tid = child_tid);
    }
    if flags & CLONE_CHILD_SETTID != 0 {
        // Linux ignores an unwritable place here too.
        let _ = user::write(child_tid, &utcb::tid());
    }
    Ok(())
}

/// `exit`: the thread's end; the last one's is the process's.
pub fn exit(frame: &mut Frame) -> Result<u64> {
    if stacks::is_last() {
        return exit_group(frame);
    }
    threads::leave();
    stacks::end()
}

pub fn exit_group(frame: &mut Frame) -> Result<u64> {
    // Other processes may share the locks of the caller.
    threads::release_locks();
    process::exit((frame.rdi as u32 & 0xff) << 8)
}
