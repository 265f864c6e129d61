//! Collects pages and tables that were unlinked, until no processor can reach them.
//!
//! A page must not get a new owner while some CPU still has its translation cached. So a walk
//! that unmaps hands frames to a [`Gather`]; when it is full, or finished, the translations are
//! flushed once for all and the frames are released.

use arrayvec::ArrayVec;

use super::frame;
use super::phys::{Frame, PhysAddr};
use super::pmap::{self, Pte, Visitor};
use super::tlb::{self, Flush};

/// Frames collected between two flushes.
const BATCH: usize = 64;

#[derive(Debug)]
enum Pending {
    Page(Frame),
    Table(Frame),
}

/// Unlinked frames, and the range of addresses whose translations are stale.
#[derive(Debug)]
pub struct Gather {
    root: PhysAddr,
    pending: ArrayVec<Pending, BATCH>,
    start: u64,
    end: u64,
}

impl Gather {
    /// For the address space with this root.
    pub fn new(root: PhysAddr) -> Gather {
        Gather {
            root,
            pending: ArrayVec::new(),
            start: u64::MAX,
            end: 0,
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
        self.push(Pending::Page(frame));
    }

    fn push(&mut self, item: Pending) {
        if self.pending.is_full() {
            self.finish();
        }
        self.pending.push(item);
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
        for item in self.pending.drain(..) {
            match item {
                Pending::Page(frame) => frame::release(frame),
                Pending::Table(table) => pmap::free_table(table),
            }
        }
    }
}

impl Drop for Gather {
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
        self.push(Pending::Table(table));
        if self.start >= self.end {
            // Nothing in it was present; the processor may still hold the way to it.
            self.stale(0);
        }
    }
}
