//! The core lock, and the cells that only its holder can open.
//!
//! [`Core`] is the proof that the lock is held: there is at most one in the system at a time. A
//! [`CoreCell`] holds a copyable value, read and written with any borrow of the proof; a
//! [`CoreRef`] lends a reference for as long as the proof is borrowed. So the compiler checks that
//! nothing is touched without the lock, at no cost in instructions.
//!
//! The lock is taken with interrupts off. A system call arrives so; code that runs with
//! interrupts on turns them off first. A context switch gives the lock to [`CoreGuard::leave`]:
//! the new thread's first instructions release it, when nobody stands on the old stack any more.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::cpu;
use crate::sync::lockdep::{self, Class, Held};
use crate::sync::section::{Lock, Section};

/// Whether it is held. The context switch, which gives it back in assembly, knows it by name.
pub(crate) static LOCKED: AtomicBool = AtomicBool::new(false);

static CLASS: Class = Class::here();

/// The proof that the core lock is held.
#[derive(Debug)]
pub struct Core {
    // The proof stays on its CPU.
    _not_send: PhantomData<*mut ()>,
}

impl Core {
    /// Another proof, where the one that there is cannot be passed on.
    ///
    /// # Safety
    /// This CPU holds the core lock for as long as the proof is used.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn assume_held() -> Core {
        Core {
            _not_send: PhantomData,
        }
    }
}

/// Holds the core lock until dropped.
#[derive(Debug)]
pub struct CoreGuard {
    core: Core,
    held: Held,
    section: Section,
}

impl CoreGuard {
    /// The caller has taken the lock.
    #[inline(always)]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    fn new(held: Held) -> CoreGuard {
        CoreGuard {
            core: Core {
                _not_send: PhantomData,
            },
            held,
            section: Section::begin(Lock::Core),
        }
    }

    /// Keeps the lock for the context switch, which stores `false` when it has left this stack.
    #[inline(always)]
    pub fn leave(self) -> &'static AtomicBool {
        let kept = ManuallyDrop::new(self);
        kept.section.end();
        kept.held.end();
        lockdep::assert_none_held();
        &LOCKED
    }
}

/// Takes the core lock. Interrupts must be off, and the caller must not hold it.
#[inline(always)]
#[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
pub fn lock() -> CoreGuard {
    lockdep::assert_interrupts_off();
    let held = Held::waiting(&CLASS);
    if LOCKED.swap(true, Ordering::Acquire) {
        contend();
    }
    CoreGuard::new(held)
}

/// Does something under the core lock, which the caller does not hold. Interrupts may be on.
#[inline]
#[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
pub fn with_lock<R>(work: impl FnOnce(&mut Core) -> R) -> R {
    let state = cpu::interrupts_save_and_disable();
    let result = work(&mut lock());
    cpu::interrupts_restore(state);
    result
}

/// Takes the core lock if it is free. Interrupts must be off.
#[inline(always)]
#[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
pub fn try_lock() -> Option<CoreGuard> {
    let taken = LOCKED.swap(true, Ordering::Acquire);
    if taken {
        None
    } else {
        Some(CoreGuard::new(Held::tried(&CLASS)))
    }
}

#[cold]
#[inline(never)]
fn contend() {
    while LOCKED.swap(true, Ordering::Acquire) {
        while LOCKED.load(Ordering::Relaxed) {
            cpu::answer_while_spinning();
            core::hint::spin_loop();
        }
    }
}

impl Drop for CoreGuard {
    #[inline(always)]
    fn drop(&mut self) {
        self.section.end();
        self.held.end();
        LOCKED.store(false, Ordering::Release);
    }
}

impl Deref for CoreGuard {
    type Target = Core;

    #[inline(always)]
    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for CoreGuard {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

/// A value that the core lock protects, copied in and out.
pub struct CoreCell<T: Copy>(UnsafeCell<T>);

// SAFETY: all access needs a `Core`, of which there is one, on one CPU at a time.
unsafe impl<T: Copy + Send> Sync for CoreCell<T> {}

impl<T: Copy> CoreCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> CoreCell<T> {
        CoreCell(UnsafeCell::new(value))
    }

    /// Reads it.
    #[inline(always)]
    pub fn get(&self, _: &Core) -> T {
        // SAFETY: `Core` excludes other CPUs; on this one no reference to the content ever exists.
        unsafe { *self.0.get() }
    }

    /// Writes it.
    #[inline(always)]
    pub fn set(&self, _: &Core, value: T) {
        // SAFETY: as in `get`.
        unsafe { *self.0.get() = value }
    }

    /// Writes it, and returns what was there.
    #[inline(always)]
    pub fn replace(&self, core: &Core, value: T) -> T {
        let old = self.get(core);
        self.set(core, value);
        old
    }
}

impl<T: Copy + Default> CoreCell<T> {
    /// Leaves the default behind.
    #[inline(always)]
    pub fn take(&self, core: &Core) -> T {
        self.replace(core, T::default())
    }
}

impl CoreCell<u32> {
    /// Adds to a counter; returns the new value.
    #[inline(always)]
    pub fn add(&self, core: &Core, count: u32) -> u32 {
        let sum = self.get(core) + count;
        self.set(core, sum);
        sum
    }

    /// Takes one from a counter; returns the new value.
    #[inline(always)]
    pub fn decrement(&self, core: &Core) -> u32 {
        let rest = self.get(core) - 1;
        self.set(core, rest);
        rest
    }
}

impl<T: Copy> fmt::Debug for CoreCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CoreCell")
    }
}

impl<T: Copy + Default> Default for CoreCell<T> {
    fn default() -> Self {
        CoreCell::new(T::default())
    }
}

/// A value that the core lock protects, lent while the proof is borrowed.
pub struct CoreRef<T>(UnsafeCell<T>);

// SAFETY: all access needs a `Core`, of which there is one, on one CPU at a time.
unsafe impl<T: Send> Sync for CoreRef<T> {}

impl<T> CoreRef<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> CoreRef<T> {
        CoreRef(UnsafeCell::new(value))
    }

    /// Lends it for reading.
    #[inline(always)]
    pub fn get<'a>(&'a self, _: &'a Core) -> &'a T {
        // SAFETY: `&mut` to the content needs `&mut Core`, which excludes this borrow.
        unsafe { &*self.0.get() }
    }

    /// Lends it for changing.
    #[inline(always)]
    pub fn get_mut<'a>(&'a self, _: &'a mut Core) -> &'a mut T {
        // SAFETY: the one `Core` is borrowed exclusively for as long as the reference lives.
        unsafe { &mut *self.0.get() }
    }
}

impl<T> fmt::Debug for CoreRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CoreRef")
    }
}
