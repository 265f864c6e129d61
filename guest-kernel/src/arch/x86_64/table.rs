//! Single page tables: their entries, the count and the mask of lines in their descriptors.

use core::ops::Range;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};

use super::frame::{self, Chain, Page, page};
use super::phys::{Frame, PhysAddr};
use super::pte::Pte;

/// A page table.
pub(super) type Table = [AtomicU64; 512];

/// Entries per line of the mask.
pub(super) const LINE: usize = 8;
/// The level of the root; level 0 tables hold pages.
pub(super) const ROOT_LEVEL: u32 = 3;
/// Frames in use as page tables of address spaces.
static TABLES: AtomicU64 = AtomicU64::new(0);

/// The table in a frame.
pub(super) fn table(frame: Frame) -> &'static Table {
    // SAFETY: the frame is a page table: page-aligned, 512 words, in the direct map, and accessed
    // only as atomics. Its owner frees it only when no walk can reach it.
    unsafe { &*frame.pointer().cast::<Table>() }
}

/// Bits of an address below those that select an entry at a level.
#[inline]
pub(super) const fn shift(level: u32) -> u32 {
    12 + 9 * level
}

/// The entry for an address in a table of a level.
#[inline]
pub(super) const fn index(address: u64, level: u32) -> usize {
    (address >> shift(level)) as usize & 511
}

/// Pages in use as page tables.
pub fn table_pages() -> u64 {
    TABLES.load(Relaxed)
}

/// An empty table.
pub(super) fn new_table() -> Result<Frame> {
    let frame = frame::alloc_zeroed().ok_or(Error::NoMemory)?;
    page(frame).set_mask(0);
    page(frame).set_refs(0);
    page(frame).set_state(0);
    TABLES.fetch_add(1, Relaxed);
    Ok(frame)
}

/// Ends a frame's time as a page table; it is empty, and nothing leads to it any more.
///
/// A KVM that shadows page tables goes on watching the frame: it carries out every write there itself, also those of a
/// program that gets the frame next, and cannot do that with instructions of AVX. Nobody writes an entry by a byte in
/// its middle: that tells it that the frame is a table no longer (docs/kvm.md).
#[inline]
pub(super) fn retire(frame: Frame) {
    let bytes = frame.pointer().cast::<[AtomicU8; 8]>();
    // SAFETY: the frame is in the direct map, and its owner is about to give it back: nobody else uses it.
    unsafe { (*bytes)[1].store(0, Relaxed) };
}

/// Gives back pages, and tables that hold only zeroes.
pub fn free_tables(pages: Chain, tables: Chain) {
    TABLES.fetch_sub(tables.len() as u64, Relaxed);
    frame::free_chains(pages, tables);
}

/// Sets an entry of a table, and keeps count.
#[inline]
pub(super) fn set(node: Frame, index: usize, pte: Pte) -> Pte {
    let slot = &table(node)[index];
    let old = Pte(slot.load(Relaxed));
    slot.store(pte.0, Relaxed);
    if old.is_empty() {
        gain(page(node), index);
    }
    old
}

/// Notes that an entry of a table has come into use.
#[inline]
pub(super) fn gain(descriptor: &Page, index: usize) {
    descriptor.set_refs(descriptor.refs() + 1);
    descriptor.set_mask(descriptor.mask() | 1 << (index / LINE));
}

/// The table below an entry, made if need be.
pub(super) fn descend(node: Frame, index: usize, bits: u64) -> Result<Frame> {
    let pte = Pte(table(node)[index].load(Relaxed));
    if !pte.is_empty() {
        return Ok(pte.frame());
    }
    let child = new_table()?;
    set(node, index, Pte(child.address().0 | bits));
    Ok(child)
}

/// Slots of a table that the range covers and that may be in use, line by line.
#[inline]
pub(super) fn lines(
    mask: u64,
    range: &Range<u64>,
    level: u32,
) -> impl Iterator<Item = Range<usize>> {
    let (first, last) = (index(range.start, level), index(range.end - 1, level));
    let mut lines = mask & (u64::MAX << (first / LINE)) & (u64::MAX >> (63 - last / LINE));
    core::iter::from_fn(move || {
        if lines == 0 {
            return None;
        }
        let line = lines.trailing_zeros() as usize * LINE;
        lines &= lines - 1;
        Some(first.max(line)..(last + 1).min(line + LINE))
    })
}

/// Notes that entries of a table became empty.
#[inline]
pub(super) fn lose(descriptor: &Page, emptied: u32) {
    if emptied != 0 {
        let left = descriptor.refs() - emptied;
        descriptor.set_refs(left);
        if left == 0 {
            descriptor.set_mask(0);
        }
    }
}

/// Maps a page of the kernel's own windows (supervisor, never executable), for all address spaces.
pub fn map_kernel(root: PhysAddr, address: u64, frame: Frame, bits: u64) -> Result<()> {
    let upper = Pte::PRESENT | Pte::WRITE | Pte::ACCESSED;
    let mut node = Frame::containing(root);
    for level in (1..=ROOT_LEVEL).rev() {
        node = descend(node, index(address, level), upper)?;
    }
    let flags = upper | Pte::DIRTY | Pte::GLOBAL | Pte::NO_EXECUTE | bits;
    set(node, index(address, 0), Pte(frame.address().0 | flags));
    Ok(())
}
