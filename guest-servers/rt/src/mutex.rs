//! A lock between the threads of a server: who waits for it lends its priority to who has it.
//!
//! A lock that spins would not do. Threads of a server have the priorities of their callers: a more urgent one that
//! spins keeps the CPU from the one that it waits for, and a real-time one keeps it for ever.

use core::sync::atomic::{AtomicU32, Ordering};

use ferrix_abi::error::Error;
use ferrix_abi::futex::PRIVATE;
use ferrix_abi::ipc::FOREVER;
use talc::lock_api::{self, GuardNoSend};

use crate::clock::monotonic_ns;
use crate::sys::thread::{futex_lock_pi, futex_unlock_pi, sleep_until};
use crate::sys::utcb::tid;

/// How long a thread sleeps that cannot lend its priority, in nanoseconds.
const PAUSE_NS: u64 = 1_000_000;

/// The futex's word: 0, or the owner's tid with flags ([`ferrix_abi::futex`]).
#[derive(Debug)]
pub struct RawMutex(AtomicU32);

impl RawMutex {
    fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    #[cold]
    fn lock_contended(&self) {
        loop {
            match futex_lock_pi(self.address(), FOREVER, PRIVATE) {
                Ok(()) => return,
                // By a signal.
                Err(Error::Interrupted) => {}
                // A chain of too many lenders: without the loan others must get the CPU, less urgent ones too.
                Err(_) => drop(sleep_until(monotonic_ns() + PAUSE_NS)),
            }
        }
    }

    #[cold]
    fn unlock_contended(&self) {
        // It fails only if the word is not the caller's, and it is.
        let _ = futex_unlock_pi(self.address(), PRIVATE);
    }
}

// SAFETY: the word goes from 0 to one thread's tid, by that thread or by the kernel for it, and leaves it only when that
// thread unlocks it.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = Self(AtomicU32::new(0));

    // The owner's tid is in the word.
    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        self.0.compare_exchange(0, tid(), acquire, relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
        if self.0.compare_exchange(tid(), 0, release, relaxed).is_err() {
            self.unlock_contended();
        }
    }
}
