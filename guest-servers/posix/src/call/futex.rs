//! `futex`.

use crate::user;
use ferrix_abi::futex::{PRIVATE, TRY};
use ferrix_abi::ipc::FOREVER;
use ferrix_abi::layout::SYSTEM_BASE;
use ferrix_posix::time::{deadline, from_realtime, from_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::{system, thread};
use linux_raw_sys::general as linux;

/// Every waiter.
const ANY: u32 = u32::MAX;

/// The bit set of a call with the flags that its operation means.
fn with_flags(bits: u32, operation: u64) -> u64 {
    let private = operation as u32 & linux::FUTEX_PRIVATE_FLAG != 0;
    u64::from(bits) | if private { PRIVATE } else { 0 }
}

pub fn futex(frame: &mut Frame) -> Result<u64> {
    let [word, operation, value, fourth, second, last] = frame.args();
    let value = value as u32;
    word_address(word)?;
    let flags = linux::FUTEX_PRIVATE_FLAG | linux::FUTEX_CLOCK_REALTIME;
    let realtime = operation as u32 & linux::FUTEX_CLOCK_REALTIME != 0;
    match operation as u32 & !flags {
        linux::FUTEX_WAIT => {
            let until = relative(fourth)?;
            wait(word, value, until, with_flags(ANY, operation))
        }
        linux::FUTEX_WAIT_BITSET => {
            let until = absolute(fourth, realtime)?;
            wait(word, value, until, with_flags(bitset(last)?, operation))
        }
        linux::FUTEX_WAKE => wake(word, value, with_flags(ANY, operation)),
        linux::FUTEX_WAKE_BITSET => wake(word, value, with_flags(bitset(last)?, operation)),
        linux::FUTEX_REQUEUE => requeue([word, second], value, fourth, None, operation),
        linux::FUTEX_CMP_REQUEUE => {
            requeue([word, second], value, fourth, Some(last as u32), operation)
        }
        _ => inheriting(frame, operation as u32 & !flags),
    }
}

/// The operations of futexes that inherit priorities.
fn inheriting(frame: &Frame, command: u32) -> Result<u64> {
    let [word, operation, value, fourth, second, last] = frame.args();
    let realtime = operation as u32 & linux::FUTEX_CLOCK_REALTIME != 0;
    let flags = with_flags(0, operation);
    let done = match command {
        linux::FUTEX_LOCK_PI => thread::futex_lock_pi(word, absolute(fourth, true)?, flags),
        linux::FUTEX_LOCK_PI2 => thread::futex_lock_pi(word, absolute(fourth, realtime)?, flags),
        linux::FUTEX_TRYLOCK_PI => thread::futex_lock_pi(word, FOREVER, flags | TRY),
        linux::FUTEX_UNLOCK_PI => thread::futex_unlock_pi(word, flags),
        linux::FUTEX_WAIT_REQUEUE_PI => {
            word_address(second)?;
            let until = absolute(fourth, realtime)?;
            thread::futex_wait_requeue_pi(word, value as u32, until, flags, second)
        }
        linux::FUTEX_CMP_REQUEUE_PI if value as u32 == 1 => {
            word_address(second)?;
            let most = u64::from(fourth as u32);
            return Ok(thread::futex_requeue_pi(
                word,
                last as u32,
                most,
                flags,
                second,
            )?);
        }
        linux::FUTEX_CMP_REQUEUE_PI => return Err(Errno::EINVAL),
        _ => return Err(Errno::ENOSYS),
    };
    done.map(|()| 0)
        .map_err(|error| Errno::from(error).unstoppable())
}

/// Futex words are aligned and the program's own.
fn word_address(word: u64) -> Result<()> {
    match word {
        _ if !word.is_multiple_of(4) => Err(Errno::EINVAL),
        _ if word >= SYSTEM_BASE => Err(Errno::EFAULT),
        _ => Ok(()),
    }
}

fn bitset(last: u64) -> Result<u32> {
    if last as u32 == 0 {
        Err(Errno::EINVAL)
    } else {
        Ok(last as u32)
    }
}

fn relative(timeout: u64) -> Result<u64> {
    let timeout = user::read_optional(timeout)?
        .map(from_timespec)
        .transpose()?;
    Ok(timeout.map_or(FOREVER, |wait| deadline(monotonic_ns(), wait)))
}

fn absolute(timeout: u64, realtime: bool) -> Result<u64> {
    let until = user::read_optional(timeout)?
        .map(from_timespec)
        .transpose()?;
    Ok(match until {
        Some(wall) if realtime => from_realtime(wall, system::realtime_offset()),
        Some(until) => until,
        None => FOREVER,
    })
}

fn wait(word: u64, value: u32, until: u64, bits: u64) -> Result<u64> {
    let result = thread::futex_wait_with(word, value, until, bits).map_err(Errno::from);
    match result {
        Ok(()) => Ok(0),
        // A relative wait made again would start over: as on Linux only an endless one is.
        Err(errno) if until == FOREVER => Err(errno.restartable()),
        Err(errno) => Err(errno.unless_handled()),
    }
}

fn wake(word: u64, count: u32, bits: u64) -> Result<u64> {
    Ok(thread::futex_wake_with(word, count.into(), bits)?)
}

fn requeue(
    [word, to]: [u64; 2],
    wake: u32,
    move_on: u64,
    expected: Option<u32>,
    operation: u64,
) -> Result<u64> {
    word_address(to)?;
    Ok(thread::futex_requeue_with(
        word,
        wake.into(),
        u64::from(move_on as u32),
        to,
        expected,
        with_flags(0, operation),
    )?)
}
