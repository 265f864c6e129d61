//! Wait, wake, requeue.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::futex::PRIVATE;

use super::Key;
use crate::arch::TrapFrame;
use crate::mm::Sharing;
use crate::mm::uaccess::UserPtr;
use crate::object::core_lock::lock;
use crate::object::list::List;
use crate::object::{Core, CoreGuard};
use crate::process::with_current_space;
use crate::sched::queue::InQueue;
use crate::sched::{self, Next};
use crate::syscall::unlocked;
use crate::thread::{self, State, Thread, current};

const BITS: u32 = 8;

static WAITERS: [List<Thread, InQueue>; 1 << BITS] = [const { List::new() }; 1 << BITS];

/// Where those who wait for a key queue, and others.
#[inline(always)]
pub(super) fn bucket(key: Key) -> &'static List<Thread, InQueue> {
    &WAITERS[key.bucket(BITS)]
}

/// What the word at a user address of the caller is known by. `flags` may say that only this address space
/// uses it ([`PRIVATE`]): then nobody has to look where it lies.
#[inline]
pub fn key(address: u64, flags: u64) -> Result<Key> {
    if !address.is_multiple_of(4) {
        return Err(Error::Invalid);
    }
    if flags & PRIVATE != 0 {
        with_current_space(|space| Ok(Key::private(space.id(), address)))
    } else {
        shared_key(address)
    }
}

#[inline(never)]
fn shared_key(address: u64) -> Result<Key> {
    with_current_space(|space| {
        Ok(match space.sharing(address)? {
            Sharing::Private => Key::private(space.id(), address),
            Sharing::Shared(object, offset) => Key::shared(object, offset),
        })
    })
}

/// Takes the core lock, and reads the word at a user address under it.
#[inline(always)]
pub fn lock_and_read(address: u64) -> Result<(CoreGuard, u32)> {
    let core = lock();
    match UserPtr::<u32>::new(address).peek(&core) {
        Some(value) => Ok((core, value)),
        None => touch_and_read(core, address),
    }
}

#[cold]
#[inline(never)]
fn touch_and_read(mut core: CoreGuard, address: u64) -> Result<(CoreGuard, u32)> {
    let word = UserPtr::<u32>::new(address);
    loop {
        drop(core);
        unlocked(|| word.read())?;
        core = lock();
        if let Some(value) = word.peek(&core) {
            return Ok((core, value));
        }
    }
}

/// Waits while the word is `expected`, for a wake-up with a common bit. `how`: the bits, and flags.
#[inline(never)]
pub fn wait(frame: &mut TrapFrame, address: u64, expected: u32, deadline: u64, how: u64) -> Next {
    let bits = how as u32;
    let key = match key(address, how) {
        Ok(key) if bits != 0 => key,
        Ok(_) => return Next::error(frame, Error::Invalid),
        Err(error) => return Next::error(frame, error),
    };
    let (mut core, found) = match lock_and_read(address) {
        Ok(read) => read,
        Err(error) => return Next::error(frame, error),
    };
    if found != expected {
        drop(core);
        return Next::error(frame, Error::WouldBlock);
    }
    let caller = current();
    caller.futex.set(&core, key);
    caller.futex_bits.set(&core, bits);
    if let Err(error) = thread::may_wait(&mut core, caller, true) {
        drop(core);
        return Next::error(frame, error);
    }
    // The result if it is woken.
    frame.rax = 0;
    bucket(key).push_back(&core, caller);
    thread::bound(&core, caller, deadline);
    sched::block(core, caller, State::Futex)
}

/// Wakes at most `count` waiters with a common bit; how many.
pub fn wake(core: &mut Core, key: Key, count: u32, bits: u32) -> u32 {
    let list = bucket(key);
    let mut woken = 0;
    let mut next = list.first(core);
    while let Some(waiter) = next.filter(|_| woken < count) {
        next = list.after(core, Some(waiter));
        if waiter.futex.get(core) == key && waiter.futex_bits.get(core) & bits != 0 {
            list.remove(core, waiter);
            waiter.disarm(core);
            sched::wake(core, waiter);
            woken += 1;
        }
    }
    woken
}

/// Wakes `count` waiters and moves at most `moved` others to another futex; how many in all.
pub fn requeue(core: &mut Core, from: Key, to: Key, count: u32, moved: u32) -> u32 {
    let woken = wake(core, from, count, u32::MAX);
    let list = bucket(from);
    let mut requeued = 0;
    let mut next = list.first(core);
    while let Some(waiter) = next.filter(|_| requeued < moved && from != to) {
        next = list.after(core, Some(waiter));
        if waiter.futex.get(core) == from {
            list.remove(core, waiter);
            waiter.futex.set(core, to);
            bucket(to).push_back(core, waiter);
            requeued += 1;
        }
    }
    woken + requeued
}

/// Takes a waiter out of its queue.
pub fn withdraw(core: &Core, waiter: &'static Thread) {
    bucket(waiter.futex.get(core)).remove(core, waiter);
}
