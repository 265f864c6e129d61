//! x86-64 page tables of one address space.
//!
//! A page-table entry is the only record of a private anonymous page: [`Pte::OWNED`] says that the
//! entry holds one of the page's references. Other entries merely show an object's page. An
//! entry can be non-zero without being present (a page behind `PROT_NONE`).
//!
//! The descriptor of a table's frame counts its entries in use and masks the *lines* (8 entries)
//! that may hold any: walks cost in proportion to what is mapped, and a freed table is known to be
//! zero. The code runs on the host too: it only reads and writes memory.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::Result;
use ferrix_abi::layout::{KERNEL_INFO, PAGE_SIZE};
use ferrix_abi::vm::Prot;

use super::frame::{self, page};
use super::phys::{Frame, PhysAddr};
pub use super::pte::Pte;
pub use super::share::{Extent, Progress, Release, TableCopy, is_dense, region};
use super::table::{LINE, ROOT_LEVEL, descend, gain, index, lines, new_table, set, shift, table};
pub use super::table::{map_kernel, table_pages};
pub use super::walk::Visitor;
use super::walk::visit;

/// Root entries that all address spaces share: the direct map; the kernel and its windows.
const KERNEL_SLOTS: [usize; 2] = [256, 511];
/// Those entries, once the boot tables are known.
static KERNEL_ENTRIES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
/// Frame of the shared level-1 table that maps [`KERNEL_INFO`] (0: none yet).
static INFO_TABLE: AtomicU32 = AtomicU32::new(0);

/// An entry of the table used last.
#[derive(Clone, Copy, Debug)]
pub struct Slot(usize);

/// What a page comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// A page in use.
    Used,
    /// A hole, or another table.
    Unused,
}

/// The page tables of one address space.
#[derive(Debug)]
pub struct Pmap {
    root: Frame,
    /// Pages that entries show.
    resident: u64,
    /// The most of them, when they last became fewer.
    peak: u64,
    /// The level-0 table used last, not a shared one: number of its 2 MiB region, and the table.
    recent: (u64, Frame),
    /// Since this address space or its parent forked there may be shared tables.
    may_share: bool,
}

const NO_REGION: u64 = u64::MAX;

impl Pmap {
    /// Empty tables: the kernel's part and the information page only.
    pub fn new() -> Result<Pmap> {
        let root = new_table()?;
        for (slot, entry) in KERNEL_SLOTS.iter().zip(&KERNEL_ENTRIES) {
            table(root)[*slot].store(entry.load(Relaxed), Relaxed);
        }
        let mut pmap = Pmap {
            root,
            resident: 0,
            peak: 0,
            recent: (NO_REGION, root),
            may_share: false,
        };
        let info = INFO_TABLE.load(Relaxed);
        if info != 0 {
            let upper = descend(pmap.root, index(KERNEL_INFO, 3), Pte::TABLE)
                .inspect_err(|_| pmap.destroy())?;
            let pte = Pte(Frame(info).address().0 | Pte::TABLE | Pte::BORROWED);
            set(upper, index(KERNEL_INFO, 2), pte);
        }
        Ok(pmap)
    }

    /// Physical address of the root table: CR3.
    #[inline]
    pub fn root(&self) -> PhysAddr {
        self.root.address()
    }

    /// Pages present or kept behind `PROT_NONE`.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// The most that [`resident`](Self::resident) has been.
    pub fn most_resident(&self) -> u64 {
        self.peak.max(self.resident)
    }

    /// Forgets what that was.
    pub fn forget_most(&mut self) {
        self.peak = 0;
    }

    /// So many pages are gone. Only here is the most noted, which costs the faults nothing.
    #[inline]
    fn shrink(&mut self, removed: u64) {
        self.peak = self.most_resident();
        self.resident -= removed;
    }

    /// Whether there may be tables that other address spaces use too.
    #[inline]
    pub fn may_share(&self) -> bool {
        self.may_share
    }

