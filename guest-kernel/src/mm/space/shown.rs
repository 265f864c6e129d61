//! The mappings of one object, as the object's side changes them.

use core::ops::Range;

use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::MapFlags;

use super::AddressSpace;
use crate::mm::entry::VmEntry;
use crate::mm::gather::Gather;
use crate::mm::object::VmObject;
use crate::mm::phys::Frame;
use crate::mm::pmap::{Pte, Visitor};

/// Which pages of its mappings go with an object's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The object's own.
    Only,
    /// Private copies of them too: the object ends before them.
    AndCopied,
}

impl AddressSpace {
    /// Unmaps pages of an object wherever this address space shows them; the mappings stay.
    pub(in crate::mm) fn unmap_object(&self, object: &VmObject, pages: &Range<u64>, which: Shown) {
        let mut unmap = Unmap {
            which,
            gather: Gather::new(self.root),
        };
        self.walk_object(object, pages, |_| true, &mut unmap);
    }

    /// Makes entries for pages of an object read-only where writes to it are tracked.
    pub(in crate::mm) fn protect_object(&self, object: &VmObject, pages: &Range<u64>) {
        let mut protect = ReadOnly(Gather::new(self.root));
        self.walk_object(object, pages, VmEntry::tracks_writes, &mut protect);
    }

    /// Which of up to 64 pages of an object are locked here, as bits.
    pub(in crate::mm) fn locked_pages(&self, object: &VmObject, pages: &Range<u64>) -> u64 {
        let inner = self.lock();
        let mut locked = 0;
        for entry in inner.map.entries() {
            if entry.flags.contains(MapFlags::LOCKED)
                && let Some(range) = entry.showing(object, pages)
            {
                let first = entry.index(range.start) - pages.start;
                let count = (range.end - range.start) / PAGE_SIZE;
                locked |= u64::MAX >> (64 - count) << first;
            }
        }
        locked
    }

    /// Sets the bits of pages of an object that were touched here since the last time. No processor is told: a
    /// touch that finds the entry in its TLB may be missed.
    pub(in crate::mm) fn take_referenced(
        &self,
        object: &VmObject,
        pages: &Range<u64>,
        bitmap: &mut [u64],
    ) {
        let mut inner = self.lock();
        let (map, pmap) = inner.parts();
        for entry in map.entries() {
            if let Some(range) = entry.showing(object, pages) {
                let mut referenced = Referenced {
                    start: range.start,
                    first: entry.index(range.start) - pages.start,
                    bitmap: &mut *bitmap,
                };
                pmap.walk(range, &mut referenced);
            }
        }
    }

    /// The visitor, which flushes, is finished before the lock is released.
    fn walk_object(
        &self,
        object: &VmObject,
        pages: &Range<u64>,
        concerns: impl Fn(&VmEntry) -> bool,
        visitor: &mut impl Flushing,
    ) {
        let mut inner = self.lock();
        let (map, pmap) = inner.parts();
        for entry in map.entries().iter().filter(|entry| concerns(entry)) {
            if let Some(range) = entry.showing(object, pages) {
                pmap.walk(range, visitor);
            }
        }
        visitor.gather().finish();
    }
}

/// A visitor that collects what is to be flushed.
trait Flushing: Visitor {
    fn gather(&mut self) -> &mut Gather;
}

struct Unmap {
    which: Shown,
    gather: Gather,
}

impl Visitor for Unmap {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        if pte.has(Pte::OWNED) && self.which == Shown::Only {
            return pte;
        }
        self.gather.entry(address, pte)
    }

    fn table(&mut self, table: Frame) {
        Visitor::table(&mut self.gather, table);
    }
}

impl Flushing for Unmap {
    fn gather(&mut self) -> &mut Gather {
        &mut self.gather
    }
}

/// Collects which pages were touched.
struct Referenced<'a> {
    /// The address of the first page,
    start: u64,
    /// which has this bit.
    first: u64,
    bitmap: &'a mut [u64],
}

impl Visitor for Referenced<'_> {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        if pte.has(Pte::OWNED) || !pte.has(Pte::ACCESSED) {
            return pte;
        }
        let bit = self.first + (address - self.start) / PAGE_SIZE;
        self.bitmap[bit as usize / 64] |= 1 << (bit % 64);
        pte.without(Pte::ACCESSED)
    }

    fn table(&mut self, _: Frame) {}
}

struct ReadOnly(Gather);

impl Visitor for ReadOnly {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        if pte.has(Pte::WRITE) {
            self.0.stale(address);
        }
        pte.without(Pte::WRITE)
    }

    fn table(&mut self, _: Frame) {}
}

impl Flushing for ReadOnly {
    fn gather(&mut self) -> &mut Gather {
        &mut self.0
    }
}
