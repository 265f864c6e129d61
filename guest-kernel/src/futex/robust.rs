//! Robust futexes: what a thread's end does to the locks that it holds ([`abi::futex::robust`](ferrix_abi::futex::robust)).
//!
//! The list is the program's, and may be anything: each access is checked, and the walk is bounded.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::futex::robust::{ENTRIES_MAX, HEAD, PRIORITY_INHERITED};
use ferrix_abi::futex::{OWNER_DIED, TID_MASK, WAITERS};

use super::{key, wake};
use crate::arch::cpu;
use crate::mm::uaccess::{UserPtr, UserSlice};
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::thread::Thread;

/// Whether an entry is in the list, or was about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Listed,
    Pending,
}

/// The running thread ends: says so of the locks that it holds. Interrupts are off before and after.
pub fn release(thread: &'static Thread) {
    let core = lock();
    let has_utcb = thread.utcb_slot(&core).is_some();
    let head = if has_utcb {
        thread.robust_list(&core)
    } else {
        0
    };
    let tid = thread.tid.get(&core);
    drop(core);
    if head != 0 {
        cpu::enable_interrupts();
        // As on Linux, what cannot be read ends the walk, and nobody is there to be told.
        let _ = walk(head, tid);
        cpu::disable_interrupts();
    }
}

fn walk(head: u64, tid: u32) -> Result<()> {
    let mut words = [0; HEAD];
    UserSlice::<u64>::new(head, HEAD).read(&mut words)?;
    let [mut entry, distance, pending] = words;
    let entry_of = |link: u64| Entry {
        link,
        futex: address(link).wrapping_add(distance),
        tid,
    };
    for _ in 0..ENTRIES_MAX {
        if address(entry) == head {
            break;
        }
        // First, for who gets the lock may free it.
        let next = UserPtr::<u64>::new(address(entry)).read()?;
        if address(entry) != address(pending) {
            entry_of(entry).owner_died(Place::Listed)?;
        }
        entry = next;
    }
    match address(pending) {
        0 => Ok(()),
        _ => entry_of(pending).owner_died(Place::Pending),
    }
}

fn address(link: u64) -> u64 {
    link & !PRIORITY_INHERITED
}

/// A lock of the thread that ends, perhaps.
struct Entry {
    link: u64,
    futex: u64,
    tid: u32,
}

impl Entry {
    fn owner_died(&self, place: Place) -> Result<()> {
        if !self.futex.is_multiple_of(4) {
            return Err(Error::Invalid);
        }
        let word = UserPtr::<u32>::new(self.futex);
        let mut value = word.read()?;
        while value & TID_MASK == self.tid {
            match locked(|core| word.swap(core, value, value & WAITERS | OWNER_DIED)) {
                None => word.touch()?,
                Some(before) if before == value => {
                    return self.wake_if(value & WAITERS != 0);
                }
                Some(before) => value = before,
            }
        }
        // It may have unlocked, and been about to wake a waiter.
        self.wake_if(value == 0 && place == Place::Pending)
    }

    /// Wakes a waiter. Who waits for a futex that inherits priorities gets it when the thread has ended
    /// ([`pi::owner_ended`](super::pi::owner_ended)).
    fn wake_if(&self, somebody_may_wait: bool) -> Result<()> {
        if somebody_may_wait && self.link & PRIORITY_INHERITED == 0 {
            let key = key(self.futex, 0)?;
            locked(|core| wake(core, key, 1, u32::MAX));
        }
        Ok(())
    }
}

/// Runs `f` with the core lock held, and interrupts off.
fn locked<R>(f: impl FnOnce(&mut Core) -> R) -> R {
    cpu::disable_interrupts();
    let result = f(&mut lock());
    cpu::enable_interrupts();
    result
}
