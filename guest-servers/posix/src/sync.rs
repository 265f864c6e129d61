//! The personality's lock: a futex word; no system call when nobody else wants it.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};
use ferrix_abi::futex::PRIVATE;
use ferrix_abi::ipc::FOREVER;
use ferrix_rt::sys::thread;

const FREE: u32 = 0;
const HELD: u32 = 1;
const WANTED: u32 = 2;
/// Whoever waits, in this process.
pub const ANY: u64 = u32::MAX as u64 | PRIVATE;

/// A lock and what it protects; the lock first, on the same page as what is used most.
#[derive(Debug)]
#[repr(C)]
pub struct Mutex<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by the thread that changed `state` from free, until it changes it back.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free lock.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            state: AtomicU32::new(FREE),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        if self
            .state
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.lock_contended();
        }
        Guard { lock: self }
    }

    #[cold]
    fn lock_contended(&self) {
        while self.state.swap(WANTED, Ordering::Acquire) != FREE {
            let word = self.state.as_ptr() as u64;
            // Interrupted by a signal that can only be taken on the way out: let the holder run instead.
            if thread::futex_wait_with(word, WANTED, FOREVER, ANY).is_err() {
                thread::yield_now();
            }
        }
    }
}

/// The right to use the value.
#[derive(Debug)]
pub struct Guard<'a, T> {
    lock: &'a Mutex<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard exists only while the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists only while the lock is held, and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if self.lock.state.swap(FREE, Ordering::Release) == WANTED {
            let _ = thread::futex_wake_with(self.lock.state.as_ptr() as u64, 1, ANY);
        }
    }
}
