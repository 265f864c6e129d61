//! A process's address space, which its own threads use without the core lock.
//!
//! The process holds one reference, as a raw pointer. It is put in place before the first thread
//! exists and taken out by the last thread, so a thread of the process may always follow it.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use super::kind::Process;
use crate::mm::AddressSpace;
use crate::object::Core;
use crate::thread::{Thread, current};

/// A reference to an address space that lives as long as the borrow of the core lock, at least.
pub type SpaceRef<'a> = &'a AddressSpace;

impl Process {
    /// Puts the address space in place. The process has no thread yet.
    pub(super) fn set_space(&self, _: &Core, space: Arc<AddressSpace>) {
        self.space.store(Arc::into_raw(space).cast_mut(), Relaxed);
    }

    /// Takes the address space out. No thread of the process uses user memory any more.
    pub(super) fn take_space(&self, _: &Core) -> Option<Arc<AddressSpace>> {
        let space = self.space.swap(core::ptr::null_mut(), Relaxed);
        // SAFETY: a non-null pointer came from `into_raw` and is used up here.
        (!space.is_null()).then(|| unsafe { Arc::from_raw(space) })
    }

    /// The address space, while the core lock is held.
    #[inline]
    pub fn space<'a>(&self, _: &'a Core) -> Option<SpaceRef<'a>> {
        // SAFETY: it is taken out with the core lock held, so it stays while the proof is borrowed.
        unsafe { self.space.load(Relaxed).as_ref() }
    }

    /// A share of the address space, to use without the core lock.
    pub fn share_space(&self, core: &Core) -> Option<Arc<AddressSpace>> {
        let space = core::ptr::from_ref(self.space(core)?);
        // SAFETY: the pointer came from `into_raw`, and the process's own reference is alive.
        unsafe {
            Arc::increment_strong_count(space);
            Some(Arc::from_raw(space))
        }
    }
}

/// Calls `f` with the address space of the running thread.
#[inline]
pub fn with_current_space<R>(f: impl FnOnce(&AddressSpace) -> R) -> R {
    with_space_of(current(), f)
}

/// The same, for who knows that thread.
#[inline(always)]
pub fn with_space_of<R>(running: &Thread, f: impl FnOnce(&AddressSpace) -> R) -> R {
    let space = running.process().space.load(Relaxed);
    assert!(
        !space.is_null(),
        "user memory is used after the process has given it up"
    );
    // SAFETY: only the last thread of a process takes the space out, in `end`, and then uses it no
    // more; the running thread is one of the process's.
    f(unsafe { &*space })
}
