//! Scheduling: policies, nice values, CPUs.
//!
//! By system calls: the C library says of `sched_setscheduler` and its like that there is no such call.

use std::io;

fn call(number: libc::c_long, arguments: [libc::c_long; 3]) -> io::Result<libc::c_long> {
    let [first, second, third] = arguments;
    // SAFETY: the callers pass numbers, and addresses of locals that are as large as the call wants.
    let result = unsafe { libc::syscall(number, first, second, third) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A thread's policy (with `SCHED_RESET_ON_FORK`) and real-time priority; 0 is the caller.
pub fn policy(tid: i32) -> io::Result<(i32, i32)> {
    let policy = call(libc::SYS_sched_getscheduler, [tid.into(), 0, 0])?;
    let mut priority = 0i32;
    let place = &raw mut priority as libc::c_long;
    call(libc::SYS_sched_getparam, [tid.into(), place, 0])?;
    Ok((policy as i32, priority))
}

/// Sets both.
pub fn set_policy(tid: i32, policy: i32, priority: i32) -> io::Result<()> {
    let place = &raw const priority as libc::c_long;
    call(
        libc::SYS_sched_setscheduler,
        [tid.into(), policy.into(), place],
    )
    .map(drop)
}

/// Lowest and highest real-time priority of a policy.
pub fn priorities(policy: i32) -> io::Result<(i32, i32)> {
    let lowest = call(libc::SYS_sched_get_priority_min, [policy.into(), 0, 0])?;
    let highest = call(libc::SYS_sched_get_priority_max, [policy.into(), 0, 0])?;
    Ok((lowest as i32, highest as i32))
}

/// The CPUs on which a thread may run; bit n = CPU n.
pub fn affinity(tid: i32) -> io::Result<u64> {
    let mut mask = 0u64;
    let place = &raw mut mask as libc::c_long;
    call(libc::SYS_sched_getaffinity, [tid.into(), 8, place])?;
    Ok(mask)
}

/// Sets them.
pub fn set_affinity(tid: i32, mask: u64) -> io::Result<()> {
    let place = &raw const mask as libc::c_long;
    call(libc::SYS_sched_setaffinity, [tid.into(), 8, place]).map(drop)
}

/// Whose nice value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Whose {
    /// A process's, or thread's.
    Process = 0,
    /// That of a process group.
    Group = 1,
    /// A user's.
    User = 2,
}

/// The lowest nice value of those.
pub fn nice(whose: Whose, id: u32) -> io::Result<i32> {
    let raw = call(libc::SYS_getpriority, [whose as i32 as _, id.into(), 0])?;
    Ok(20 - raw as i32)
}

/// Sets it.
pub fn set_nice(whose: Whose, id: u32, nice: i32) -> io::Result<()> {
    call(
        libc::SYS_setpriority,
        [whose as i32 as _, id.into(), nice.into()],
    )
    .map(drop)
}
