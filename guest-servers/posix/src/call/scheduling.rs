//! Scheduling: policies and priorities, nice values, CPUs.

use crate::user;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::sched::{LINUX_REALTIME, Whose};
use ferrix_posix::scheduling::{Attributes, SIZE, SIZE_FIRST, attributes, scheduling, wanted};
use ferrix_posix::time::to_timespec;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::thread;
use linux_raw_sys::general as linux;

/// Length of a round-robin slice, in nanoseconds.
const SLICE_NS: u64 = 10_000_000;

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

/// Negative ids name nothing.
fn valid(tid: u64) -> Result<u32> {
    match tid as i32 {
        0.. => Ok(tid as u32),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sched_setscheduler(frame: &mut Frame) -> Result<u64> {
    let [tid, number, parameter, ..] = frame.args();
    if (number as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let (tid, priority) = (valid(tid)?, user::read::<u32>(not_null(parameter)?)?);
    let now = thread::linux_scheduling(tid)?;
    let wanted = scheduling(number as u32, priority, now.nice)?;
    thread::set_linux_scheduling(tid, wanted)?;
    Ok(0)
}

pub fn sched_getscheduler(frame: &mut Frame) -> Result<u64> {
    let now = thread::linux_scheduling(valid(frame.rdi)?)?;
    let flag = u32::from(now.reset_on_fork) * linux::SCHED_RESET_ON_FORK;
    Ok((u32::from(now.policy) | flag).into())
}

pub fn sched_setparam(frame: &mut Frame) -> Result<u64> {
    let [tid, parameter, ..] = frame.args();
    let (parameter, tid) = (not_null(parameter)?, valid(tid)?);
    let priority = user::read::<u32>(parameter)?;
    let mut wanted = thread::linux_scheduling(tid)?;
    wanted.realtime = u8::try_from(priority).map_err(|_| Errno::EINVAL)?;
    thread::set_linux_scheduling(tid, wanted)?;
    Ok(0)
}

pub fn sched_getparam(frame: &mut Frame) -> Result<u64> {
    let [tid, parameter, ..] = frame.args();
    let (parameter, tid) = (not_null(parameter)?, valid(tid)?);
    let now = thread::linux_scheduling(tid)?;
    user::write(parameter, &u32::from(now.realtime)).map(|()| 0)
}

pub fn sched_setattr(frame: &mut Frame) -> Result<u64> {
    let [tid, place, flags, ..] = frame.args();
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let (place, tid) = (not_null(place)?, valid(tid)?);
    let attributes = read_attributes(place)?;
    let now = thread::linux_scheduling(tid)?;
    thread::set_linux_scheduling(tid, wanted(&attributes, now)?)?;
    Ok(0)
}

/// The structure may be shorter than what is known, or longer if the rest is zero.
fn read_attributes(place: u64) -> Result<Attributes> {
    let size = match user::read::<u32>(place)? {
        0 => SIZE_FIRST,
        size => size as usize,
    };
    let fits = (SIZE_FIRST..=PAGE_SIZE as usize).contains(&size);
    if !fits || !is_zero(place, SIZE..size)? {
        user::write(place, &(SIZE as u32))?;
        return Err(Errno::E2BIG);
    }
    let mut bytes = [0; SIZE];
    user::read_bytes(place, &mut bytes[..size.min(SIZE)])?;
    Ok(Attributes::from_bytes(&bytes))
}

fn is_zero(place: u64, mut offsets: core::ops::Range<usize>) -> Result<bool> {
    offsets.try_fold(true, |zero, offset| {
        let byte: u8 = user::read(place + offset as u64)?;
        Ok(zero && byte == 0)
    })
}

pub fn sched_getattr(frame: &mut Frame) -> Result<u64> {
    let [tid, place, size, flags, ..] = frame.args();
    let (place, tid) = (not_null(place)?, valid(tid)?);
    let size = size as u32 as usize;
    if !(SIZE_FIRST..=PAGE_SIZE as usize).contains(&size) || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = attributes(thread::linux_scheduling(tid)?).to_bytes();
    user::write_bytes(place, &bytes[..size.min(SIZE)]).map(|()| 0)
}

pub fn sched_get_priority_max(frame: &mut Frame) -> Result<u64> {
    priorities(frame.rdi).map(|priorities| (*priorities.end()).into())
}

pub fn sched_get_priority_min(frame: &mut Frame) -> Result<u64> {
    priorities(frame.rdi).map(|priorities| (*priorities.start()).into())
}

fn priorities(number: u64) -> Result<core::ops::RangeInclusive<u32>> {
    match number as u32 {
        linux::SCHED_FIFO | linux::SCHED_RR => Ok(LINUX_REALTIME),
        linux::SCHED_NORMAL | linux::SCHED_BATCH | linux::SCHED_IDLE => Ok(0..=0),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sched_rr_get_interval(frame: &mut Frame) -> Result<u64> {
    let [tid, place, ..] = frame.args();
    let now = thread::linux_scheduling(valid(tid)?)?;
    let slice = match u32::from(now.policy) {
        linux::SCHED_FIFO => 0,
        _ => SLICE_NS,
    };
    user::write(place, &to_timespec(slice)).map(|()| 0)
}

/// Bytes of the CPU mask that the kernel keeps.
const MASK_SIZE: u64 = 8;

pub fn sched_setaffinity(frame: &mut Frame) -> Result<u64> {
    let [tid, size, mask, ..] = frame.args();
    let tid = valid(tid)?;
    let mut bytes = [0; MASK_SIZE as usize];
    user::read_bytes(mask, &mut bytes[..size.min(MASK_SIZE) as usize])?;
    thread::set_affinity(tid, u64::from_le_bytes(bytes))?;
    Ok(0)
}

pub fn sched_getaffinity(frame: &mut Frame) -> Result<u64> {
    let [tid, size, mask, ..] = frame.args();
    if size < MASK_SIZE || size % MASK_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    user::write(mask, &thread::affinity(valid(tid)?)?)?;
    Ok(MASK_SIZE)
}

pub fn getcpu(frame: &mut Frame) -> Result<u64> {
    let [cpu, node, ..] = frame.args();
    user::write_optional(cpu, &thread::cpu()?)?;
    user::write_optional(node, &0u32).map(|()| 0)
}

fn whose(which: u64) -> Result<Whose> {
    let which = u8::try_from(which as u32).map_err(|_| Errno::EINVAL)?;
    Whose::try_from(which).map_err(|_| Errno::EINVAL)
}

pub fn getpriority(frame: &mut Frame) -> Result<u64> {
    let [which, who, ..] = frame.args();
    Ok(thread::nice(whose(which)?, who as u32)?)
}

pub fn setpriority(frame: &mut Frame) -> Result<u64> {
    let [which, who, nice, ..] = frame.args();
    thread::set_nice(whose(which)?, who as u32, nice as i32)?;
    Ok(0)
}
