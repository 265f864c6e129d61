//! Threads, scheduling, futexes, sleeping.

use super::raw::{call6, call6_pair, plain};
use ferrix_abi::Call;
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::sched::{Policy, Scheduling, Whose};
use ferrix_abi::thread::{NAME_SIZE, ThreadInfo};

/// Starts a thread; RDI = `argument`.
///
/// # Safety
/// `entry` is code that expects `argument`, and `stack` the top of memory that is this thread's alone.
pub unsafe fn create(entry: u64, stack: u64, argument: u64, fs_base: u64) -> Result<u32> {
    // SAFETY: the caller's condition.
    unsafe { call6(Call::ThreadCreate, [entry, stack, argument, fs_base, 0, 0]) }
        .map(|tid| tid as u32)
}

/// Ends the thread; afterwards the kernel clears and wakes the word at `clear` (0: none).
///
/// # Safety
/// `clear` is 0 or the address of a 32-bit word that may be written at any later time.
pub unsafe fn exit(clear: u64) -> ! {
    // SAFETY: the caller's condition.
    let _ = unsafe { call6(Call::ThreadExit, [clear, 0, 0, 0, 0, 0]) };
    unreachable!("the kernel does not return from ThreadExit")
}

/// Sets FS base.
pub fn set_fs_base(base: u64) -> Result<()> {
    plain(Call::SetFsBase, [base]).map(drop)
}

/// Gives up the rest of the slice.
pub fn yield_now() {
    let _ = plain(Call::Yield, []);
}

/// Sets policy and priority.
pub fn set_scheduling(tid: u32, policy: Policy, priority: u8, resource: Handle) -> Result<()> {
    let args = [
        tid.into(),
        policy as u64,
        priority.into(),
        resource.0.into(),
    ];
    plain(Call::SchedSet, args).map(drop)
}

/// Policy number and base priority.
pub fn scheduling(tid: u32) -> Result<(u8, u8)> {
    plain(Call::SchedGet, [tid.into()]).map(|value| ((value >> 8) as u8, value as u8))
}

/// What a thread's scheduling is for Linux.
pub fn linux_scheduling(tid: u32) -> Result<Scheduling> {
    // SAFETY: numbers only.
    unsafe { call6_pair(Call::SchedGet, [tid.into(), 0, 0, 0, 0, 0]) }
        .map(|(_, packed)| Scheduling::unpack(packed))
}

/// Sets it, by Linux's rules.
pub fn set_linux_scheduling(tid: u32, wanted: Scheduling) -> Result<()> {
    plain(Call::SchedChange, [tid.into(), wanted.pack()]).map(drop)
}

/// Sets the nice value of threads.
pub fn set_nice(whose: Whose, id: u32, nice: i32) -> Result<()> {
    plain(Call::NiceSet, [whose as u64, id.into(), nice as u32 as u64]).map(drop)
}

/// 20 minus the lowest nice value of threads.
pub fn nice(whose: Whose, id: u32) -> Result<u64> {
    plain(Call::NiceGet, [whose as u64, id.into()])
}

/// The priority that counts now: with what sleeping, using up slices and those who wait for it add.
pub fn effective_priority(tid: u32) -> Result<u8> {
    plain(Call::SchedGet, [tid.into()]).map(|value| (value >> 16) as u8)
}

/// Sets the CPUs a thread may run on.
pub fn set_affinity(tid: u32, mask: u64) -> Result<()> {
    plain(Call::SetAffinity, [tid.into(), mask]).map(drop)
}

/// The CPUs a thread may run on.
pub fn affinity(tid: u32) -> Result<u64> {
    plain(Call::GetAffinity, [tid.into()])
}

/// The CPU this thread runs on.
pub fn cpu() -> Result<u32> {
    plain(Call::GetCpu, []).map(|cpu| cpu as u32)
}

/// User and system time in nanoseconds of a process (`thread` false) or thread.
pub fn cpu_time(id: u32, which: u32) -> Result<(u64, u64)> {
    // SAFETY: numbers only.
    unsafe { call6_pair(Call::CpuTime, [id.into(), which.into(), 0, 0, 0, 0]) }
}

