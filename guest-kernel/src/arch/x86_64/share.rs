//! Page tables that address spaces share after `fork`.
//!
//! `fork` lets the child use the parent's tables of pages where they hold many: both see the table through an
//! entry without the write bit ([`Pte::SHARED`]), and the table's descriptor counts who uses it. So `fork`
//! costs in proportion to the tables. The pages count the table as one owner.
//!
//! Nobody changes a shared table, but for one thing: who wants to change it makes a copy first ([`Pmap::own`]),
//! with every page counted once more, and takes the write bits out of both, because from then on the pages
//! have two owners. Who finds that all others have left uses the table as it is.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::Result;
use ferrix_abi::layout::PAGE_SIZE;

use super::frame::{Chain, page};
use super::phys::{Frame, PhysAddr};
use super::pmap::Pmap;
use super::pte::Pte;
use super::table::{
    LINE, ROOT_LEVEL, Table, descend, free_tables, index, lines, new_table, retire, set, shift,
    table,
};
use super::tlb::{self, Flush};
use super::walk::{Visitor, visit};

/// Bytes that a table of pages shows.
const REGION: u64 = 1 << shift(1);
/// A table with fewer pages is cheaper to copy than to share. (Tests have few pages.)
const DENSE: u32 = if cfg!(test) { 3 } else { 64 };

/// Which tables of a range to make one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All.
    All,
    /// Those that show more than the range: the others are going to be left altogether.
    Partial,
}

/// Whether `fork` should share a table.
#[inline]
pub fn is_dense(table: Frame) -> bool {
    page(table).refs() >= DENSE
}

/// The addresses that the table for `address` shows.
#[inline]
pub fn region(address: u64) -> Range<u64> {
    let start = address & !(REGION - 1);
    start..start + REGION
}

impl Pmap {
    /// Makes the shared tables for a range this address space's own, so that they can be changed. `NoMemory`: some
    /// may still be shared; nothing else has changed.
    #[inline]
    pub fn own(&mut self, range: &Range<u64>, extent: Extent) -> Result<()> {
        if self.may_share() && !self.is_recent(range) {
            self.own_shared(range.clone(), extent)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn own_shared(&mut self, range: Range<u64>, extent: Extent) -> Result<()> {
        let mut own = Own {
            root: self.root(),
            extent,
            result: Ok(()),
        };
        visit(Frame::containing(self.root()), ROOT_LEVEL, range, &mut own);
        own.result
    }

    /// Lets a child use the parent's table behind `entry`, whose region begins at `address`.
    pub fn share(&mut self, entry: &AtomicU64, address: u64) -> Result<()> {
        let mut node = Frame::containing(self.root());
        for level in (2..=ROOT_LEVEL).rev() {
            node = descend(node, index(address, level), Pte::TABLE)?;
        }
        let shared = Pte(entry.load(Relaxed))
            .without(Pte::WRITE)
            .with(Pte::SHARED);
        if set(node, index(address, 1), shared).is_empty() {
            page(shared.frame()).join();
            entry.store(shared.0, Relaxed);
            self.note_shared(page(shared.frame()).refs());
        }
        Ok(())
    }

    /// Copies the entries of a table of the parent into this new address space: owned pages get
    /// one more owner and lose the write bit on both sides. Returns how many lost it.
    pub fn copy_pages(&mut self, parent: Frame, range: &Range<u64>) -> Result<u64> {
        let child = self.leaf(range.start)?;
        let (copied, protected) = copy_entries(parent, child, range);
        self.note_copied(copied);
        Ok(protected)
    }
}

/// Copies the entries of a range from one table to another, with one more owner for owned pages and without their
/// write bits in both. Returns how many there are, and how many lost the write bit.
fn copy_entries(source: Frame, target: Frame, range: &Range<u64>) -> (u32, u64) {
    let (from, to): (&Table, &Table) = (table(source), table(target));
    let (mut copied, mut mask, mut protected) = (0, 0, 0);
    for slots in lines(page(source).mask(), range, 0) {
        mask |= 1 << (slots.start / LINE);
        for (entry, target) in from[slots.clone()].iter().zip(&to[slots]) {
            let mut pte = Pte(entry.load(Relaxed));
            if pte.is_empty() {
                continue;
            }
            if pte.has(Pte::OWNED) {
                page(pte.frame()).retain();
                if pte.has(Pte::WRITE) {
                    pte = pte.without(Pte::WRITE);
                    entry.store(pte.0, Relaxed);
                    protected += 1;
                }
            }
            target.store(pte.0, Relaxed);
            copied += 1;
        }
    }
    let descriptor = page(target);
    descriptor.set_mask(descriptor.mask() | mask);
    descriptor.set_refs(descriptor.refs() + copied);
    (copied, protected)
}

/// Entries that are copied in one section of an address space's lock. (Tests have few pages.)
const COPIED_AT_ONCE: u64 = if cfg!(test) { 16 } else { 48 };

/// A shared table on its way to become an address space's own, some entries at a time. Meanwhile it counts as one of
/// those that use the table, so that nobody changes it.
///
/// Its end may have to take a whole table apart: no lock should be held.
#[derive(Debug)]
pub struct TableCopy {
    shared: Frame,
    /// None: it is in use.
    copy: Option<Frame>,
    /// Entries copied.
    done: u64,
}

/// How far [`Pmap::own_some`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The table is the address space's own, or can be at once. A copy that is still there is not needed.
    Own,
    /// There is more to be done; before that the lock should be given back.
    More,
    /// The copy is one of another table: it is to be given back first.
    Stale,
}

impl TableCopy {
    fn begin(shared: Frame) -> Result<TableCopy> {
        let copy = new_table()?;
        page(shared).join();
        Ok(TableCopy {
            shared,
            copy: Some(copy),
            done: 0,
        })
    }
}

impl Drop for TableCopy {
    fn drop(&mut self) {
        let mut release = Release::default();
        if let Some(copy) = self.copy {
            // It was not needed after all.
            release.tree(copy, 0);
        }
        release.shared(self.shared);
        release.finish();
    }
}

impl Pmap {
    /// Goes on to make the table for an address this address space's own. Beside memory nothing changes before it is.
    #[cold]
    pub fn own_some(&mut self, address: u64, copy: &mut Option<TableCopy>) -> Result<Progress> {
        let Some(entry) = self.leaf_entry(address) else {
            return Ok(Progress::Own);
        };
        let shared = Pte(entry.load(Relaxed));
        if !shared.has(Pte::SHARED) || page(shared.frame()).is_left_alone() {
            return Ok(Progress::Own);
        }
        let part = match copy {
            Some(part) if part.shared == shared.frame() => part,
            Some(_) => return Ok(Progress::Stale),
            None => copy.insert(TableCopy::begin(shared.frame())?),
        };
        let Some(own) = part.copy else {
            return Ok(Progress::Stale);
        };
        let all = region(address);
        let start = all.start + part.done * PAGE_SIZE;
        let end = all.end.min(start + COPIED_AT_ONCE * PAGE_SIZE);
        copy_entries(part.shared, own, &(start..end));
        part.done += COPIED_AT_ONCE;
        if end < all.end {
            return Ok(Progress::More);
        }
        entry.store(own.address().0 | Pte::TABLE, Relaxed);
        part.copy = None;
        tlb::flush(self.root(), Flush::Pages(all.start, 512));
        // Our use of the table, and that of the copy. If all others have left meanwhile, the copy's end takes the
        // table apart.
        let shared = page(part.shared);
        shared.leave();
        if shared.leave_to_others() {
            core::mem::forget(copy.take());
        }
        Ok(Progress::Own)
    }
}

/// Makes the shared tables that it meets the address space's own.
struct Own {
    root: PhysAddr,
    extent: Extent,
    result: Result<()>,
}

impl Visitor for Own {
    fn entry(&mut self, _: u64, pte: Pte) -> Pte {
        pte
    }

