//! Page descriptors: 16 bytes for every page frame of RAM.
//!
//! They lie in one array from frame 0 to the end of RAM, reserved at boot and *not touched* there
//! (so that holes in RAM cost little): an all-zero descriptor means "never used". All fields are atomics, read and written
//! relaxed: who may change a field follows from who owns the frame (free: the frame
//! allocator's lock; slab: the class's lock; page table: the address space's lock), only
//! [`refs`](Page::refs) is counted from several places at once.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use super::phys::Frame;

/// Describes one page frame.
#[derive(Debug)]
#[repr(C)]
pub struct Page {
    /// By use: next and previous frame in a free or slab list (low and high half; 0: none), or
    /// the mask of a page table's populated lines.
    link: AtomicU64,
    /// By use: owners of a data page; entries in use of a page table; slab bookkeeping.
    refs: AtomicU32,
    /// Flags (bits 0 to 7), order or slab class (8 to 15), slab free list (16 to 31); or how many address spaces
    /// besides one use a page table (from bit 8 on).
    state: AtomicU32,
}

/// Head of a free block in the buddy allocator.
pub const FREE: u32 = 1;
/// The free block's content is known to be zero.
pub const ZERO: u32 = 2;

/// One address space more that uses a page table. (Bit 0 stays clear: the buddy allocator must not take it for free.)
const SHARER: u32 = 1 << 8;

impl Page {
    /// Owners of the page (page-table entries, object slots).
    #[inline]
    pub fn refs(&self) -> u32 {
        self.refs.load(Relaxed)
    }

    /// Sets the number of owners.
    #[inline]
    pub fn set_refs(&self, refs: u32) {
        self.refs.store(refs, Relaxed);
    }

    /// One owner more.
    #[inline]
    pub fn retain(&self) {
        self.refs.fetch_add(1, Relaxed);
    }

    /// One owner less; returns how many are left.
    #[inline]
    pub fn release(&self) -> u32 {
        self.refs.fetch_sub(1, AcqRel) - 1
    }

    /// Page tables: one more address space uses it.
    #[inline]
    pub fn join(&self) {
        self.state.fetch_add(SHARER, Relaxed);
    }

    /// Page tables: whether only one address space uses it, whose lock is held.
    #[inline]
    pub fn is_left_alone(&self) -> bool {
        // What those did that have left comes before what the one does now.
        self.state.load(Acquire) < SHARER
    }

    /// Page tables: one address space uses it no more. Whether that was the last.
    #[inline]
    pub fn leave(&self) -> bool {
        let last = self.state.fetch_sub(SHARER, AcqRel) < SHARER;
        if last {
            self.state.store(0, Relaxed);
        }
        last
    }

    /// Page tables: one address space uses it no more, if others do. Else nothing changes.
    #[inline]
    pub fn leave_to_others(&self) -> bool {
        let fewer = |sharers: u32| sharers.checked_sub(SHARER);
        self.state.fetch_update(AcqRel, Relaxed, fewer).is_ok()
    }

    /// The list links: (next, previous).
    #[inline]
    pub fn links(&self) -> (u32, u32) {
        let link = self.link.load(Relaxed);
        (link as u32, (link >> 32) as u32)
    }

    /// Sets both links.
    #[inline]
    pub fn set_links(&self, next: u32, previous: u32) {
        self.link
            .store(next as u64 | (previous as u64) << 32, Relaxed);
    }

    /// The 64-bit word that the links share: a page table's mask of populated lines.
    #[inline]
    pub fn mask(&self) -> u64 {
        self.link.load(Relaxed)
    }

    /// Sets that word.
    #[inline]
    pub fn set_mask(&self, mask: u64) {
        self.link.store(mask, Relaxed);
    }

    /// Flags, order and slab free list.
    #[inline]
    pub fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// Sets flags, order and slab free list.
    #[inline]
    pub fn set_state(&self, state: u32) {
        self.state.store(state, Relaxed);
    }
}

/// The descriptor of frame 0.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// Announces the descriptors.
///
/// # Safety
/// 1. `array` points to zeroed memory that stays reserved for good,
/// 2. one [`Page`] for every frame that is ever passed to [`page`], from frame 0 on,
/// 3. and this runs before any of them is.
pub unsafe fn set_descriptors(array: *mut Page) {
    BASE.store(array as usize, Relaxed);
}

/// Uses zeroed, reserved frames from `first` on as the descriptors of all of RAM.
pub(super) fn adopt_descriptors(first: Frame) {
    // SAFETY: 1. to 3.: `start::init` has taken the frames, zero, out of RAM for good before any
    // frame is handed out, and has made room for all frames up to the end of RAM.
    unsafe { set_descriptors(first.pointer().cast()) }
}

/// The descriptor of a frame of RAM.
///
/// Frames reach the kernel only from the allocator, boot modules included, so each has one.
#[inline]
pub fn page(frame: Frame) -> &'static Page {
    let address = BASE.load(Relaxed) + frame.0 as usize * size_of::<Page>();
    // SAFETY: `set_descriptors` has promised a descriptor for every frame of RAM; they are never
    // freed and consist of atomics.
    unsafe { &*(address as *const Page) }
}
