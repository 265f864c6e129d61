//! The host's stand-ins for hardware, so that tests run the real code: RAM, one CPU.

mod cpus;

use std::alloc::{Layout, alloc_zeroed};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::buddy::Content;
use super::page::{self, Page};
use super::phys::Frame;

pub use cpus::{
    cpu_count, cpu_id, invalidate_page, load_root, send_shoot_down, without_interrupts,
};
#[cfg(test)]
pub use cpus::{handle_interrupts, is_interrupted, run_on, set_count, translate};

/// Stands for a pager: counts who uses its object.
#[derive(Clone, Debug, Default)]
pub struct PagerLink(std::sync::Arc<AtomicU64>);

impl PagerLink {
    /// Somebody else than the pager begins to use the object.
    pub fn begin_use(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// And ends.
    pub fn end_use(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// How many use it.
    pub fn uses(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// As in the kernel.
pub const MAX_CPUS: usize = 32;
/// "RAM" of the tests, in pages. (Miri looks after each byte of it.)
pub const PAGES: u32 = if cfg!(miri) { 24 << 8 } else { 64 << 8 };
/// The frames below this one belong to the kernel-wide allocator, the others to tests of their own.
pub const KERNEL_PAGES: u32 = PAGES / 2;

/// The length of random sequences that are `normal` long at most: Miri takes a thousand times as long.
#[cfg(test)]
pub const fn most(normal: usize) -> usize {
    if cfg!(miri) { normal / 8 } else { normal }
}

static ARENA: AtomicU64 = AtomicU64::new(0);
static TURN: Mutex<()> = Mutex::new(());

/// Address of "physical" address 0.
#[inline]
pub fn direct_base() -> u64 {
    ARENA.load(Relaxed)
}

/// Sets memory up, once, and keeps other tests out while the guard lives.
pub fn memory() -> MutexGuard<'static, ()> {
    let guard = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if direct_base() == 0 {
        let layout = Layout::from_size_align((PAGES as usize) << 12, 4096).unwrap();
        // SAFETY: the layout is not empty. The memory is never freed.
        ARENA.store(unsafe { alloc_zeroed(layout) } as u64, Relaxed);
        let descriptors = std::vec![0u128; PAGES as usize];
        let array = descriptors.leak().as_mut_ptr().cast::<Page>();
        // SAFETY: zeroed, leaked, one descriptor for every frame of the arena.
        unsafe { page::set_descriptors(array) };
        super::frame::add_region(Frame(1), Frame(KERNEL_PAGES), Content::Zero);
    }
    guard
}

/// Nobody wants to know.
pub fn tell_memory_low() {}

/// A test may take all that a server may.
pub fn is_server() -> bool {
    true
}