    /// Whether a range lies under the table used last, which is not shared.
    #[inline]
    pub(super) fn is_recent(&self, range: &Range<u64>) -> bool {
        let region = self.recent.0;
        region == range.start >> shift(1) && region == (range.end - 1) >> shift(1)
    }

    /// A table with so many pages is now shared with another address space.
    pub(super) fn note_shared(&mut self, pages: u32) {
        self.resident += pages as u64;
        self.may_share = true;
    }

    /// So many entries were copied into a table of this address space.
    pub(super) fn note_copied(&mut self, pages: u32) {
        self.resident += pages as u64;
    }

    /// The parent's side of sharing.
    pub fn begin_sharing(&mut self) {
        self.may_share = true;
        self.recent = (NO_REGION, self.root);
    }

    /// The level-0 table for an address, which is not shared; made if need be.
    #[inline]
    pub(super) fn leaf(&mut self, address: u64) -> Result<Frame> {
        let region = address >> shift(1);
        if self.recent.0 == region {
            return Ok(self.recent.1);
        }
        self.own_page(address)?;
        if self.recent.0 == region {
            return Ok(self.recent.1);
        }
        let mut node = self.root;
        for level in (1..=ROOT_LEVEL).rev() {
            node = descend(node, index(address, level), Pte::TABLE)?;
        }
        self.recent = (region, node);
        Ok(node)
    }

    /// The entry for the level-0 table for an address, if there is one.
    #[inline]
    fn find_leaf(&self, address: u64) -> Option<Pte> {
        let mut node = self.root;
        let mut level = ROOT_LEVEL;
        loop {
            let pte = Pte(table(node)[index(address, level)].load(Relaxed));
            if pte.is_empty() {
                return None;
            }
            if level == 1 {
                return Some(pte);
            }
            node = pte.frame();
            level -= 1;
        }
    }

