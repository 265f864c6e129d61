//! Page descriptors: 16 bytes for every page frame of RAM.
//!
//! They lie in one array per span (below and above 4 GiB), reserved at boot and *not touched*
//! there: an all-zero descriptor means "never used". All fields are atomics, read and written
//! relaxed: who may change a field follows from who owns the frame (free: the frame
//! allocator's lock; slab: the class's lock; page table: the address space's lock), only
//! [`refs`](Page::refs) is counted from several places at once.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

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
    /// Flags (bits 0 to 7), order or slab class (8 to 15), slab free list (16 to 31).
    state: AtomicU32,
}

/// Head of a free block in the buddy allocator.
pub const FREE: u32 = 1;
/// The free block's content is known to be zero.
pub const ZERO: u32 = 2;

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
        use core::sync::atomic::Ordering::AcqRel;
        self.refs.fetch_sub(1, AcqRel) - 1
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

/// First frame of the upper span.
const HIGH: u32 = 1 << 20;

/// Address that the descriptor of frame 0 has or would have, for the span below and above 4 GiB.
static BASE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Which of the two descriptor arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Frames below 4 GiB.
    Low = 0,
    /// Frames from 4 GiB up.
    High = 1,
}

impl Span {
    /// First frame of the span.
    pub const fn first(self) -> u32 {
        match self {
            Span::Low => 0,
            Span::High => HIGH,
        }
    }

    /// The span of a frame.
    pub const fn of(frame: Frame) -> Span {
        if frame.0 < HIGH {
            Span::Low
        } else {
            Span::High
        }
    }
}

/// Announces the descriptors of a span.
///
/// # Safety
/// 1. `array` points to zeroed memory that stays reserved for good,
/// 2. one [`Page`] for every frame of the span that is ever passed to [`page`],
/// 3. and this runs before any of them is.
pub unsafe fn set_descriptors(span: Span, array: *mut Page) {
    let bias = span.first() as usize * size_of::<Page>();
    BASE[span as usize].store((array as usize).wrapping_sub(bias), Relaxed);
}

/// Uses zeroed, reserved frames from `first` on as the `count` descriptors of a span.
pub(super) fn adopt_descriptors(span: Span, first: Frame, count: u64) {
    debug_assert!(count > 0);
    // SAFETY: 1. to 3.: `start::init` has taken the frames, zero, out of RAM for good before any
    // frame is handed out, and has made room for all frames of the span.
    unsafe { set_descriptors(span, first.pointer().cast()) }
}

/// The descriptor of a frame of RAM.
///
/// Frames reach the kernel only from the allocator, boot modules included, so each has one.
#[inline]
pub fn page(frame: Frame) -> &'static Page {
    let base = BASE[(frame.0 >= HIGH) as usize].load(Relaxed);
    let address = base.wrapping_add(frame.0 as usize * size_of::<Page>());
    // SAFETY: `set_descriptors` has promised a descriptor for every frame of RAM; they are never
    // freed and consist of atomics.
    unsafe { &*(address as *const Page) }
}
