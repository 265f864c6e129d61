//! Waiting at one futex to be moved to another, which inherits priorities: condition variables with such a mutex.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::futex::{TID_MASK, WAITERS};

use super::{bucket, enqueue, lock_pi, most_urgent, own, owned_by, swap, waiters};
use crate::arch::TrapFrame;
use crate::futex::Key;
use crate::futex::operations::{key, lock_and_read};
use crate::object::core_lock::lock;
use crate::object::{Core, CoreGuard};
use crate::sched::{Next, inherit};
use crate::syscall::unlocked;
use crate::thread::{self, Outcome, State, Thread, by_tid, current};

/// Both keys; they differ.
fn keys(from: u64, to: u64, how: u64) -> Result<(Key, Key)> {
    let keys = unlocked(|| Ok((key(from, how)?, key(to, how)?)))?;
    if keys.0 == keys.1 {
        return Err(Error::Invalid);
    }
    Ok(keys)
}

/// `FutexWaitRequeuePi`.
#[inline(never)]
pub fn wait_requeue_pi(frame: &mut TrapFrame) -> Next {
    let [address, expected, deadline, how, second, ..] = frame.arguments();
    let caller = current();
    if caller.inherits_from.get(&lock()) != 0 {
        // It had been moved, and the owner died.
        return lock_pi(frame, second, deadline, how);
    }
    match may_wait(address, expected as u32, how, second) {
        Ok((core, (from, to))) => {
            enqueue(&core, caller, from, to);
            thread::wait(core, caller, frame, State::FutexPi, deadline)
        }
        Err(error) => Next::error(frame, error),
    }
}

fn may_wait(address: u64, expected: u32, how: u64, second: u64) -> Result<(CoreGuard, (Key, Key))> {
    let keys = keys(address, second, how)?;
    let (mut core, word) = lock_and_read(address)?;
    if word != expected {
        return Err(Error::WouldBlock);
    }
    thread::may_wait(&mut core, current(), true)?;
    Ok((core, keys))
}

/// `FutexRequeuePi`.
pub fn requeue_pi(frame: &TrapFrame) -> Result<u64> {
    let [address, expected, most, how, second, ..] = frame.arguments();
    let (from, to) = keys(address, second, how)?;
    loop {
        // The second word is read under the same lock as the first, if both are there.
        drop(lock_and_read(second)?);
        let (core, word) = lock_and_read(address)?;
        if word != expected as u32 {
            return Err(Error::WouldBlock);
        }
        let Some(first) = most_urgent(&core, waiters(&core, from, to)) else {
            return Ok(0);
        };
        drop(core);
        if let Some(moved) = move_waiters(first, (from, to), second, most)? {
            return Ok(moved);
        }
    }
}

/// Moves `first`, if it is still the most urgent, and others; nothing if the second word has changed meanwhile.
fn move_waiters(
    first: &'static Thread,
    (from, to): (Key, Key),
    second: u64,
    most: u64,
) -> Result<Option<u64>> {
    let (core, word) = lock_and_read(second)?;
    let best = most_urgent(&core, waiters(&core, from, to));
    if !best.is_some_and(|best| core::ptr::eq(best, first)) {
        return Ok(None);
    }
    let free = word & TID_MASK == 0;
    let waited_for = waiters(&core, to, Key::NONE).next().is_some();
    let others = most > 0 && waiters(&core, from, to).nth(1).is_some();
    let new = match free {
        true => owned_by(&core, first, waited_for || others) | word & !(TID_MASK | WAITERS),
        false => word | WAITERS,
    };
    let owner = match free {
        true => first,
        false => by_tid(&core, word & TID_MASK).ok_or(Error::NoSuchProcess)?,
    };
    let (mut core, done) = swap(core, second, word, new)?;
    if !done {
        return Ok(None);
    }
    if free {
        thread::finish(&mut core, first, Outcome::Result(Ok(0)));
        own(&core, to, first);
    }
    let (woken, most) = if free { (1, most) } else { (0, most + 1) };
    Ok(Some(woken + move_to(&core, (from, to), owner, most)?))
}

/// Makes at most so many wait for the second futex, which is `owner`'s; how many.
fn move_to(core: &Core, (from, to): (Key, Key), owner: &'static Thread, most: u64) -> Result<u64> {
    let mut moved = 0;
    while moved < most {
        let Some(next) = most_urgent(core, waiters(core, from, to)) else {
            break;
        };
        match inherit::donate(core, next, owner) {
            Ok(()) => {}
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
        bucket(from).remove(core, next);
        enqueue(core, next, to, Key::NONE);
        moved += 1;
    }
    Ok(moved)
}
