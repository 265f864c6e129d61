//! Collects pages and tables that were unlinked, until no processor can reach them.
//!
//! A page must not get a new owner while some CPU still has its translation cached. So a walk
//! that unmaps hands frames to a [`Gather`]; when it is full, or finished, the translations are
//! flushed once for all and the frames are released.

use arrayvec::ArrayVec;

use super::frame::{Chain, page};
use super::phys::{Frame, PhysAddr};
use super::pmap::{self, Pte, Visitor};
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
}

impl Gather {
    /// For the address space with this root.
    #[inline]
    pub fn new(root: PhysAddr) -> Gather {
        let (pages, tables) = (ArrayVec::new(), ArrayVec::new());
        Gather {
            root,
            start: u64::MAX,
            end: 0,
            pages,
            tables,
        }
    }

    /// The translation of `address` has become stale.
    #[inline]
    pub fn stale(&mut self, address: u64) {
        self.start = self.start.min(address);
        self.end = self.end.max(address + 4096);
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
        if self.pages.is_empty() && self.tables.is_empty() {
            return;
        }
        let (mut dirty, mut clean) = (Chain::default(), Chain::default());
        for frame in self.pages.drain(..) {
            if page(frame).release() == 0 {
                dirty.push(frame);
            }
        }
        self.tables.drain(..).for_each(|table| clean.push(table));
        pmap::free_tables(dirty, clean);
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
}