    /// Where the entry for the level-0 table for an address lies.
    pub(super) fn leaf_entry(&self, address: u64) -> Option<&'static AtomicU64> {
        let mut node = self.root;
        for level in (2..=ROOT_LEVEL).rev() {
            let pte = Pte(table(node)[index(address, level)].load(Relaxed));
            if pte.is_empty() {
                return None;
            }
            node = pte.frame();
        }
        Some(&table(node)[index(address, 1)])
    }

    /// As [`own`](Self::own) for the page at an address, whose table is the one used last then, if there is one.
    #[inline]
    pub fn own_page(&mut self, address: u64) -> Result<()> {
        if !self.is_own(address) {
            self.own(&region(address), Extent::All)?;
            self.is_own(address);
        }
        Ok(())
    }

    /// Whether the table for an address is not shared: then it is the one used last, if there is one.
    #[inline]
    pub fn is_own(&mut self, address: u64) -> bool {
        let number = address >> shift(1);
        if self.recent.0 == number {
            return true;
        }
        match self.find_leaf(address) {
            Some(entry) if entry.has(Pte::SHARED) => return false,
            Some(entry) => self.recent = (number, entry.frame()),
            None => {}
        }
        true
    }

    /// The entry for an address. It has no write bit if the table is shared.
    #[inline]
    pub fn get(&mut self, address: u64) -> Pte {
        let region = address >> shift(1);
        if self.recent.0 != region {
            match self.find_leaf(address) {
                Some(entry) if entry.has(Pte::SHARED) => {
                    let pte = Pte(table(entry.frame())[index(address, 0)].load(Relaxed));
                    return pte.without(Pte::WRITE);
                }
                Some(entry) => self.recent = (region, entry.frame()),
                None => return Pte::EMPTY,
            }
        }
        Pte(table(self.recent.1)[index(address, 0)].load(Relaxed))
    }

    /// The entry for an address and what it holds, if it lies in the table used last.
    #[inline]
    pub fn recent_slot(&self, address: u64) -> Option<(Slot, Pte)> {
        let (region, leaf) = self.recent;
        let slot = index(address, 0);
        (region == address >> shift(1)).then(|| (Slot(slot), Pte(table(leaf)[slot].load(Relaxed))))
    }

    /// Whether there may be pages in a range, as far as can be told at once.
    #[inline]
    pub fn may_hold(&self, range: &Range<u64>) -> bool {
        !self.is_recent(range) || lines(page(self.recent.1).mask(), range, 0).next().is_some()
    }

    /// Changes an entry in use of the table used last. Flushes nothing.
    #[inline]
    pub fn replace(&mut self, Slot(slot): Slot, pte: Pte) {
        table(self.recent.1)[slot].store(pte.0, Relaxed);
    }

    /// Puts a page into an unused entry of the table used last; says whether the one before it is in use.
    #[inline]
    pub fn enter(&mut self, Slot(slot): Slot, pte: Pte) -> After {
        let leaf = self.recent.1;
        table(leaf)[slot].store(pte.0, Relaxed);
        gain(page(leaf), slot);
        self.resident += 1;
        if slot != 0 && table(leaf)[slot - 1].load(Relaxed) != 0 {
            After::Used
        } else {
            After::Unused
        }
    }

    /// How many pages directly before `address`, under the table used last, are in use; counts up to
    /// `most`.
    pub fn run_before(&self, address: u64, most: u64) -> u64 {
        let (region, leaf) = self.recent;
        if region != address >> shift(1) {
            return 0;
        }
        let slot = index(address, 0);
        let before = table(leaf)[..slot].iter().rev().take(most as usize);
        before.take_while(|entry| entry.load(Relaxed) != 0).count() as u64
    }

    /// Enters never-used pages in a range, whose first page lies under the table used last: as many as
    /// follow there without a page in use, and as there are. `pte` lacks only the frame.
    pub fn fill_run(&mut self, range: Range<u64>, pte: Pte) {
        let slot = index(range.start, 0);
        let (region, leaf) = self.recent;
        if region != range.start >> shift(1) || slot == 0 {
            return;
        }
        let wanted = (range.end.saturating_sub(range.start) / PAGE_SIZE) as usize;
        let entries = &table(leaf)[slot..512.min(slot + wanted)];
        let room = entries
            .iter()
            .take_while(|entry| entry.load(Relaxed) == 0)
            .count();
        let (first, count) = frame::alloc_run(room as u32);
        let mut pte = pte.0 | first.address().0;
        for entry in &entries[..count as usize] {
            entry.store(pte, Relaxed);
            pte += PAGE_SIZE;
        }
        if count != 0 {
            let descriptor = page(leaf);
            let last = slot + count as usize - 1;
            let lines = u64::MAX << (slot / LINE) & u64::MAX >> (63 - last / LINE);
            descriptor.set_mask(descriptor.mask() | lines);
            descriptor.set_refs(descriptor.refs() + count);
            self.resident += count as u64;
        }
    }

    /// Sets the entry (not to empty: that is a walk's business). Flushes nothing.
    #[inline]
    pub fn set(&mut self, address: u64, pte: Pte) -> Result<()> {
        let leaf = self.leaf(address)?;
        let old = set(leaf, index(address, 0), pte);
        self.resident += old.is_empty() as u64;
        Ok(())
    }

    /// Enters `frames` (0: none) from `address` on, all under the table used last, where entries are
    /// empty. `pte` lacks only the frame.
    pub fn fill(&mut self, address: u64, frames: &[u32], pte: Pte) {
        let (region, leaf) = self.recent;
        if region != address >> shift(1) {
            return;
        }
        let (first, descriptor) = (index(address, 0), page(leaf));
        let mut added = 0;
        let entries = &table(leaf)[first..first + frames.len()];
        for (entry, &frame) in entries.iter().zip(frames) {
            if frame != 0 && entry.load(Relaxed) == 0 {
                entry.store(pte.0 | Frame(frame).address().0, Relaxed);
                added += 1;
            }
        }
        if added == 0 {
            return;
        }
        // Of all lines that it could be: a line in the mask may be empty.
        let last = first + frames.len() - 1;
        let lines = u64::MAX << (first / LINE) & u64::MAX >> (63 - last / LINE);
        descriptor.set_mask(descriptor.mask() | lines);
        descriptor.set_refs(descriptor.refs() + added);
        self.resident += added as u64;
    }

    /// Shows `visitor` every non-empty entry in the range, ascending.
    pub fn walk(&mut self, range: Range<u64>, visitor: &mut impl Visitor) {
        let mut removed = 0;
        if region(range.start).end >= range.end {
            // Within one table, as most mappings are: straight to it.
            let leaf = match self.is_recent(&range) {
                true => self.recent.1,
                false => match self.find_leaf(range.start) {
                    Some(entry) if entry.has(Pte::SHARED) => {
                        return self.walk_all(range, visitor, 0);
                    }
                    Some(entry) => {
                        self.recent = (range.start >> shift(1), entry.frame());
                        entry.frame()
                    }
                    None => return,
                },
            };
            if visitor.wants_whole(leaf) {
                return self.walk_all(range, visitor, 0);
            }
            removed = visitor.pages(leaf, range.clone());
            if removed == 0 {
                return;
            }
            if page(leaf).refs() != 0 {
                self.shrink(removed);
                return;
            }
        }
        self.walk_all(range, visitor, removed);
    }

    /// From the root; so many pages are gone already.
    fn walk_all(&mut self, range: Range<u64>, visitor: &mut impl Visitor, mut removed: u64) {
        removed += visit(self.root, ROOT_LEVEL, range, visitor);
        if removed != 0 {
            self.shrink(removed);
            self.recent = (NO_REGION, self.root);
        }
    }

    /// Frees the tables, and with them the pages that they own. No processor may use them.
    pub fn destroy(&mut self) {
        let root = table(self.root);
        KERNEL_SLOTS
            .iter()
            .for_each(|slot| root[*slot].store(0, Relaxed));
        let mut release = Release::default();
        release.tree(self.root, ROOT_LEVEL);
        release.finish();
    }

    /// Gives this address space information tables of its own, with `page` after the common page.
    pub fn set_boot_info(&mut self, address: u64, info: Frame, boot: Frame) -> Result<()> {
        let upper = descend(self.root, index(KERNEL_INFO, 3), Pte::TABLE)?;
        let own = new_table()?;
        set(
            upper,
            index(KERNEL_INFO, 2),
            Pte(own.address().0 | Pte::TABLE),
        );
        self.set(KERNEL_INFO, Pte::new(info, Prot::READ))?;
        self.set(address, Pte::new(boot, Prot::READ).with(Pte::OWNED))
    }
}

/// Takes over the boot tables: their kernel entries go into every address space.
pub fn adopt_kernel(root: PhysAddr) {
    let root = table(Frame::containing(root));
    for (slot, entry) in KERNEL_SLOTS.iter().zip(&KERNEL_ENTRIES) {
        entry.store(root[*slot].load(Relaxed), Relaxed);
    }
}

/// Makes the shared tables behind [`KERNEL_INFO`].
pub fn share_info(info: Frame) -> Result<()> {
    let (upper, lower) = (new_table()?, new_table()?);
    set(lower, index(KERNEL_INFO, 0), Pte::new(info, Prot::READ));
    set(
        upper,
        index(KERNEL_INFO, 1),
        Pte(lower.address().0 | Pte::TABLE),
    );
    INFO_TABLE.store(upper.0, Relaxed);
    Ok(())
}

const _: () = assert!(KERNEL_INFO.is_multiple_of(PAGE_SIZE));
