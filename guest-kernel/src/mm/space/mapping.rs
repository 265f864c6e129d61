//! Map, unmap, protect, query, discard, inherit.

use alloc::sync::Arc;
use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot, Region};

use super::{Access, AddressSpace, Bound, Inner};
use crate::mm::entry::{Inherit, Kind, VmEntry};
use crate::mm::frame::page;
use crate::mm::gather::Gather;
use crate::mm::map::{Zone, check_range};
use crate::mm::object::{Home, Mapped, VmObject};
use crate::mm::phys::{Frame, PhysAddr};
use crate::mm::pmap::{Extent, Pte, Visitor, region};

/// Pages that are unmapped in one section of an address space's lock, about. (Tests have few pages.)
const AT_ONCE: u32 = if cfg!(test) { 2 } else { 48 };
/// Pages that are touched ahead in one.
const POPULATED_AT_ONCE: u64 = 8;

/// Whether the tables at the edges of a range are not shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edges {
    Unknown,
    Own,
}

/// What to map (`VmMap`).
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where; see `flags`.
    pub address: u64,
    /// Bytes; rounded up to pages.
    pub length: u64,
    /// Access.
    pub prot: Prot,
    /// Access that `protect` may allow later: what the object's handle permits.
    pub max: Prot,
    /// How.
    pub flags: MapFlags,
    /// What it shows; none: fresh anonymous memory.
    pub object: Option<Arc<VmObject>>,
    /// Offset in the object, in bytes: a multiple of the page size.
    pub offset: u64,
}

impl MapRequest {
    /// Checks what does not depend on the address space.
    fn entry(mut self, home: &Home) -> Result<VmEntry> {
        if self.length == 0 || !self.offset.is_multiple_of(PAGE_SIZE) {
            return Err(Error::Invalid);
        }
        let length = self
            .length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Error::NoMemory)?;
        let private = self.flags.contains(MapFlags::PRIVATE);
        let shared_by_fork = self.flags.contains(MapFlags::INHERIT_SHARE);
        let kind = match &self.object {
            Some(object) if private && (object.is_physical() || shared_by_fork) => {
                return Err(Error::Invalid);
            }
            None if private && !shared_by_fork => Kind::Private,
            Some(_) if private => Kind::Private,
            _ => Kind::Shared,
        };
        if kind == Kind::Shared && self.prot.contains(Prot::WRITE | Prot::EXEC) {
            return Err(Error::AccessDenied);
        }
        if kind == Kind::Shared && self.object.is_none() {
            self.object = Some(VmObject::anonymous(length)?);
            self.offset = 0;
        }
        let max = if kind == Kind::Private {
            Prot::all()
        } else {
            self.max
        };
        if !max.contains(self.prot) {
            return Err(Error::AccessDenied);
        }
        self.offset.checked_add(length).ok_or(Error::Invalid)?;
        let nothing = self.flags.contains(MapFlags::INHERIT_NONE);
        Ok(VmEntry {
            start: self.address,
            end: self.address.checked_add(length).ok_or(Error::NoMemory)?,
            offset: if self.object.is_some() {
                self.offset
            } else {
                0
            },
            object: self
                .object
                .map(|object| Mapped::new(object, home))
                .transpose()?,
            prot: self.prot,
            max,
            kind,
            inherit: if nothing {
                Inherit::Nothing
            } else {
                Inherit::ByKind
            },
            flags: self.flags & (MapFlags::GROWS_DOWN | MapFlags::UNCACHED | MapFlags::LOCKED),
        })
    }
}

impl AddressSpace {
    /// Maps memory; returns its address.
    pub fn map(&self, request: MapRequest) -> Result<u64> {
        let flags = request.flags;
        let mut entry = request.entry(&self.home)?;
        let mut inner = self.lock();
        inner.check_new(&entry, flags)?;
        if flags.contains(MapFlags::LOCKED) {
            let pages = inner.locked_pages() + entry.length() / PAGE_SIZE;
            inner.limits.check(Bound::Locked, pages)?;
        }
        let range = inner.place(&entry, flags, self.root)?;
        (entry.start, entry.end) = (range.start, range.end);
        let access = entry.prot.contains(Prot::WRITE);
        inner.map.insert(entry)?;
        if flags.intersects(MapFlags::POPULATE | MapFlags::LOCKED) {
            drop(inner);
            let access = if access { Access::Write } else { Access::Read };
            self.populate(&range, access);
        }
        Ok(range.start)
    }

