//! Waiting at one word to be moved to one that inherits priorities.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::futex::{PRIVATE, TID_MASK, WAITERS};
use ferrix_abi::ipc::FOREVER;
use ferrix_abi::thread::Activity;
use ferrix_rt::sys::{thread, utcb};

use super::{HIGH, LOW, MIDDLE, address, at, control, has, lock, note, unlock, until_waiting};
use crate::support::*;

/// A thread that waits at `from`, and has `to` when it goes on.
fn waiter(
    priority: u8,
    [from, to]: [&'static AtomicU32; 2],
    then: impl FnOnce() -> Outcome + 'static,
) -> Result<Thread, Failure> {
    let thread = at(priority, move || {
        thread::futex_wait_requeue_pi(address(from), 0, FOREVER, PRIVATE, address(to))?;
        equal(to.load(SeqCst) & TID_MASK, utcb::tid())?;
        then()?;
        Ok(unlock(to)?)
    })?;
    until_waiting(&thread, Activity::FutexPi)?;
    Ok(thread)
}

fn requeue(from: &AtomicU32, to: &AtomicU32, most: u64) -> Result<u64, Error> {
    thread::futex_requeue_pi(address(from), 0, most, PRIVATE, address(to))
}

/// The most urgent one gets it, the others after it, each in its turn.
pub fn moved_waiters() -> Outcome {
    static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    static ORDER: AtomicU32 = AtomicU32::new(0);
    const BOTH: [&AtomicU32; 2] = [&WORDS[0], &WORDS[1]];
    control()?;
    let order = |digit| {
        move || {
            note(&ORDER, digit);
            Ok(())
        }
    };
    let waiters = [
        waiter(LOW, BOTH, order(3))?,
        waiter(HIGH, BOTH, order(1))?,
        waiter(MIDDLE, BOTH, order(2))?,
        waiter(LOW, BOTH, order(4))?,
    ];
    equal(requeue(BOTH[0], BOTH[1], 10)?, 4)?;
    for waiter in waiters {
        waiter.join()?;
    }
    equal(ORDER.load(SeqCst), 1234)?;
    equal(WORDS[1].load(SeqCst), 0)
}

/// If somebody has the second word, all wait for it, and it has their priority.
pub fn moving_to_an_owner() -> Outcome {
    static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    static GATE: AtomicU32 = AtomicU32::new(0);
    const BOTH: [&AtomicU32; 2] = [&WORDS[0], &WORDS[1]];
    control()?;
    let low = super::holder(LOW, BOTH[1], &GATE)?;
    let first = waiter(HIGH, BOTH, || Ok(()))?;
    let second = waiter(MIDDLE, BOTH, || Ok(()))?;
    equal(requeue(BOTH[0], BOTH[1], 0)?, 1)?;
    holds(WORDS[1].load(SeqCst) & WAITERS != 0, "somebody waits")?;
    has(&low, HIGH, LOW)?;
    equal(requeue(BOTH[0], BOTH[1], 10)?, 1)?;
    super::open(&GATE)?;
    for thread in [low, first, second] {
        thread.join()?;
    }
    equal(WORDS[1].load(SeqCst), 0)
}

pub fn wrong_moves() -> Outcome {
    static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    let [from, to] = [&WORDS[0], &WORDS[1]];
    equal(requeue(from, to, 1)?, 0)?;
    fails(requeue(from, from, 1), Error::Invalid)?;
    let wait = |expected, deadline, to: &AtomicU32| {
        thread::futex_wait_requeue_pi(address(from), expected, deadline, PRIVATE, address(to))
    };
    fails(wait(0, FOREVER, from), Error::Invalid)?;
    fails(wait(1, FOREVER, to), Error::WouldBlock)?;
    fails(wait(0, after_ms(2), to), Error::TimedOut)?;
    let other = thread::futex_requeue_pi(address(from), 1, 1, PRIVATE, address(to));
    fails(other, Error::WouldBlock)?;
    lock(to)?;
    unlock(to)?;
    equal(to.load(SeqCst), 0)
}
