//! Futexes that inherit priorities: the word names its owner, who has at least the priority of everybody who waits.
//!
//! As for Linux's PI futexes (futex(2)): 0 or the owner's tid, with two flags. A word that nobody waits for changes
//! hands without the kernel. Waiters lie in a hash table of their own, and lend to the owner
//! ([`inherit`](crate::sched::inherit)): whom a waiter lends to owns what it waits for. Who gives the futex back hands it to the most
//! urgent waiter. When an owner ends, the most urgent waiter makes its call again, and finds that the futex was left to it.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::futex::{TID_MASK, TRY, WAITERS};

use super::Key;
use super::operations::{key, lock_and_read};
use super::step::{Step, step};
use crate::arch::TrapFrame;
use crate::mm::uaccess::UserPtr;
use crate::object::core_lock::lock;
use crate::object::list::List;
use crate::object::{Core, CoreGuard};
use crate::sched::queue::InQueue;
use crate::sched::{Next, inherit};
use crate::syscall::unlocked;
use crate::thread::{self, Outcome, State, Thread, by_tid, current};

mod moving;
pub use moving::{requeue_pi, wait_requeue_pi};

const BITS: u32 = 6;

static WAITERS_BY_KEY: [List<Thread, InQueue>; 1 << BITS] = [const { List::new() }; 1 << BITS];

fn bucket(key: Key) -> &'static List<Thread, InQueue> {
    &WAITERS_BY_KEY[key.bucket(BITS)]
}

/// Those who wait at `key` to be moved to `target`, or for itself ([`Key::NONE`]).
fn waiters(core: &Core, key: Key, target: Key) -> impl Iterator<Item = &'static Thread> {
    bucket(key).iter(core).filter(move |waiter| {
        waiter.futex.get(core) == key && waiter.futex_target.get(core) == target
    })
}

/// The most urgent one; of equals the one that came first.
fn most_urgent(
    core: &Core,
    waiters: impl Iterator<Item = &'static Thread>,
) -> Option<&'static Thread> {
    waiters.reduce(|best, next| {
        let higher = next.sched.priority.get(core) > best.sched.priority.get(core);
        if higher { next } else { best }
    })
}

/// Makes the word `new` if it is `old`; whether it was. The lock is another one then, perhaps.
fn swap(core: CoreGuard, address: u64, old: u32, new: u32) -> Result<(CoreGuard, bool)> {
    let word = UserPtr::<u32>::new(address);
    match word.swap(&core, old, new) {
        Some(before) => Ok((core, before == old)),
        None => {
            drop(core);
            unlocked(|| word.touch())?;
            Ok((lock(), false))
        }
    }
}

/// `FutexLockPi`.
#[inline(never)]
pub fn lock_pi(frame: &mut TrapFrame, address: u64, deadline: u64, how: u64) -> Next {
    match try_lock_pi(address, how) {
        Ok(None) => Next::result(frame, Ok(0)),
        Ok(Some((core, key, owner))) => wait_for(core, frame, key, owner, deadline),
        Err(error) => Next::error(frame, error),
    }
}

