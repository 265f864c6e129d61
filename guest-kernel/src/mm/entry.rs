//! One mapping of an address space.

use core::ops::Range;

use ferrix_abi::error::Result;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot, Region};

use super::object::{Mapped, VmObject};

/// What the mapping shows, and what `fork` does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Writes stay in this address space: the pages written belong to the page tables. `fork`
    /// copies on write.
    Private,
    /// The pages are the object's. `fork` shares them.
    Shared,
    /// Once private, now shared with another address space by a message. `fork` copies at once.
    Lent,
}

/// What a child gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit {
    /// What [`Kind`] says.
    ByKind,
    /// Nothing.
    Nothing,
}

/// A mapping: addresses `start..end`, page-aligned.
#[derive(Debug)]
pub struct VmEntry {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// What it shows; nothing: private anonymous memory.
    pub object: Option<Mapped>,
    /// Offset of `start` in the object, in bytes.
    pub offset: u64,
    /// Access allowed now.
    pub prot: Prot,
    /// Access that `protect` may allow.
    pub max: Prot,
    /// Private or shared.
    pub kind: Kind,
    /// What a child gets.
    pub inherit: Inherit,
    /// `GROWS_DOWN`, `UNCACHED` and `LOCKED`.
    pub flags: MapFlags,
}

impl VmEntry {
    /// One more entry like this, of the same address space.
    pub fn copy(&self) -> Result<VmEntry> {
        let object = self.object.as_ref().map(Mapped::another).transpose()?;
        Ok(VmEntry { object, ..*self })
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.end - self.start
    }

    /// Whether fresh private memory with `prot` could continue it.
    #[inline(always)]
    pub fn is_plain(&self, prot: Prot) -> bool {
        self.object.is_none()
            && self.prot == prot
            && self.max == Prot::all()
            && self.kind == Kind::Private
            && self.inherit == Inherit::ByKind
            && (self.flags - MapFlags::GROWS_DOWN).is_empty()
    }

    /// Index of the object's page at `address`.
    pub fn index(&self, address: u64) -> u64 {
        (self.offset + (address - self.start)) / PAGE_SIZE
    }

    /// Whether writes to its pages must be noted in the object: its entries are writable only for
    /// pages noted so.
    #[inline]
    pub fn tracks_writes(&self) -> bool {
        match &self.object {
            Some(object) => self.kind != Kind::Private && object.tracks_writes(),
            None => false,
        }
    }

    /// The addresses at which it shows pages of `range` of an object.
    pub fn showing(&self, object: &VmObject, range: &Range<u64>) -> Option<Range<u64>> {
        let shown = self.object.as_ref().filter(|shown| shown.is_same(object))?;
        debug_assert!(shown.is_listed());
        let first = self.offset / PAGE_SIZE;
        let last = first + self.length() / PAGE_SIZE;
        let (from, to) = (range.start.max(first), range.end.min(last));
        let address = |page: u64| self.start + (page - first) * PAGE_SIZE;
        (from < to).then(|| address(from)..address(to))
    }

    /// Splits off what lies from `at` on.
    pub fn split_off(&mut self, at: u64) -> Result<VmEntry> {
        debug_assert!(self.start < at && at < self.end);
        let mut upper = self.copy()?;
        upper.offset += if self.object.is_some() {
            at - self.start
        } else {
            0
        };
        upper.start = at;
        // Only the lowest part of a stack grows.
        upper.flags.remove(MapFlags::GROWS_DOWN);
        self.end = at;
        Ok(upper)
    }

    /// Whether `next` continues this mapping, so that both can be one.
    pub fn joins(&self, next: &VmEntry) -> bool {
        let continues = match (&self.object, &next.object) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is_same(b) && self.offset + self.length() == next.offset,
            _ => false,
        };
        self.end == next.start
            && continues
            && self.prot == next.prot
            && self.max == next.max
            && self.kind == next.kind
            && self.inherit == next.inherit
            && self.flags - MapFlags::GROWS_DOWN == next.flags
    }

    /// As `VmQuery` reports it.
    pub fn region(&self) -> Region {
        let mut flags = self.flags;
        flags.set(MapFlags::PRIVATE, self.kind != Kind::Shared);
        flags.set(MapFlags::INHERIT_NONE, self.inherit == Inherit::Nothing);
        Region {
            start: self.start,
            end: self.end,
            offset: self.offset,
            object: self.object.as_ref().map_or(0, |object| object.id()),
            prot: self.prot.bits(),
            flags: flags.bits(),
        }
    }
}