/// The thread of a process with the smallest tid above `previous`.
pub fn next(pid: u32, previous: u32) -> Result<ThreadInfo> {
    let mut info = ThreadInfo::default();
    let args = [pid.into(), previous.into(), &raw mut info as u64, 0, 0, 0];
    // SAFETY: the kernel writes one `ThreadInfo`.
    unsafe { call6(Call::ThreadNext, args) }?;
    Ok(info)
}

/// Names a thread of this process; with a reply token, of the process that waits for that reply.
pub fn set_name(tid: u32, name: [u8; NAME_SIZE], token: u64) -> Result<()> {
    let words = u128::from_le_bytes(name);
    plain(
        Call::ThreadName,
        [tid.into(), words as u64, (words >> 64) as u64, token],
    )
    .map(drop)
}

/// Waits on a word.
pub fn futex_wait(address: u64, expected: u32, deadline: u64, bitset: u32) -> Result<()> {
    futex_wait_with(address, expected, deadline, bitset.into())
}

/// The same, with flags ([`ferrix_abi::futex`]) beside the bit set.
pub fn futex_wait_with(address: u64, expected: u32, deadline: u64, bits: u64) -> Result<()> {
    plain(Call::FutexWait, [address, expected.into(), deadline, bits]).map(drop)
}

/// Wakes waiters.
pub fn futex_wake(address: u64, count: u64, bitset: u32) -> Result<u64> {
    futex_wake_with(address, count, bitset.into())
}

/// The same, with flags ([`ferrix_abi::futex`]) beside the bit set.
pub fn futex_wake_with(address: u64, count: u64, bits: u64) -> Result<u64> {
    plain(Call::FutexWake, [address, count, bits])
}

/// Tells of the caller's robust futexes that their owner died, and forgets the list.
pub fn futex_release() {
    // It cannot fail.
    let _ = plain(Call::FutexRelease, []);
}

/// Wakes some and moves others to another word; `expected` compares first.
pub fn futex_requeue(
    from: u64,
    wake: u64,
    requeue: u64,
    to: u64,
    expected: Option<u32>,
) -> Result<u64> {
    futex_requeue_with(from, wake, requeue, to, expected, 0)
}

/// The same, with flags ([`ferrix_abi::futex`]).
pub fn futex_requeue_with(
    from: u64,
    wake: u64,
    requeue: u64,
    to: u64,
    expected: Option<u32>,
    flags: u64,
) -> Result<u64> {
    let compare = expected.map_or(0, |value| u64::from(value) | 1 << 32);
    plain(
        Call::FutexRequeue,
        [from, wake, requeue, to, compare | flags],
    )
}

/// Locks a word that inherits priorities; flags as in [`ferrix_abi::futex`].
pub fn futex_lock_pi(address: u64, deadline: u64, flags: u64) -> Result<()> {
    plain(Call::FutexLockPi, [address, deadline, flags]).map(drop)
}

/// Unlocks it.
pub fn futex_unlock_pi(address: u64, flags: u64) -> Result<()> {
    plain(Call::FutexUnlockPi, [address, flags]).map(drop)
}

/// Waits on a word until moved to another, which inherits priorities, and is the caller's then.
pub fn futex_wait_requeue_pi(
    address: u64,
    expected: u32,
    deadline: u64,
    flags: u64,
    to: u64,
) -> Result<()> {
    let args = [address, expected.into(), deadline, flags, to];
    plain(Call::FutexWaitRequeuePi, args).map(drop)
}

/// Moves waiters to a word that inherits priorities; the first one gets it if it is free.
pub fn futex_requeue_pi(from: u64, expected: u32, most: u64, flags: u64, to: u64) -> Result<u64> {
    plain(
        Call::FutexRequeuePi,
        [from, expected.into(), most, flags, to],
    )
}

/// Sleeps until a monotonic time.
pub fn sleep_until(deadline: u64) -> Result<()> {
    plain(Call::SleepUntil, [deadline]).map(drop)
}

/// Sets the process's real-time interval timer; what was left, and the old interval.
pub fn set_alarm(first: u64, interval: u64) -> Result<(u64, u64)> {
    // SAFETY: numbers only.
    unsafe { call6_pair(Call::AlarmSet, [first, interval, 0, 0, 0, 0]) }
}
