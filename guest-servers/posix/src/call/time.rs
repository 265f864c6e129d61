//! Clocks, sleeping, interval timers. The time comes from the kernel's page, without a system call.

use super::signals::nothing_pending;
use crate::user;
use ferrix_abi::ipc::FOREVER;
use ferrix_posix::time::{
    SECOND, deadline, from_realtime, from_timespec, from_timeval, to_timespec, to_timeval,
};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::clock::{monotonic_ns, realtime_ns};
use ferrix_rt::sys::{process, system, thread, utcb};
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{__kernel_old_itimerval as itimerval, rusage};

/// Ticks per second of `times` (`AT_CLKTCK`).
pub const CLOCK_TICKS: u64 = 100;
/// Bits of a thread or process CPU clock's id: the rest is the negated id (Linux's `CPUCLOCK_*`).
const CPU_CLOCK_PER_THREAD: i32 = 4;

/// Nanoseconds on a clock.
fn now(clock: u64) -> Result<u64> {
    match clock as u32 {
        linux::CLOCK_REALTIME | linux::CLOCK_REALTIME_COARSE | linux::CLOCK_TAI => {
            Ok(realtime_ns())
        }
        linux::CLOCK_MONOTONIC
        | linux::CLOCK_MONOTONIC_RAW
        | linux::CLOCK_MONOTONIC_COARSE
        | linux::CLOCK_BOOTTIME => Ok(monotonic_ns()),
        linux::CLOCK_PROCESS_CPUTIME_ID => cpu_time(0, 0),
        linux::CLOCK_THREAD_CPUTIME_ID => cpu_time(utcb::tid(), 1),
        id if (id as i32) < 0 => {
            let id = id as i32;
            let which = u32::from(id & CPU_CLOCK_PER_THREAD != 0);
            cpu_time(!(id >> 3) as u32, which)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn cpu_time(id: u32, which: u32) -> Result<u64> {
    let (user, system) = thread::cpu_time(id, which).map_err(|_| Errno::EINVAL)?;
    Ok(user + system)
}

pub fn clock_gettime(frame: &mut Frame) -> Result<u64> {
    let [clock, place, ..] = frame.args();
    user::write(place, &to_timespec(now(clock)?)).map(|()| 0)
}

/// The clocks tell nanoseconds.
pub fn clock_getres(frame: &mut Frame) -> Result<u64> {
    let [clock, place, ..] = frame.args();
    now(clock)?;
    user::write_optional(place, &to_timespec(1)).map(|()| 0)
}

pub fn gettimeofday(frame: &mut Frame) -> Result<u64> {
    let [place, zone, ..] = frame.args();
    user::write_optional(place, &to_timeval(realtime_ns()))?;
    user::write_optional(zone, &[0u32; 2]).map(|()| 0)
}

pub fn time(frame: &mut Frame) -> Result<u64> {
    let seconds = realtime_ns() / SECOND;
    user::write_optional(frame.rdi, &seconds)?;
    Ok(seconds)
}

pub fn nanosleep(frame: &mut Frame) -> Result<u64> {
    let [wait, left, ..] = frame.args();
    let wait = from_timespec(user::read(wait)?)?;
    sleep_until(deadline(monotonic_ns(), wait), left)
}

pub fn clock_nanosleep(frame: &mut Frame) -> Result<u64> {
    let [clock, flags, wait, left, ..] = frame.args();
    let realtime = match clock as u32 {
        linux::CLOCK_REALTIME => true,
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => false,
        _ => return Err(Errno::EINVAL),
    };
    let wait = from_timespec(user::read(wait)?)?;
    if flags & u64::from(linux::TIMER_ABSTIME) == 0 {
        return sleep_until(deadline(monotonic_ns(), wait), left);
    }
    let until = if realtime {
        from_realtime(wait, system::realtime_offset())
    } else {
        wait
    };
    sleep_until(until, 0)
}

/// Sleeps; what is left goes to `left` when a handler ends the sleep.
fn sleep_until(until: u64, left: u64) -> Result<u64> {
    loop {
        match thread::sleep_until(until).map_err(Errno::from) {
            Ok(()) => return Ok(0),
            // Stopped and continued, or a signal that another thread took: the sleep goes on.
            Err(Errno::EINTR) if nothing_pending() => {}
            Err(Errno::EINTR) => {
                let rest = until.saturating_sub(monotonic_ns());
                user::write_optional(left, &to_timespec(rest))?;
                return Err(Errno::EINTR);
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// The only interval timer is the real-time one; asking for it costs setting it again.
fn set_timer(first: u64, interval: u64) -> Result<(u64, u64)> {
    let when = if first == 0 {
        FOREVER
    } else {
        deadline(monotonic_ns(), first)
    };
    let (left, old_interval) = ferrix_rt::sys::thread::set_alarm(when, interval)?;
    let left = if left == FOREVER { 0 } else { left };
    Ok((left, old_interval))
}

pub fn alarm(frame: &mut Frame) -> Result<u64> {
    let seconds = u64::from(frame.rdi as u32);
    let (left, _) = set_timer(seconds * SECOND, 0)?;
    // Rounded up: an alarm that is set never has 0 seconds left.
    Ok(left.div_ceil(SECOND))
}

fn is_real(which: u64) -> Result<()> {
    if which as u32 == linux::ITIMER_REAL {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn timer_value((left, interval): (u64, u64)) -> itimerval {
    itimerval {
        it_interval: to_timeval(interval),
        it_value: to_timeval(left),
    }
}

pub fn setitimer(frame: &mut Frame) -> Result<u64> {
    let [which, new, old, ..] = frame.args();
    is_real(which)?;
    let new = user::read_optional::<itimerval>(new)?;
    let new = new.unwrap_or_else(user::zeroed);
    let before = set_timer(from_timeval(new.it_value)?, from_timeval(new.it_interval)?)?;
    user::write_optional(old, &timer_value(before)).map(|()| 0)
}

pub fn getitimer(frame: &mut Frame) -> Result<u64> {
    let [which, place, ..] = frame.args();
    is_real(which)?;
    let current = set_timer(0, 0)?;
    if current.0 != 0 {
        set_timer(current.0, current.1)?;
    }
    user::write(place, &timer_value(current)).map(|()| 0)
}

/// CPU times of the caller; those of waited-for children are not kept.
pub fn times(frame: &mut Frame) -> Result<u64> {
    let (user, system) = thread::cpu_time(0, 0)?;
    let ticks = |ns: u64| ns / (SECOND / CLOCK_TICKS);
    if frame.rdi != 0 {
        user::write(frame.rdi, &[ticks(user), ticks(system)])?;
        user::write(frame.rdi + 16, &[0u64; 2])?;
    }
    Ok(ticks(monotonic_ns()))
}

pub fn getrusage(frame: &mut Frame) -> Result<u64> {
    let [who, place, ..] = frame.args();
    let (user, system) = match who as i32 {
        linux::RUSAGE_CHILDREN => (0, 0),
        who if who == linux::RUSAGE_THREAD as i32 => thread::cpu_time(utcb::tid(), 1)?,
        0 => thread::cpu_time(0, 0)?,
        _ => return Err(Errno::EINVAL),
    };
    let mut usage: rusage = user::zeroed();
    usage.ru_utime = to_timeval(user);
    usage.ru_stime = to_timeval(system);
    if who as i32 == 0
        && let Ok(own) = process::next(utcb::pid() - 1)
    {
        usage.ru_maxrss = (own.resident_pages * 4) as i64;
    }
    user::write(place, &usage).map(|()| 0)
}
