//! Scheduling: policies and priorities, nice values, CPUs.

use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::sched::Policy;
use ferrix_posix::scheduling::{
    REALTIME, linux_priority, nice_of_priority, priority, priority_of_nice,
};
use ferrix_posix::time::to_timespec;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::thread;
use linux_raw_sys::general as linux;

/// Length of a round-robin slice, in nanoseconds.
const SLICE_NS: u64 = 10_000_000;
/// `nice` as `getpriority` returns it: 20 minus the value, so that it is positive.
const NICE_BIAS: i32 = 20;

fn policy(number: u64) -> Result<Policy> {
    match number as u32 & !linux::SCHED_RESET_ON_FORK {
        linux::SCHED_NORMAL | linux::SCHED_BATCH => Ok(Policy::Other),
        linux::SCHED_FIFO => Ok(Policy::Fifo),
        linux::SCHED_RR => Ok(Policy::RoundRobin),
        linux::SCHED_IDLE => Ok(Policy::Idle),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sched_yield(_: &mut Frame) -> Result<u64> {
    thread::yield_now();
    Ok(0)
}

/// A null pointer is not just any wrong one here.
fn not_null(parameter: u64) -> Result<u64> {
    match parameter {
        0 => Err(Errno::EINVAL),
        parameter => Ok(parameter),
    }
}

pub fn sched_setscheduler(frame: &mut Frame) -> Result<u64> {
    let [tid, number, parameter, ..] = frame.args();
    let policy = policy(number)?;
    let wanted = user::read::<u32>(not_null(parameter)?)?;
    thread::set_scheduling(tid as u32, policy, priority(policy, wanted)?, Handle::NONE)?;
    Ok(0)
}

pub fn sched_getscheduler(frame: &mut Frame) -> Result<u64> {
    Ok(thread::scheduling(frame.rdi as u32)?.0.into())
}

pub fn sched_setparam(frame: &mut Frame) -> Result<u64> {
    let [tid, parameter, ..] = frame.args();
    let (policy, _) = thread::scheduling(tid as u32)?;
    let policy = Policy::try_from(policy).map_err(|_| Errno::EINVAL)?;
    let wanted = user::read::<u32>(not_null(parameter)?)?;
    thread::set_scheduling(tid as u32, policy, priority(policy, wanted)?, Handle::NONE)?;
    Ok(0)
}

pub fn sched_getparam(frame: &mut Frame) -> Result<u64> {
    let [tid, parameter, ..] = frame.args();
    let (_, priority) = thread::scheduling(tid as u32)?;
    user::write(not_null(parameter)?, &linux_priority(priority)).map(|()| 0)
}

pub fn sched_get_priority_max(frame: &mut Frame) -> Result<u64> {
    Ok(if is_realtime(frame.rdi)? {
        *REALTIME.end()
    } else {
        0
    }
    .into())
}

pub fn sched_get_priority_min(frame: &mut Frame) -> Result<u64> {
    Ok(if is_realtime(frame.rdi)? {
        *REALTIME.start()
    } else {
        0
    }
    .into())
}

fn is_realtime(number: u64) -> Result<bool> {
    Ok(matches!(policy(number)?, Policy::Fifo | Policy::RoundRobin))
}

pub fn sched_rr_get_interval(frame: &mut Frame) -> Result<u64> {
    let [tid, place, ..] = frame.args();
    let (policy, _) = thread::scheduling(tid as u32)?;
    let slice = if policy == Policy::Fifo as u8 {
        0
    } else {
        SLICE_NS
    };
    user::write(place, &to_timespec(slice)).map(|()| 0)
}

/// Bytes of the CPU mask that the kernel keeps.
const MASK_SIZE: u64 = 8;

pub fn sched_setaffinity(frame: &mut Frame) -> Result<u64> {
    let [tid, size, mask, ..] = frame.args();
    let mut bytes = [0; MASK_SIZE as usize];
    user::read_bytes(mask, &mut bytes[..size.min(MASK_SIZE) as usize])?;
    thread::set_affinity(tid as u32, u64::from_le_bytes(bytes))?;
    Ok(0)
}

pub fn sched_getaffinity(frame: &mut Frame) -> Result<u64> {
    let [tid, size, mask, ..] = frame.args();
    if size < MASK_SIZE {
        return Err(Errno::EINVAL);
    }
    user::write(mask, &thread::affinity(tid as u32)?)?;
    Ok(MASK_SIZE)
}

pub fn getcpu(frame: &mut Frame) -> Result<u64> {
    let [cpu, node, ..] = frame.args();
    user::write_optional(cpu, &thread::cpu()?)?;
    user::write_optional(node, &0u32).map(|()| 0)
}

/// Nice values are per thread here, as on Linux; those of process groups and users are not kept.
fn nice_target(which: u64, who: u64) -> Result<u32> {
    if which as u32 == linux::PRIO_PROCESS {
        Ok(who as u32)
    } else {
        Err(Errno::EINVAL)
    }
}

pub fn getpriority(frame: &mut Frame) -> Result<u64> {
    let [which, who, ..] = frame.args();
    let (_, priority) = thread::scheduling(nice_target(which, who)?)?;
    Ok((NICE_BIAS - nice_of_priority(priority)) as u64)
}

pub fn setpriority(frame: &mut Frame) -> Result<u64> {
    let [which, who, nice, ..] = frame.args();
    let tid = nice_target(which, who)?;
    thread::set_scheduling(
        tid,
        Policy::Other,
        priority_of_nice(nice as i32),
        Handle::NONE,
    )?;
    Ok(0)
}