type Owned = (CoreGuard, Key, &'static Thread);

/// Takes the futex, or tells who has it; the word says then that somebody waits.
fn try_lock_pi(address: u64, how: u64) -> Result<Option<Owned>> {
    let caller = current();
    let key = key(address, how)?;
    loop {
        let (core, word) = lock_and_read(address)?;
        let others = waiters(&core, key, Key::NONE).next().is_some();
        let (tid, from) = (caller.tid.get(&core), caller.inherits_from.get(&core));
        match step(word, tid, from, others) {
            Step::Mine => return Err(Error::Deadlock),
            Step::Wait { .. } if how & TRY != 0 => return Err(Error::WouldBlock),
            Step::Take(new) => {
                let (core, done) = swap(core, address, word, new)?;
                if done {
                    caller.inherits_from.set(&core, 0);
                    own(&core, key, caller);
                    return Ok(None);
                }
            }
            Step::Wait { owner, word: new } => {
                let owner = by_tid(&core, owner).ok_or(Error::NoSuchProcess)?;
                let (core, done) = match word == new {
                    true => (core, true),
                    false => swap(core, address, word, new)?,
                };
                if done {
                    return Ok(Some((core, key, owner)));
                }
            }
        }
    }
}

/// The caller waits for `owner` to give it the futex.
fn wait_for(
    mut core: CoreGuard,
    frame: &mut TrapFrame,
    key: Key,
    owner: &'static Thread,
    deadline: u64,
) -> Next {
    let caller = current();
    let result = thread::may_wait(&mut core, caller, true)
        .and_then(|()| inherit::donate(&core, caller, owner));
    if let Err(error) = result {
        drop(core);
        return Next::error(frame, error);
    }
    enqueue(&core, caller, key, Key::NONE);
    // Waiters that a dead owner's heir has not reached yet.
    own(&core, key, owner);
    thread::wait(core, caller, frame, State::FutexPi, deadline)
}

fn enqueue(core: &Core, waiter: &'static Thread, key: Key, target: Key) {
    waiter.futex.set(core, key);
    waiter.futex_target.set(core, target);
    bucket(key).push_back(core, waiter);
}

/// All who wait for the futex lend to `owner`, whoever they lent to before.
fn own(core: &Core, key: Key, owner: &'static Thread) {
    let other = |waiter: &&'static Thread| {
        let donee = waiter.inheritance.donee(core);
        donee.is_some_and(|donee| !core::ptr::eq(donee, owner))
    };
    while let Some(waiter) = waiters(core, key, Key::NONE).find(other) {
        if let Some(before) = waiter.inheritance.donee(core) {
            inherit::move_donors(core, before, Some(owner), |donor| waits(core, donor, key));
        }
    }
}

fn waits(core: &Core, thread: &Thread, key: Key) -> bool {
    thread.state.get(core) == State::FutexPi
        && thread.futex.get(core) == key
        && thread.futex_target.get(core) == Key::NONE
}

/// `FutexUnlockPi`.
pub fn unlock_pi(address: u64, how: u64) -> Result<u64> {
    let caller = current();
    let key = key(address, how)?;
    loop {
        let (core, word) = lock_and_read(address)?;
        if word & TID_MASK != caller.tid.get(&core) {
            return Err(Error::NotPermitted);
        }
        let next = most_urgent(&core, waiters(&core, key, Key::NONE));
        let more = waiters(&core, key, Key::NONE).nth(1).is_some();
        let new = next.map_or(0, |next| owned_by(&core, next, more));
        let (mut core, done) = swap(core, address, word, new)?;
        if done {
            if let Some(next) = next {
                thread::finish(&mut core, next, Outcome::Result(Ok(0)));
                own(&core, key, next);
            }
            return Ok(0);
        }
    }
}

/// The word that names a new owner.
fn owned_by(core: &Core, owner: &Thread, more: bool) -> u32 {
    owner.tid.get(core) | if more { WAITERS } else { 0 }
}

/// Takes a waiter out of its queue.
pub fn withdraw(core: &Core, waiter: &'static Thread) {
    bucket(waiter.futex.get(core)).remove(core, waiter);
}

/// A thread has ended. Of each futex that it had, the most urgent waiter is to take it over.
pub fn owner_ended(core: &mut Core, owner: &'static Thread) {
    let left_to_it = owner.inherits_from.take(core);
    let its_key = owner.futex.get(core);
    loop {
        let donors = owner.inheritance.donors(core);
        let waiting = donors.filter(|donor| donor.state.get(core) == State::FutexPi);
        let Some(heir) = most_urgent(core, waiting) else {
            return;
        };
        let key = heir.futex.get(core);
        let dead = match left_to_it {
            tid if tid != 0 && key == its_key => tid,
            _ => owner.tid.get(core),
        };
        heir.inherits_from.set(core, dead);
        thread::finish(core, heir, Outcome::Repeat);
        own(core, key, heir);
    }
}
