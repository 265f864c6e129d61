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

use super::frame::{self, Chain, page};
use super::phys::{Frame, PhysAddr};
pub use super::pte::Pte;
use super::table::{
    LINE, ROOT_LEVEL, descend, gain, index, lines, lose, new_table, set, shift, table,
};
pub use super::table::{free_tables, map_kernel, table_pages};

/// Root entries that all address spaces share: the direct map; the kernel and its windows.
const KERNEL_SLOTS: [usize; 2] = [256, 511];
/// Those entries, once the boot tables are known.
static KERNEL_ENTRIES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
/// Frame of the shared level-1 table that maps [`KERNEL_INFO`] (0: none yet).
static INFO_TABLE: AtomicU32 = AtomicU32::new(0);
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
}

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
    /// The level-0 table used last: number of its 2 MiB region, and the table.
    recent: (u64, Frame),
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
            recent: (NO_REGION, root),
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

    /// The level-0 table for an address, made if need be.
    #[inline]
    fn leaf(&mut self, address: u64) -> Result<Frame> {
        let region = address >> shift(1);
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

    /// The level-0 table for an address, if there is one.
    #[inline]
    fn find_leaf(&mut self, address: u64) -> Option<Frame> {
        let region = address >> shift(1);
        if self.recent.0 == region {
            return Some(self.recent.1);
        }
        let mut node = self.root;
        for level in (1..=ROOT_LEVEL).rev() {
            let pte = Pte(table(node)[index(address, level)].load(Relaxed));
            if pte.is_empty() {
                return None;
            }
            node = pte.frame();
        }
        self.recent = (region, node);
        Some(node)
    }

    /// The entry for an address.
    #[inline]
    pub fn get(&mut self, address: u64) -> Pte {
        match self.find_leaf(address) {
            Some(leaf) => Pte(table(leaf)[index(address, 0)].load(Relaxed)),
            None => Pte::EMPTY,
        }
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
        let (region, leaf) = self.recent;
        let known = region == range.start >> shift(1) && region == (range.end - 1) >> shift(1);
        !known || lines(page(leaf).mask(), range, 0).next().is_some()
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

    /// How many pages directly before `address`, under the same table, are in use; counts up to
    /// `most`.
    pub fn run_before(&mut self, address: u64, most: u64) -> u64 {
        let Some(leaf) = self.find_leaf(address) else {
            return 0;
        };
        let slot = index(address, 0);
        let before = table(leaf)[..slot].iter().rev().take(most as usize);
        before.take_while(|entry| entry.load(Relaxed) != 0).count() as u64
    }

    /// Enters never-used pages in a range, whose first page lies in an existing table: as many as
    /// follow there without a page in use, and as there are. `pte` lacks only the frame.
    pub fn fill_run(&mut self, range: Range<u64>, pte: Pte) {
        let slot = index(range.start, 0);
        let Some(leaf) = self.find_leaf(range.start).filter(|_| slot != 0) else {
            return;
        };
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

    /// Copies the entries of a table of the parent into this new address space: owned pages get
    /// one more owner and lose the write bit on both sides. Returns how many lost it.
    pub fn copy_pages(&mut self, parent: Frame, range: &Range<u64>) -> Result<u64> {
        let child = self.leaf(range.start)?;
        let (from, to) = (table(parent), table(child));
        let (mut copied, mut mask, mut protected) = (0, 0, 0);
        for slots in lines(page(parent).mask(), range, 0) {
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
        let descriptor = page(child);
        descriptor.set_mask(descriptor.mask() | mask);
        descriptor.set_refs(descriptor.refs() + copied);
        self.resident += copied as u64;
        Ok(protected)
    }

    /// Sets the entry (not to empty: that is a walk's business). Flushes nothing.
    #[inline]
    pub fn set(&mut self, address: u64, pte: Pte) -> Result<()> {
        let leaf = self.leaf(address)?;
        let old = set(leaf, index(address, 0), pte);
        self.resident += old.is_empty() as u64;
        Ok(())
    }

    /// Enters `frames` (0: none) from `address` on, within one 2 MiB region whose table exists,
    /// where entries are empty. `pte` lacks only the frame.
    pub fn fill(&mut self, address: u64, frames: &[u32], pte: Pte) {
        let Some(leaf) = self.find_leaf(address) else {
            return;
        };
        let (first, descriptor) = (index(address, 0), page(leaf));
        let (mut added, mut mask) = (0, descriptor.mask());
        let entries = &table(leaf)[first..first + frames.len()];
        for (slot, (entry, &frame)) in entries.iter().zip(frames).enumerate() {
            if frame != 0 && entry.load(Relaxed) == 0 {
                entry.store(pte.0 | Frame(frame).address().0, Relaxed);
                mask |= 1 << ((first + slot) / LINE);
                added += 1;
            }
        }
        descriptor.set_mask(mask);
        descriptor.set_refs(descriptor.refs() + added);
        self.resident += added as u64;
    }

    /// Shows `visitor` every non-empty entry in the range, ascending.
    pub fn walk(&mut self, range: Range<u64>, visitor: &mut impl Visitor) {
        let mut removed = 0;
        if range.start >> shift(1) == (range.end - 1) >> shift(1) {
            // Within one table, as most mappings are: straight to it.
            let Some(leaf) = self.find_leaf(range.start) else {
                return;
            };
            removed = visitor.pages(leaf, range.clone());
            if removed == 0 {
                return;
            }
            if page(leaf).refs() != 0 {
                self.resident -= removed;
                return;
            }
        }
        removed += visit(self.root, ROOT_LEVEL, range, visitor);
        if removed != 0 {
            self.resident -= removed;
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
        free_tables(release.pages, release.tables);
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

/// Collects the tables of an address space that no processor uses, and the pages that go with it.
#[derive(Default)]
struct Release {
    pages: Chain,
    tables: Chain,
}

impl Release {
    /// Empties a table and all below it.
    fn tree(&mut self, node: Frame, level: u32) {
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
                } else if !pte.has(Pte::BORROWED) {
                    self.tree(pte.frame(), level - 1);
                }
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        self.tables.push(node);
    }

    #[inline]
    fn page(&mut self, pte: Pte) {
        if pte.has(Pte::OWNED) && page(pte.frame()).release() == 0 {
            self.pages.push(pte.frame());
        }
    }
}

/// Walks one table; returns how many page entries became empty.
fn visit(node: Frame, level: u32, range: Range<u64>, visitor: &mut impl Visitor) -> u64 {
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
            removed += visit(pte.frame(), level - 1, part, visitor);
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
