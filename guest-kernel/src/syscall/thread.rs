//! Threads and futexes.

use ferrix_abi::error::{Error, Result, encode};
use ferrix_abi::layout::USER_TOP;

use super::dispatch::finish;
use super::unlocked;
use crate::arch::TrapFrame;
use crate::futex;
use crate::object::core_lock::lock;
use crate::process;
use crate::sched::{self, Next};
use crate::thread::{self, Start, current, current_process};

/// `ThreadCreate`.
pub fn create(frame: &mut TrapFrame) -> Next {
    let [entry, stack, argument, fs_base, flags, ..] = frame.arguments();
    let first = TrapFrame::user(entry, stack, argument);
    let valid = entry < USER_TOP && stack < USER_TOP && fs_base < USER_TOP && flags == 0;
    let result = if valid {
        start(&first, fs_base)
    } else {
        Err(Error::Invalid)
    };
    Next::result(frame, result)
}

fn start(first: &TrapFrame, fs_base: u64) -> Result<u64> {
    let stack = thread::new_stack()?;
    let mut core = lock();
    let (caller, process) = (current(), current_process());
    if !process.is_alive(&core) {
        return Err(Error::NoSuchProcess);
    }
    let how = Start {
        parameters: caller.sched.parameters(&core).inherited(),
        affinity: caller.sched.affinity.get(&core),
        mask: caller.mask.get(&core),
    };
    process::check_processes(&mut core, process)?;
    let thread = thread::create(&mut core, process, first, how, stack)?;
    let arch = thread.arch_mut(&mut core);
    let inherited = arch.inherit_current();
    arch.set_fs_base(fs_base);
    inherited.inspect_err(|_| thread::dismiss(&mut core, thread))?;
    sched::place(&core, thread);
    Ok(thread.tid.get(&core) as u64)
}

/// `ThreadExit`.
pub fn exit(frame: &mut TrapFrame) -> Next {
    let core = lock();
    current().clear_address.set(&core, frame.rdi);
    let last = current_process().thread_count.get(&core) == 1;
    drop(core);
    if last {
        process::exit(0)
    } else {
        thread::end_current()
    }
}

/// `SetFsBase`.
pub fn set_fs_base(frame: &mut TrapFrame) -> Next {
    let base = frame.rdi;
    if base >= USER_TOP {
        return Next::error(frame, Error::Invalid);
    }
    current().arch_mut(&mut lock()).set_fs_base(base);
    Next::result(frame, Ok(0))
}

/// `FutexWait`.
pub fn futex_wait(frame: &mut TrapFrame) -> Next {
    futex::try_wait(frame);
    wait(frame);
    Next::Caller
}

#[inline(never)]
fn wait(frame: &mut TrapFrame) {
    let [address, expected, deadline, how, ..] = frame.arguments();
    finish(futex::wait(frame, address, expected as u32, deadline, how));
}

/// `FutexWake`.
pub fn futex_wake(frame: &mut TrapFrame) -> Next {
    if !futex::try_wake(frame) {
        wake(frame);
    }
    Next::Caller
}

#[inline(never)]
fn wake(frame: &mut TrapFrame) {
    let [address, count, bits, ..] = frame.arguments();
    let count = count.min(u32::MAX as u64) as u32;
    let key = futex::key(address, bits);
    let result = key.map(|key| futex::wake(&mut lock(), key, count, bits as u32));
    frame.rax = encode(result.map(u64::from));
}

/// `FutexRequeue`.
pub fn futex_requeue(frame: &mut TrapFrame) -> Next {
    let [address, wake, requeue, other, expected, ..] = frame.arguments();
    let result = requeue_waiters(address, wake, requeue, other, expected);
    Next::result(frame, result)
}

/// `FutexRelease`.
pub fn futex_release(frame: &mut TrapFrame) -> Next {
    let thread = current();
    futex::robust::release(thread);
    let mut core = lock();
    thread.forget_robust_list(&core);
    // Nor does it keep those that inherit priorities: it becomes another program, or ends.
    futex::pi::owner_ended(&mut core, thread);
    drop(core);
    Next::result(frame, Ok(0))
}

fn requeue_waiters(
    address: u64,
    wake: u64,
    requeue: u64,
    other: u64,
    expected: u64,
) -> Result<u64> {
    let (from, to) =
        unlocked(|| Ok((futex::key(address, expected)?, futex::key(other, expected)?)))?;
    let mut core = if expected >> 32 & 1 != 0 {
        let (core, found) = futex::lock_and_read(address)?;
        if found != expected as u32 {
            return Err(Error::WouldBlock);
        }
        core
    } else {
        lock()
    };
    let most = |count: u64| count.min(u32::MAX as u64) as u32;
    Ok(futex::requeue(&mut core, from, to, most(wake), most(requeue)) as u64)
}

/// `FutexLockPi`.
pub fn futex_lock_pi(frame: &mut TrapFrame) -> Next {
    let [address, deadline, how, ..] = frame.arguments();
    futex::pi::lock_pi(frame, address, deadline, how)
}

/// `FutexUnlockPi`.
pub fn futex_unlock_pi(frame: &mut TrapFrame) -> Next {
    let [address, how, ..] = frame.arguments();
    Next::result(frame, futex::pi::unlock_pi(address, how))
}

/// `FutexWaitRequeuePi`.
pub fn futex_wait_requeue_pi(frame: &mut TrapFrame) -> Next {
    futex::pi::wait_requeue_pi(frame)
}

/// `FutexRequeuePi`.
pub fn futex_requeue_pi(frame: &mut TrapFrame) -> Next {
    let result = futex::pi::requeue_pi(frame);
    Next::result(frame, result)
}
