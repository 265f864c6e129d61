//! Resource limits: `prlimit`, and Ferrix's record of use and violations.

use std::io;
use std::mem::offset_of;

use super::check;
use super::process::Pid;

/// The numbers of the resources on x86-64. (The C libraries do not agree on their type.)
pub mod resource {
    pub const CPU: i32 = 0;
    pub const FSIZE: i32 = 1;
    pub const DATA: i32 = 2;
    pub const STACK: i32 = 3;
    pub const CORE: i32 = 4;
    pub const RSS: i32 = 5;
    pub const NPROC: i32 = 6;
    pub const NOFILE: i32 = 7;
    pub const MEMLOCK: i32 = 8;
    pub const AS: i32 = 9;
    pub const LOCKS: i32 = 10;
    pub const SIGPENDING: i32 = 11;
    pub const MSGQUEUE: i32 = 12;
    pub const NICE: i32 = 13;
    pub const RTPRIO: i32 = 14;
}

/// No limit.
pub const INFINITY: u64 = u64::MAX;
/// Resources in Ferrix's record; the last is the number of handles, which Linux does not know.
pub const RESOURCES: usize = 17;
/// Ferrix's own system call.
const CHECK_MEMORY_VIOLATION: i64 = 500;

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far it can be raised.
    pub hard: u64,
}

const _: () = assert!(
    size_of::<Limit>() == size_of::<libc::rlimit>()
        && offset_of!(Limit, hard) == offset_of!(libc::rlimit, rlim_max)
);

/// What Ferrix says of a process's limits, by number of the resource.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Record {
    /// The limits.
    pub limits: [Limit; RESOURCES],
    /// What is used.
    pub used: [u64; RESOURCES],
    /// How often each limit refused something.
    pub violations: [u64; RESOURCES],
}

/// `prlimit`: sets a limit of a process (0: this one) if there is a new one; the old one.
pub fn exchange(pid: Pid, resource: i32, new: Option<Limit>) -> io::Result<Limit> {
    let mut old = Limit::default();
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one structure to read, or none, and one to write.
    let result = unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, new, &raw mut old) };
    check(result as i32).map(|_| old)
}

/// A limit of this process.
pub fn get(resource: i32) -> io::Result<Limit> {
    exchange(0, resource, None)
}

/// Sets a limit of this process.
pub fn set(resource: i32, new: Limit) -> io::Result<()> {
    exchange(0, resource, Some(new)).map(drop)
}

/// Sets a soft limit of this process.
pub fn set_soft(resource: i32, soft: u64) -> io::Result<()> {
    let Limit { hard, .. } = get(resource)?;
    set(resource, Limit { soft, hard })
}

/// Ferrix's record of a process (0: this one).
pub fn record(pid: Pid) -> io::Result<Record> {
    let mut record = Record::default();
    // SAFETY: the structure is as large as what the system writes (`ferrix_abi::limit::LimitInfo`).
    let result = unsafe { libc::syscall(CHECK_MEMORY_VIOLATION, pid, &raw mut record) };
    check(result as i32).map(|_| record)
}
