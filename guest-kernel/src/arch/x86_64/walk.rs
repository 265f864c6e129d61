//! Walks over the page tables of an address space.

use core::ops::Range;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::layout::PAGE_SIZE;

use super::frame::page;
use super::phys::Frame;
use super::pmap::Pmap;
use super::pte::Pte;
use super::table::{ROOT_LEVEL, lines, lose, shift, table};

/// What a walk does with the entries it finds.
pub trait Visitor {
    /// A non-empty entry for `address`; returns what it becomes.
    fn entry(&mut self, address: u64, pte: Pte) -> Pte;
    /// A table that has become empty and is no longer reachable from memory (the processor may
    /// still have it cached).
    fn table(&mut self, table: Frame);
    /// A table of pages; returns how many entries it lost. Only a visitor that has a faster way
    /// than entry by entry implements this.
    #[inline]
    fn pages(&mut self, table: Frame, range: Range<u64>) -> u64
    where
        Self: Sized,
    {
        visit_pages(table, range, self)
    }

    /// Asked at the entry for a table of pages, which shows what lies from `address` on, before the part of it in
    /// `part` is walked. A visitor that deals with the table as a whole returns how many pages went with it.
    ///
    /// Who changes entries of shared tables must deal with these here, or have made them its own before.
    #[inline]
    fn whole(&mut self, _entry: &AtomicU64, _address: u64, _part: &Range<u64>) -> Option<u64> {
        None
    }

    /// Whether it may want to deal with this table as a whole, though it is not shared.
    #[inline]
    fn wants_whole(&self, _table: Frame) -> bool {
        false
    }
}

/// Walks one table; returns how many page entries became empty.
pub(super) fn visit(node: Frame, level: u32, range: Range<u64>, visitor: &mut impl Visitor) -> u64 {
    if level == 0 {
        return visitor.pages(node, range);
    }
    let (entries, descriptor) = (table(node), page(node));
    let base = range.start >> shift(level + 1) << shift(level + 1);
    let (mut removed, mut emptied) = (0, 0);
    for slots in lines(descriptor.mask(), &range, level) {
        for (slot, entry) in slots.clone().zip(&entries[slots]) {
            let pte = Pte(entry.load(Relaxed));
            if pte.is_empty() || pte.has(Pte::BORROWED) {
                continue;
            }
            let address = base + ((slot as u64) << shift(level));
            let part = range.start.max(address)..range.end.min(address + (1 << shift(level)));
            if level == 1
                && let Some(pages) = visitor.whole(entry, address, &part)
            {
                removed += pages;
                emptied += (entry.load(Relaxed) == 0) as u32;
                continue;
            }
            let lost = visit(pte.frame(), level - 1, part, visitor);
            debug_assert!(lost == 0 || !pte.has(Pte::SHARED), "a shared table changed");
            removed += lost;
            if page(pte.frame()).refs() == 0 {
                entry.store(0, Relaxed);
                emptied += 1;
                visitor.table(pte.frame());
            }
        }
    }
    lose(descriptor, emptied);
    removed
}

impl Pmap {
    /// The end of a part of a range, from its start on, that shows about `most` pages at most.
    pub fn some_pages(&self, range: &Range<u64>, most: u32) -> u64 {
        let limit = most as u64;
        if (range.end - range.start) / PAGE_SIZE <= limit || self.resident() <= limit {
            return range.end;
        }
        let (root, mut left) = (Frame::containing(self.root()), most);
        pause(root, ROOT_LEVEL, range, &mut left).unwrap_or(range.end)
    }
}

/// Where a walk over a range that shows more than `left` pages should pause; none: it shows no more. A table that others
/// use too is not divided. At least one page, or table, lies before the pause.
fn pause(node: Frame, level: u32, range: &Range<u64>, left: &mut u32) -> Option<u64> {
    let base = range.start >> shift(level + 1) << shift(level + 1);
    for slots in lines(page(node).mask(), range, level) {
        if level == 0 {
            if *left == 0 {
                return Some(base + ((slots.start as u64) << shift(0)));
            }
            *left = left.saturating_sub(slots.len() as u32);
            continue;
        }
        for (slot, entry) in slots.clone().zip(&table(node)[slots]) {
            let pte = Pte(entry.load(Relaxed));
            if pte.is_empty() || pte.has(Pte::BORROWED) {
                continue;
            }
            let address = base + ((slot as u64) << shift(level));
            let part = range.start.max(address)..range.end.min(address + (1 << shift(level)));
            if *left == 0 {
                return Some(part.start);
            }
            let descriptor = page(pte.frame());
            let whole = pte.has(Pte::SHARED) && !descriptor.is_left_alone();
            if level == 1 && (whole || descriptor.refs() <= *left) {
                *left = left.saturating_sub(descriptor.refs());
            } else if let Some(pause) = pause(pte.frame(), level - 1, &part, left) {
                return Some(pause);
            }
        }
    }
    None
}

/// Walks a table of pages.
fn visit_pages(node: Frame, range: Range<u64>, visitor: &mut impl Visitor) -> u64 {
    let (entries, descriptor) = (table(node), page(node));
    let base = range.start >> shift(1) << shift(1);
    let mut emptied = 0;
    for slots in lines(descriptor.mask(), &range, 0) {
        for (slot, entry) in slots.clone().zip(&entries[slots]) {
            let old = Pte(entry.load(Relaxed));
            if old.is_empty() {
                continue;
            }
            let new = visitor.entry(base + ((slot as u64) << shift(0)), old);
            if new != old {
                entry.store(new.0, Relaxed);
                emptied += new.is_empty() as u32;
            }
        }
    }
    lose(descriptor, emptied);
    emptied as u64
}
