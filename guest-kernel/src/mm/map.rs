//! The mappings of an address space, as intervals: lookup, placement, split, merge.
//!
//! Pure logic; the page tables are [`space`](super::space)'s business. The entries lie sorted in
//! one vector: a process has some dozens, lookups are far more frequent than changes, and `fork`
//! copies them in one go.

use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::{MMAP_BASE, MMAP_TOP, SYSTEM_MMAP_BASE, SYSTEM_MMAP_TOP, USER_BASE};
use ferrix_abi::vm::Prot;

use super::entry::VmEntry;

/// Most mappings of one address space.
pub const ENTRIES_MAX: usize = 65_536;
/// One past the highest address that mappings may use; UTCBs and information pages lie above.
pub const MAP_TOP: u64 = SYSTEM_MMAP_TOP;

/// Where the kernel picks addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// `MMAP_BASE..MMAP_TOP`.
    Program = 0,
    /// `SYSTEM_MMAP_BASE..SYSTEM_MMAP_TOP`.
    System = 1,
}

impl Zone {
    /// Its addresses.
    pub const fn range(self) -> Range<u64> {
        match self {
            Zone::Program => MMAP_BASE..MMAP_TOP,
            Zone::System => SYSTEM_MMAP_BASE..SYSTEM_MMAP_TOP,
        }
    }
}

/// The sorted mappings of an address space.
#[derive(Debug)]
pub struct VmMap {
    entries: Vec<VmEntry>,
    /// Where the last search ended.
    hint: Cell<usize>,
    /// Per zone: no gap is known to begin below this address.
    cursors: [u64; 2],
    mapped: u64,
    /// The most of that, when it last became less.
    peak: u64,
}

impl Default for VmMap {
    fn default() -> Self {
        Self::new()
    }
}

impl VmMap {
    /// A map without entries.
    pub const fn new() -> VmMap {
        VmMap {
            entries: Vec::new(),
            hint: Cell::new(0),
            cursors: [MMAP_BASE, SYSTEM_MMAP_BASE],
            mapped: 0,
            peak: 0,
        }
    }

    /// All entries, ascending.
    pub fn entries(&self) -> &[VmEntry] {
        &self.entries
    }

    /// The entries at these indices, for changes that keep start and end.
    pub fn entries_mut(&mut self, indices: Range<usize>) -> &mut [VmEntry] {
        &mut self.entries[indices]
    }

    /// Bytes mapped.
    pub fn mapped(&self) -> u64 {
        self.mapped
    }

    /// The most that [`mapped`](Self::mapped) has been.
    pub fn most_mapped(&self) -> u64 {
        self.peak.max(self.mapped)
    }

    /// Forgets what that was.
    pub fn forget_most(&mut self) {
        self.peak = 0;
    }

    #[inline(always)]
    fn shrink(&mut self, gone: u64) {
        self.peak = self.most_mapped();
        self.mapped -= gone;
    }

    /// Index of the first entry that ends above `address`; looks around where the last search
    /// ended.
    #[inline]
    pub fn lower_bound(&self, address: u64) -> usize {
        let ends_below = |index: usize| self.entries.get(index).is_some_and(|e| e.end <= address);
        let ends_above = |index: usize| self.entries.get(index).is_none_or(|e| e.end > address);
        let mut index = self.hint.get().min(self.entries.len());
        if ends_below(index) {
            index += 1;
        } else if index > 0 && !ends_below(index - 1) {
            index -= 1;
        }
        if !ends_above(index) || index > 0 && !ends_below(index - 1) {
            index = self.entries.partition_point(|entry| entry.end <= address);
        }
        self.hint.set(index);
        index
    }

    /// The entry that contains `address`, if the last search ended there.
    #[inline]
    pub fn hinted(&self, address: u64) -> Option<&VmEntry> {
        let entry = self.entries.get(self.hint.get())?;
        (entry.start <= address && address < entry.end).then_some(entry)
    }

    /// Index of the entry that contains `address`.
    #[inline]
    pub fn find(&self, address: u64) -> Option<usize> {
        if self.hinted(address).is_some() {
            return Some(self.hint.get());
        }
        let index = self.lower_bound(address);
        (self.entries.get(index)?.start <= address).then_some(index)
    }

