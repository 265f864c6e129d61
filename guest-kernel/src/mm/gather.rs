//! Collects pages and tables that were unlinked, until no processor can reach them.
//!
//! A page must not get a new owner while some CPU still has its translation cached. So a walk
//! that unmaps hands frames to a [`Gather`]; when it is full, or finished, the translations are
//! flushed once for all and the frames are released.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrayvec::ArrayVec;

use ferrix_abi::layout::PAGE_SIZE;

use super::frame::page;
use super::phys::{Frame, PhysAddr};
use super::pmap::{Pte, Release, Visitor, region};
use super::tlb::{self, Flush};

/// Frames collected between two flushes.
const BATCH: usize = 64;
/// Page tables likewise.
const TABLES: usize = 16;

/// Unlinked frames, and the range of addresses whose translations are stale.
#[derive(Debug)]
pub struct Gather {
    root: PhysAddr,
    start: u64,
    end: u64,
    pages: ArrayVec<Frame, BATCH>,
    tables: ArrayVec<Frame, TABLES>,
    /// Tables that others may use too.
    shared: ArrayVec<Frame, TABLES>,
}

impl Gather {
    /// For the address space with this root.
    #[inline]
    pub fn new(root: PhysAddr) -> Gather {
        Gather {
            root,
            start: u64::MAX,
            end: 0,
            pages: ArrayVec::new(),
            tables: ArrayVec::new(),
            shared: ArrayVec::new(),
        }
    }

    /// The translation of `address` has become stale.
    #[inline]
    pub fn stale(&mut self, address: u64) {
        self.start = self.start.min(address);
        self.end = self.end.max(address + PAGE_SIZE);
    }

    /// One owner of a page less, after the next flush.
    #[inline]
    pub fn page(&mut self, frame: Frame) {
        if self.pages.is_full() {
            self.finish();
        }
        self.pages.push(frame);
    }

    /// Flushes, and releases what was collected.
    pub fn finish(&mut self) {
        if self.start < self.end {
            tlb::flush(
                self.root,
                Flush::Pages(self.start, (self.end - self.start) >> 12),
            );
            (self.start, self.end) = (u64::MAX, 0);
        }
        if self.pages.is_empty() && self.tables.is_empty() && self.shared.is_empty() {
            return;
        }
        let mut release = Release::default();
        self.pages.drain(..).for_each(|frame| release.owned(frame));
        self.tables.drain(..).for_each(|table| release.empty(table));
        self.shared
            .drain(..)
            .for_each(|table| release.shared(table));
        release.finish();
    }
}

impl Drop for Gather {
    #[inline]
    fn drop(&mut self) {
        self.finish();
    }
}

/// As a visitor it unmaps.
impl Visitor for Gather {
    #[inline]
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        // First the page: a full batch is flushed before this address becomes stale.
        if pte.has(Pte::OWNED) {
            self.page(pte.frame());
        }
        if pte.has(Pte::PRESENT) {
            self.stale(address);
        }
        Pte::EMPTY
    }

    fn table(&mut self, table: Frame) {
        if self.tables.is_full() {
            self.finish();
        }
        self.tables.push(table);
        if self.start >= self.end {
            // Nothing in it was present; the processor may still hold the way to it.
            self.stale(0);
        }
    }

    /// Takes a shared table out, pages and all.
    fn whole(&mut self, entry: &AtomicU64, address: u64, _: &Range<u64>) -> Option<u64> {
        let pte = Pte(entry.load(Relaxed));
        if !pte.has(Pte::SHARED) {
            return None;
        }
        if self.shared.is_full() {
            self.finish();
        }
        entry.store(0, Relaxed);
        self.shared.push(pte.frame());
        self.stale(address);
        self.stale(region(address).end - PAGE_SIZE);
        Some(page(pte.frame()).refs() as u64)
    }
}