    fn table(&mut self, _: Frame) {}

    fn pages(&mut self, _: Frame, _: Range<u64>) -> u64 {
        0
    }

    fn whole(&mut self, entry: &AtomicU64, address: u64, part: &Range<u64>) -> Option<u64> {
        let shared = Pte(entry.load(Relaxed)).has(Pte::SHARED);
        let wanted = self.extent == Extent::All || part.end - part.start < REGION;
        if shared && wanted && self.result.is_ok() {
            self.result = self.own(entry, address);
        }
        Some(0)
    }
}

impl Own {
    fn own(&self, entry: &AtomicU64, address: u64) -> Result<()> {
        let shared = Pte(entry.load(Relaxed)).frame();
        if page(shared).is_left_alone() {
            entry.store(shared.address().0 | Pte::TABLE, Relaxed);
            return Ok(());
        }
        let copy = new_table()?;
        copy_entries(shared, copy, &region(address));
        entry.store(copy.address().0 | Pte::TABLE, Relaxed);
        // All of the region's translations: processors may keep the way to the table too.
        tlb::flush(self.root, Flush::Pages(address, 512));
        let mut release = Release::default();
        release.shared(shared);
        release.finish();
        Ok(())
    }
}

/// Collects the tables of an address space that no processor uses, and the pages that go with it.
#[derive(Debug, Default)]
pub struct Release {
    pages: Chain,
    tables: Chain,
}

impl Release {
    /// Empties a table and all below it.
    pub(super) fn tree(&mut self, node: Frame, level: u32) {
        let (entries, descriptor) = (table(node), page(node));
        let (mut lines, mut left) = (descriptor.mask(), descriptor.refs());
        while left != 0 {
            let line = lines.trailing_zeros() as usize * LINE;
            lines &= lines - 1;
            for entry in &entries[line..line + LINE] {
                let pte = Pte(entry.load(Relaxed));
                if pte.is_empty() {
                    continue;
                }
                entry.store(0, Relaxed);
                if level == 0 {
                    self.page(pte);
                } else if pte.has(Pte::SHARED) {
                    self.shared(pte.frame());
                } else if !pte.has(Pte::BORROWED) {
                    self.tree(pte.frame(), level - 1);
                }
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        self.empty(node);
    }

    /// Leaves a shared table to the others; the last takes it apart.
    pub fn shared(&mut self, table: Frame) {
        if page(table).leave() {
            self.tree(table, 0);
        }
    }

    /// An empty table that nobody can reach.
    pub fn empty(&mut self, table: Frame) {
        retire(table);
        self.tables.push(table);
    }

    /// Gives back what was collected.
    pub fn finish(self) {
        free_tables(self.pages, self.tables);
    }

    /// One owner of a page less.
    #[inline]
    pub fn owned(&mut self, frame: Frame) {
        if page(frame).release() == 0 {
            self.pages.push(frame);
        }
    }

    #[inline]
    fn page(&mut self, pte: Pte) {
        if pte.has(Pte::OWNED) {
            self.owned(pte.frame());
        }
    }
}