    /// Touches the pages of a range. Best effort, as on Linux: what is missing comes with the faults.
    #[inline(never)]
    fn populate(&self, range: &Range<u64>, access: Access) {
        let mut address = range.start;
        while address < range.end {
            let mut inner = self.lock();
            let end = range.end.min(address + POPULATED_AT_ONCE * PAGE_SIZE);
            while address < end {
                let missing = inner.pmap.get(address).is_empty();
                if missing && inner.fault_owning(self.root, address, access).is_err() {
                    return;
                }
                address += PAGE_SIZE;
            }
        }
    }

    /// Unmaps a range, some pages at a time; holes are no error.
    pub fn unmap(&self, address: u64, length: u64) -> Result<()> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Error::Invalid)?;
        let mut range = check_range(address, length)?;
        let mut edges = Edges::Unknown;
        loop {
            let mut inner = self.lock();
            if edges == Edges::Unknown && inner.has_shared_edge(&range) {
                drop(inner);
                self.own_edges(&range)?;
                edges = Edges::Own;
                continue;
            }
            let end = inner.pmap.some_pages(&range, AT_ONCE);
            inner.unmap(&(range.start..end), self.root)?;
            if end == range.end {
                return Ok(());
            }
            range.start = end;
        }
    }

    /// Makes the tables that show more than the range this address space's own.
    #[cold]
    fn own_edges(&self, range: &Range<u64>) -> Result<()> {
        for edge in [range.start, range.end] {
            if region(edge).start != edge {
                self.lock_owning(edge)?;
            }
        }
        Ok(())
    }

    /// Changes the access to a range; `NoMemory` where nothing is mapped.
    pub fn protect(&self, address: u64, length: u64, prot: Prot) -> Result<()> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Error::Invalid)?;
        let range = check_range(address, length)?;
        let mut inner = self.lock();
        inner.check_protect(&range, prot)?;
        inner.check_access(&range, prot)?;
        inner.pmap.own(&range, Extent::All)?;
        let indices = inner.map.isolate(&range)?;
        let mut gather = Gather::new(self.root);
        let Inner { map, pmap, .. } = &mut *inner;
        for entry in map.entries_mut(indices.clone()) {
            entry.prot = prot;
            let (kind, tracks) = (entry.kind, entry.tracks_writes());
            pmap.walk(
                entry.start..entry.end,
                &mut Protect {
                    prot,
                    kind,
                    tracks,
                    gather: &mut gather,
                },
            );
        }
        map.join(indices);
        Ok(())
    }

    /// The first mapping that ends above `address`; `NotFound` beyond the last.
    pub fn query(&self, address: u64) -> Result<Region> {
        let inner = self.lock();
        let entry = inner.map.entries().get(inner.map.lower_bound(address));
        entry.map(VmEntry::region).ok_or(Error::NotFound)
    }

    /// Says what a child gets of a range; `NoMemory` where nothing is mapped.
    pub fn inherit(&self, address: u64, length: u64, inherit: Inherit) -> Result<()> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Error::Invalid)?;
        let range = check_range(address, length)?;
        let mut inner = self.lock();
        inner.map.check_covered(&range)?;
        let indices = inner.map.isolate(&range)?;
        for entry in inner.map.entries_mut(indices.clone()) {
            entry.inherit = inherit;
        }
        inner.map.join(indices);
        Ok(())
    }

    /// Drops the pages of private memory: anonymous ones read as zero again, an object's show the
    /// object again. Other mappings are left alone.
    pub fn discard(&self, address: u64, length: u64) -> Result<()> {
        let length = length
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(Error::Invalid)?;
        let range = check_range(address, length)?;
        let mut inner = self.lock();
        let Inner { map, pmap, .. } = &mut *inner;
        let mut gather = Gather::new(self.root);
        let first = map.lower_bound(range.start);
        for entry in map.entries()[first..]
            .iter()
            .take_while(|entry| entry.start < range.end)
        {
            if entry.kind == Kind::Private {
                let part = entry.start.max(range.start)..entry.end.min(range.end);
                pmap.own(&part, Extent::Partial)?;
                pmap.walk(part, &mut gather);
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Whether a table that shows more than the range is one that others may use too.
    #[inline]
    fn has_shared_edge(&mut self, range: &Range<u64>) -> bool {
        self.pmap.may_share()
            && [range.start, range.end]
                .into_iter()
                .any(|edge| region(edge).start != edge && !self.pmap.is_own(edge))
    }

    /// Decides where an entry goes, and makes room if it replaces others.
    fn place(&mut self, entry: &VmEntry, flags: MapFlags, root: PhysAddr) -> Result<Range<u64>> {
        let length = entry.length();
        let wanted = || check_range(entry.start, length);
        if flags.contains(MapFlags::NO_REPLACE) {
            let range = wanted()?;
            return if self.map.is_free(&range) {
                Ok(range)
            } else {
                Err(Error::Exists)
            };
        }
        if flags.contains(MapFlags::FIXED) {
            let range = wanted()?;
            self.unmap(&range, root)?;
            return Ok(range);
        }
        if flags.contains(MapFlags::HINT)
            && let Ok(range) = wanted()
            && self.map.is_free(&range)
        {
            return Ok(range);
        }
        let zone = if flags.contains(MapFlags::SYSTEM) {
            Zone::System
        } else {
            Zone::Program
        };
        let start = self.map.find_gap(zone, length)?;
        Ok(start..start + length)
    }

    /// Unmaps; the objects of the entries go after the translations.
    pub(super) fn unmap(&mut self, range: &Range<u64>, root: PhysAddr) -> Result<()> {
        self.pmap.own(range, Extent::Partial)?;
        if let Some(indices) = self.map.cut(range)? {
            self.pmap.walk(range.clone(), &mut Gather::new(root));
            self.map.delete(indices);
        }
        Ok(())
    }

    /// Whether all of the range is mapped and may get `prot`.
    fn check_protect(&self, range: &Range<u64>, prot: Prot) -> Result<()> {
        let mut covered = range.start;
        for entry in &self.map.entries()[self.map.lower_bound(range.start)..] {
            if covered >= range.end || entry.start > covered {
                break;
            }
            let executable_shared =
                entry.kind != Kind::Private && prot.contains(Prot::WRITE | Prot::EXEC);
            if !entry.max.contains(prot) || executable_shared {
                return Err(Error::AccessDenied);
            }
            covered = entry.end;
        }
        if covered < range.end {
            Err(Error::NoMemory)
        } else {
            Ok(())
        }
    }
}

/// Changes the access of entries.
struct Protect<'a> {
    prot: Prot,
    kind: Kind,
    /// Only entries that are writable already may be.
    tracks: bool,
    gather: &'a mut Gather,
}

impl Visitor for Protect<'_> {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        let owned = pte.has(Pte::OWNED);
        let new = match self.kind {
            Kind::Private if !owned => pte.protected(self.prot - Prot::WRITE),
            Kind::Private if page(pte.frame()).refs() > 1 => pte.protected(self.prot - Prot::WRITE),
            _ if self.tracks && !pte.has(Pte::WRITE) => pte.protected(self.prot - Prot::WRITE),
            _ => pte.protected(self.prot),
        };
        let new = if self.prot.is_empty() && !owned {
            Pte::EMPTY
        } else {
            new
        };
        if pte.has(Pte::PRESENT) && new != pte {
            self.gather.stale(address);
        }
        new
    }

    fn table(&mut self, table: Frame) {
        self.gather.table(table);
    }
}