    /// Whether nothing is mapped in the range.
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        let next = self.entries.get(self.lower_bound(range.start));
        next.is_none_or(|entry| entry.start >= range.end)
    }

    /// `NoMemory` unless all of a range is mapped.
    pub fn check_covered(&self, range: &Range<u64>) -> Result<()> {
        let mut covered = range.start;
        for entry in &self.entries[self.lower_bound(range.start)..] {
            if covered >= range.end || entry.start > covered {
                break;
            }
            covered = entry.end;
        }
        if covered < range.end {
            Err(Error::NoMemory)
        } else {
            Ok(())
        }
    }

    /// A free range of `length` bytes in a zone.
    pub fn find_gap(&mut self, zone: Zone, length: u64) -> Result<u64> {
        let Range { start, end } = zone.range();
        let cursor = self.cursors[zone as usize];
        let found = self
            .gap_from(cursor, end, length)
            .or_else(|| self.gap_from(start, end, length));
        let address = found.ok_or(Error::NoMemory)?;
        if address == cursor {
            self.cursors[zone as usize] = address + length;
        }
        Ok(address)
    }

    /// Extends the mapping that ends where the search for a gap would begin, if it is private memory that differs in
    /// nothing from a new one with `prot`, and there is room behind it. Returns where the extension begins.
    #[inline(always)]
    pub fn extend(&mut self, zone: Zone, length: u64, prot: Prot) -> Option<u64> {
        let start = self.cursors[zone as usize];
        let end = start + length;
        let index = self.hint.get();
        let [entry, rest @ ..] = self.entries.get_mut(index..)? else {
            return None;
        };
        let limit = rest.first().map_or(u64::MAX, |next| next.start);
        if entry.end != start || !entry.is_plain(prot) || end > limit.min(zone.range().end) {
            return None;
        }
        entry.end = end;
        self.cursors[zone as usize] = end;
        self.mapped += length;
        Some(start)
    }

    fn gap_from(&self, start: u64, end: u64, length: u64) -> Option<u64> {
        let mut candidate = start;
        for entry in &self.entries[self.lower_bound(start)..] {
            if entry.start.saturating_sub(candidate) >= length {
                break;
            }
            candidate = entry.end.max(candidate);
        }
        (candidate.checked_add(length)? <= end).then_some(candidate)
    }

    /// Adds an entry to a free range and joins it with its neighbours.
    pub fn insert(&mut self, entry: VmEntry) -> Result<()> {
        debug_assert!(self.is_free(&(entry.start..entry.end)));
        self.make_room(1)?;
        self.mapped += entry.length();
        let index = self.lower_bound(entry.start);
        if let Some(next) = self.entries.get_mut(index)
            && entry.joins(next)
        {
            next.start = entry.start;
            next.offset = entry.offset;
            next.flags = entry.flags;
            self.join_at(index);
        } else if index > 0 && self.entries[index - 1].joins(&entry) {
            self.entries[index - 1].end = entry.end;
        } else {
            self.entries.insert(index, entry);
        }
        Ok(())
    }

    /// Splits entries so that the range consists of whole ones; returns their indices.
    pub fn isolate(&mut self, range: &Range<u64>) -> Result<Range<usize>> {
        self.make_room(2)?;
        let first = self.split_at(range.start)?;
        let last = self.split_at(range.end)?;
        Ok(first..last)
    }

    /// Takes a range out: entries that end with it are cut, others split, so that what lies in it
    /// are whole entries. Returns their indices, for [`delete`](Self::delete) when their pages are
    /// gone (none, if only an end was cut off), or nothing if nothing is mapped there.
    pub fn cut(&mut self, range: &Range<u64>) -> Result<Option<Range<usize>>> {
        let first = self.lower_bound(range.start);
        let Some(entry) = self
            .entries
            .get_mut(first)
            .filter(|entry| entry.start < range.end)
        else {
            return Ok(None);
        };
        let exact = entry.start == range.start && entry.end == range.end;
        let tail = entry.start < range.start && entry.end == range.end;
        if tail {
            entry.end = range.start;
            self.shrink(range.end - range.start);
        }
        let indices = match (exact, tail) {
            (true, _) => first..first + 1,
            (_, true) => first..first,
            _ => self.isolate(range)?,
        };
        self.lower_cursors(range.start);
        Ok(Some(indices))
    }

    /// Takes the end of the entry out that the last search found, if the range is that.
    #[inline(always)]
    pub fn cut_end(&mut self, range: &Range<u64>) -> Option<()> {
        let entry = self.entries.get_mut(self.hint.get())?;
        if entry.end != range.end || entry.start >= range.start {
            return None;
        }
        entry.end = range.start;
        self.shrink(range.end - range.start);
        self.lower_cursors(range.start);
        Some(())
    }

    /// Removes the entries at these indices, and lets their objects go.
    pub fn delete(&mut self, indices: Range<usize>) {
        let removed = &self.entries[indices.clone()];
        let gone = removed.iter().map(VmEntry::length).sum();
        self.shrink(gone);
        if indices.len() == 1 {
            self.entries.remove(indices.start);
        } else {
            self.entries.drain(indices);
        }
    }

    /// Index of the first entry at or above `address`, after splitting the one that straddles it.
    fn split_at(&mut self, address: u64) -> Result<usize> {
        let index = self.lower_bound(address);
        match self.entries.get_mut(index) {
            Some(entry) if entry.start < address => {
                let upper = entry.split_off(address)?;
                self.entries.insert(index + 1, upper);
                Ok(index + 1)
            }
            _ => Ok(index),
        }
    }

    /// Joins entries `indices` (and the ones around) where they continue each other.
    pub fn join(&mut self, indices: Range<usize>) {
        for index in (indices.start..=indices.end).rev() {
            self.join_at(index);
        }
    }

    fn join_at(&mut self, index: usize) {
        if index == 0 || index >= self.entries.len() {
            return;
        }
        let (lower, upper) = self.entries.split_at_mut(index);
        if lower[index - 1].joins(&upper[0]) {
            lower[index - 1].end = upper[0].end;
            self.entries.remove(index);
        }
    }

    /// Moves the start of a stack down to `address`.
    pub fn grow_down(&mut self, index: usize, address: u64) {
        let entry = &mut self.entries[index];
        self.mapped += entry.start - address;
        entry.start = address;
    }

    /// Room for `more` entries, so that what follows cannot fail.
    fn make_room(&mut self, more: usize) -> Result<()> {
        if self.entries.len() + more > ENTRIES_MAX {
            return Err(Error::NoMemory);
        }
        self.entries.try_reserve(more).map_err(|_| Error::NoMemory)
    }

    #[inline]
    fn lower_cursors(&mut self, freed: u64) {
        let zone = if freed < SYSTEM_MMAP_BASE {
            Zone::Program
        } else {
            Zone::System
        };
        let cursor = &mut self.cursors[zone as usize];
        *cursor = freed.max(zone.range().start).min(*cursor);
    }

    /// The map of a child: `inherited` makes its entries from this map's.
    pub fn fork(&self, inherited: impl Fn(&VmEntry) -> Result<Option<VmEntry>>) -> Result<VmMap> {
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(self.entries.len() + 4)
            .map_err(|_| Error::NoMemory)?;
        for entry in &self.entries {
            entries.extend(inherited(entry)?);
        }
        let mapped = entries.iter().map(VmEntry::length).sum();
        Ok(VmMap {
            entries,
            hint: Cell::new(0),
            cursors: [MMAP_BASE, SYSTEM_MMAP_BASE],
            mapped,
            peak: 0,
        })
    }
}

/// Checks a page-aligned range of addresses that mappings may use.
pub fn check_range(address: u64, length: u64) -> Result<Range<u64>> {
    use ferrix_abi::layout::PAGE_SIZE;
    if !(address | length).is_multiple_of(PAGE_SIZE) || length == 0 {
        return Err(Error::Invalid);
    }
    match address.checked_add(length) {
        Some(end) if address >= USER_BASE && end <= MAP_TOP => Ok(address..end),
        _ => Err(Error::Invalid),
    }
}

#[cfg(test)]
mod tests;
