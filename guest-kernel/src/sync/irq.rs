//! The lock that disables interrupts, for data that interrupt handlers use.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::lockdep::{Class, Held};
use super::section::{Lock, Section};
use super::spin::contend;
use crate::arch::cpu::{self, IrqState};

/// Mutual exclusion by spinning, with interrupts (and so preemption) disabled.
pub struct IrqSpinLock<T: ?Sized> {
    class: Class,
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock admits one CPU at a time, so sharing it moves the value at most.
unsafe impl<T: ?Sized + Send> Send for IrqSpinLock<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for IrqSpinLock<T> {}

/// The right to use what an [`IrqSpinLock`] protects; restores the interrupt flag when dropped.
pub struct IrqSpinLockGuard<'a, T: ?Sized> {
    lock: &'a IrqSpinLock<T>,
    held: Held,
    section: Section,
    state: IrqState,
    // A guard stays on its CPU.
    _not_send: core::marker::PhantomData<*const ()>,
}

impl<T> IrqSpinLock<T> {
    /// A free lock.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub const fn new(value: T) -> IrqSpinLock<T> {
        IrqSpinLock {
            class: Class::here(),
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized> IrqSpinLock<T> {
    /// Waits for the lock.
    #[inline]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    pub fn lock(&self) -> IrqSpinLockGuard<'_, T> {
        let state = cpu::interrupts_save_and_disable();
        let held = Held::waiting(&self.class);
        if self.locked.swap(true, Ordering::Acquire) {
            contend(&self.locked);
        }
        IrqSpinLockGuard {
            lock: self,
            held,
            section: Section::begin(Lock::Irq),
            state,
            _not_send: core::marker::PhantomData,
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    pub fn try_lock(&self) -> Option<IrqSpinLockGuard<'_, T>> {
        let state = cpu::interrupts_save_and_disable();
        if self.locked.swap(true, Ordering::Acquire) {
            cpu::interrupts_restore(state);
            return None;
        }
        Some(IrqSpinLockGuard {
            lock: self,
            held: Held::tried(&self.class),
            section: Section::begin(Lock::Irq),
            state,
            _not_send: core::marker::PhantomData,
        })
    }

    /// The value, for who owns the lock alone.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> Deref for IrqSpinLockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for IrqSpinLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for IrqSpinLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.section.end();
        self.held.end();
        self.lock.locked.store(false, Ordering::Release);
        cpu::interrupts_restore(self.state);
    }
}

impl<T: ?Sized> fmt::Debug for IrqSpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqSpinLock").finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for IrqSpinLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Default> Default for IrqSpinLock<T> {
    fn default() -> Self {
        IrqSpinLock::new(T::default())
    }
}
