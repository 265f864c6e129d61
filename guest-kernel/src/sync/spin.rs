//! The lock that disables preemption.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::lockdep::{Class, Held};
use super::section::{Lock, Section};
use crate::arch::cpu;

/// Mutual exclusion by spinning, with preemption disabled.
///
/// Taking and giving back a free lock are 5 and 3 instructions.
pub struct SpinLock<T: ?Sized> {
    class: Class,
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock admits one CPU at a time, so sharing it moves the value at most.
unsafe impl<T: ?Sized + Send> Send for SpinLock<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for SpinLock<T> {}

/// The right to use what a [`SpinLock`] protects, until dropped.
pub struct SpinLockGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T>,
    held: Held,
    section: Section,
    // A guard stays on its CPU.
    _not_send: core::marker::PhantomData<*const ()>,
}

impl<T> SpinLock<T> {
    /// A free lock.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub const fn new(value: T) -> SpinLock<T> {
        SpinLock {
            class: Class::here(),
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Waits for the lock.
    #[inline]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        cpu::preempt_disable();
        self.wait(Held::waiting(&self.class))
    }

    /// As [`lock`](Self::lock), while another lock that was made at the same place is held: the caller sees to it
    /// that nobody takes the two in the other order.
    #[inline]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    pub fn lock_inner(&self) -> SpinLockGuard<'_, T> {
        cpu::preempt_disable();
        self.wait(Held::nested(&self.class))
    }

    #[inline(always)]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    fn wait(&self, held: Held) -> SpinLockGuard<'_, T> {
        if self.locked.swap(true, Ordering::Acquire) {
            contend(&self.locked);
        }
        SpinLockGuard {
            lock: self,
            held,
            section: Section::begin(Lock::Spin),
            _not_send: core::marker::PhantomData,
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        cpu::preempt_disable();
        if self.locked.swap(true, Ordering::Acquire) {
            cpu::preempt_enable();
            return None;
        }
        Some(SpinLockGuard {
            lock: self,
            held: Held::tried(&self.class),
            section: Section::begin(Lock::Spin),
            _not_send: core::marker::PhantomData,
        })
    }

    /// The value, for who owns the lock alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether someone holds the lock at this moment.
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }
}

/// Spins until `locked` was false and is ours.
#[cold]
#[inline(never)]
pub(super) fn contend(locked: &AtomicBool) {
    while locked.swap(true, Ordering::Acquire) {
        while locked.load(Ordering::Relaxed) {
            cpu::answer_while_spinning();
            core::hint::spin_loop();
        }
    }
}

impl<T: ?Sized> Deref for SpinLockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for SpinLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for SpinLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.section.end();
        self.held.end();
        self.lock.locked.store(false, Ordering::Release);
        cpu::preempt_enable();
    }
}

impl<T: ?Sized> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock")
            .field("locked", &self.is_locked())
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        SpinLock::new(T::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_and_releases() {
        let lock = SpinLock::new(1);
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        *lock.try_lock().unwrap() += 1;
        assert_eq!(lock.into_inner(), 2);
    }

    #[test]
    fn no_increment_is_lost() {
        let lock = SpinLock::new(0u32);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| *lock.lock() += 1));
            }
        });
        assert_eq!(*lock.lock(), 4000);
    }
}
