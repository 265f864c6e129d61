//! Page ranges in messages: shared, moved, or copied on write; all of them or none.
//!
//! A transfer has two halves, each under one address space's lock: [`prepare`](Inner::prepare)
//! turns a range of the sender into pieces that hold what they need (objects, page references),
//! and [`AddressSpace::receive`] maps them. What the pieces hold is released if the second half fails.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use arrayvec::ArrayVec;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::ipc::{MAPS_MAX, MapItem, MapMode};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};

use super::{AddressSpace, Inner};
use crate::mm::entry::{Inherit, Kind, VmEntry};
use crate::mm::frame::{self, page};
use crate::mm::gather::Gather;
use crate::mm::map::{Zone, check_range};
use crate::mm::object::{Home, Mapped, VmObject};
use crate::mm::phys::{Frame, PhysAddr};
use crate::mm::pmap::{Extent, Pmap, Pte, Visitor};

/// One mapping on its way: addresses are relative to the range's start.
#[derive(Debug)]
struct Piece {
    entry: VmEntry,
    pages: Owned,
}

/// Owned pages, by offset in their mapping, with the reference that the receiver's entry will hold.
#[derive(Debug, Default)]
struct Owned(Vec<(u64, Frame)>);

/// Part of an object that the sender shares already, so that nothing changes on its side.
#[derive(Debug)]
struct Shown {
    object: Arc<VmObject>,
    offset: u64,
    prot: Prot,
    flags: MapFlags,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0
            .drain(..)
            .for_each(|(_, frame)| frame::release(frame));
    }
}

impl AddressSpace {
    /// Maps ranges of this address space into `target`; returns their addresses there.
    ///
    /// `Invalid` for a malformed item or a copy of device registers, `Fault` where nothing is mapped or a
    /// pager has yet to supply what is to be shared, `AccessDenied` for memory that the sender may
    /// not use so, `NoMemory`. On error nothing has changed hands.
    pub fn share_ranges(
        &self,
        target: &AddressSpace,
        items: &[MapItem],
    ) -> Result<ArrayVec<u64, MAPS_MAX>> {
        let mut addresses = ArrayVec::new();
        if items.len() > MAPS_MAX {
            return Err(Error::TooBig);
        }
        self.check_items(items)?;
        for item in items {
            match self.share_one(target, item) {
                Ok(address) => addresses.push(address),
                Err(error) => {
                    for (address, done) in addresses.iter().zip(items) {
                        let _ = target.unmap(*address, done.length);
                    }
                    return Err(error);
                }
            }
        }
        for item in items {
            self.give_up_moved(item)?;
        }
        Ok(addresses)
    }

    /// The same for one range.
    pub fn share_range(&self, target: &AddressSpace, item: &MapItem) -> Result<u64> {
        let address = self.share_one(target, item)?;
        self.give_up_moved(item).inspect_err(|_| {
            let _ = target.unmap(address, item.length);
        })?;
        Ok(address)
    }

    /// Takes away what the receiver has now instead.
    fn give_up_moved(&self, item: &MapItem) -> Result<()> {
        match MapMode(item.mode) {
            MapMode::MOVE => self.unmap(item.address, item.length),
            _ => Ok(()),
        }
    }

    /// Checks all ranges before the first is touched: sharing turns private memory into an object.
    #[cold]
    fn check_items(&self, items: &[MapItem]) -> Result<()> {
        let mut inner = self.lock();
        items.iter().try_for_each(|item| {
            let (range, mode) = decode(item)?;
            inner.check_transfer(&range, mode)
        })
    }

    /// Transfers one range, but leaves the sender's mapping in place.
    fn share_one(&self, target: &AddressSpace, item: &MapItem) -> Result<u64> {
        let (range, mode) = decode(item)?;
        let shown = self.lock().shown(&range, mode);
        if let Some(shown) = shown {
            return target.show(shown, item.length);
        }
        self.lend_range(target, &range, mode)
    }

    /// A range of which something changes on this side, too.
    #[inline(never)]
    fn lend_range(&self, target: &AddressSpace, range: &Range<u64>, mode: MapMode) -> Result<u64> {
        let pieces = self.lock().prepare(range, mode, self.root, &self.home)?;
        target.receive(pieces, range.end - range.start)
    }

    /// Maps a part of an object at an address that it picks in the system zone.
    fn show(&self, shown: Shown, length: u64) -> Result<u64> {
        let mut inner = self.lock();
        let start = inner.map.find_gap(Zone::System, length)?;
        inner.map.insert(VmEntry {
            start,
            end: start + length,
            object: Some(Mapped::new(shown.object, &self.home)?),
            offset: shown.offset,
            prot: shown.prot,
            max: shown.prot,
            kind: Kind::Shared,
            inherit: Inherit::ByKind,
            flags: shown.flags,
        })?;
        Ok(start)
    }

    /// Maps pieces one after the other at an address that it picks in the system zone.
    fn receive(&self, pieces: Vec<Piece>, length: u64) -> Result<u64> {
        let mut inner = self.lock();
        let start = inner.map.find_gap(Zone::System, length)?;
        for piece in pieces {
            if let Err(error) = inner.add_piece(piece, start, &self.home) {
                inner.unmap(&(start..start + length), self.root)?;
                return Err(error);
            }
        }
        Ok(start)
    }
}

/// The range and the mode of a well-formed item.
fn decode(item: &MapItem) -> Result<(Range<u64>, MapMode)> {
    let range = check_range(item.address, item.length)?;
    let mode = MapMode(item.mode);
    if mode.0 > MapMode::COPY.0 {
        return Err(Error::Invalid);
    }
    Ok((range, mode))
}

/// What both sides may do with pages that they share; none if they do not.
fn shared_prot(mode: MapMode) -> Option<Prot> {
    match mode {
        MapMode::SHARE_READ => Some(Prot::READ),
        MapMode::SHARE_WRITE => Some(Prot::READ | Prot::WRITE),
        _ => None,
    }
}

impl Inner {
    /// What is to be shared, if it lies in one mapping that is shared already. Not for an object that lists who maps
    /// it: that list must not lose its only user meanwhile.
    fn shown(&self, range: &Range<u64>, mode: MapMode) -> Option<Shown> {
        let prot = shared_prot(mode)?;
        let index = self.map.lower_bound(range.start);
        let entry = self.map.entries().get(index)?;
        let covers = entry.start <= range.start && range.end <= entry.end;
        if !covers || entry.kind == Kind::Private || !entry.prot.contains(prot) {
            return None;
        }
        let object = entry.object.as_ref()?.object();
        (!object.is_listed()).then(|| Shown {
            object: Arc::clone(object),
            offset: entry.offset + (range.start - entry.start),
            prot,
            flags: entry.flags & MapFlags::UNCACHED,
        })
    }

    fn add_piece(&mut self, mut piece: Piece, start: u64, home: &Home) -> Result<()> {
        let mut entry = piece.entry;
        let object = entry.object.map(|object| object.for_space(home));
        entry.object = object.transpose()?;
        let prot = entry.prot;
        entry.start += start;
        entry.end += start;
        let base = entry.start;
        self.map.insert(entry)?;
        while let Some((offset, frame)) = piece.pages.0.pop() {
            let pte = Pte::new(frame, prot - Prot::WRITE).with(Pte::OWNED);
            self.pmap
                .set(base + offset, pte)
                .inspect_err(|_| frame::release(frame))?;
        }
        Ok(())
    }

    /// Makes the pieces of a range, for the receiver.
    fn prepare(
        &mut self,
        range: &Range<u64>,
        mode: MapMode,
        root: PhysAddr,
        home: &Home,
    ) -> Result<Vec<Piece>> {
        let sharing = shared_prot(mode).is_some();
        self.check_transfer(range, mode)?;
        let indices = self.map.isolate(range)?;
        let mut pieces = Vec::new();
        pieces
            .try_reserve_exact(indices.len())
            .map_err(|_| Error::NoMemory)?;
        for index in indices {
            if sharing {
                self.lend(index, root, home)?;
            }
            let pages = if sharing {
                Owned::default()
            } else {
                self.owned_pages(index, root)?
            };
            let entry = piece_entry(&self.map.entries()[index], range.start, mode)?;
            pieces.push(Piece { entry, pages });
        }
        Ok(pieces)
    }

    fn check_transfer(&mut self, range: &Range<u64>, mode: MapMode) -> Result<()> {
        let needed = if mode == MapMode::SHARE_WRITE {
            Prot::WRITE
        } else {
            Prot::READ
        };
        let mut covered = range.start;
        let first = self.map.lower_bound(range.start);
        for entry in &self.map.entries()[first..] {
            if covered >= range.end || entry.start > covered {
                break;
            }
            if !entry.prot.contains(needed) {
                return Err(Error::AccessDenied);
            }
            let end = entry.end.min(range.end);
            match &entry.object {
                Some(object) if mode == MapMode::COPY && object.is_physical() => {
                    return Err(Error::Invalid);
                }
                // What a pager has not supplied cannot be copied now: the sender touches it first.
                Some(_)
                    if shared_prot(mode).is_some()
                        && !is_present(entry, covered..end, &mut self.pmap) =>
                {
                    return Err(Error::Fault);
                }
                _ => covered = end,
            }
        }
        if covered < range.end {
            Err(Error::Fault)
        } else {
            Ok(())
        }
    }

    /// References to the owned pages of an entry, which become copy-on-write.
    fn owned_pages(&mut self, index: usize, root: PhysAddr) -> Result<Owned> {
        let entry = &self.map.entries()[index];
        self.pmap.own(&(entry.start..entry.end), Extent::All)?;
        let mut collect = Collect {
            base: entry.start,
            pages: Owned::default(),
            failed: None,
            gather: Gather::new(root),
        };
        if entry.kind == Kind::Private {
            self.pmap.walk(entry.start..entry.end, &mut collect);
        }
        collect.failed.map_or(Ok(collect.pages), Err)
    }

    /// Turns a private mapping into one of an object that others can map too.
    fn lend(&mut self, index: usize, root: PhysAddr, home: &Home) -> Result<()> {
        let entry = &self.map.entries()[index];
        if entry.kind != Kind::Private {
            return Ok(());
        }
        let object = VmObject::anonymous(entry.length())?;
        if let Some(original) = &entry.object {
            copy_object(original, entry, &object)?;
        }
        let range = entry.start..entry.end;
        let pages = self.owned_pages(index, root)?;
        for &(offset, frame) in &pages.0 {
            // One owner is the entry, one is this list: with a third the page is copy-on-write.
            let kept = if page(frame).refs() > 2 {
                let copy = frame::alloc(0).ok_or(Error::NoMemory)?;
                copy.copy_from(frame);
                copy
            } else {
                page(frame).retain();
                frame
            };
            object
                .install(offset / PAGE_SIZE, kept)
                .inspect_err(|_| frame::release(kept))?;
        }
        // The entries go; the next touch shows the object's pages.
        self.pmap.walk(range, &mut Gather::new(root));
        let lent = Mapped::new(object, home)?;
        let entry = &mut self.map.entries_mut(index..index + 1)[0];
        (entry.object, entry.offset, entry.kind) = (Some(lent), 0, Kind::Lent);
        Ok(())
    }
}

/// Whether no page of a range of a private mapping waits for its object's pager.
fn is_present(entry: &VmEntry, range: Range<u64>, pmap: &mut Pmap) -> bool {
    let paged = |shown: &&Mapped| entry.kind == Kind::Private && shown.pager().is_some();
    let Some(object) = entry.object.as_ref().filter(paged) else {
        return true;
    };
    range
        .step_by(PAGE_SIZE as usize)
        .all(|address| !pmap.get(address).is_empty() || object.has(entry.index(address)))
}

/// Copies the pages that are present in a private mapping's object into a new one.
fn copy_object(original: &VmObject, entry: &VmEntry, object: &Arc<VmObject>) -> Result<()> {
    let mut result = Ok(());
    original.with_resident(entry.index(entry.start), |resident| {
        result = (0..object.pages())
            .filter_map(|page| Some((page, resident(page)?)))
            .try_for_each(|(page, source)| {
                let copy = frame::alloc(0).ok_or(Error::NoMemory)?;
                copy.copy_from(source);
                object
                    .install(page, copy)
                    .inspect_err(|_| frame::free(copy, 0))
            });
    });
    result
}

/// The receiver's mapping, relative to the start of the range.
fn piece_entry(entry: &VmEntry, base: u64, mode: MapMode) -> Result<VmEntry> {
    let prot = shared_prot(mode).unwrap_or(entry.prot - Prot::EXEC);
    let kind = match (mode, entry.kind) {
        (MapMode::COPY, _) | (_, Kind::Private) => Kind::Private,
        _ => Kind::Shared,
    };
    let object = entry.object.as_ref().map(Mapped::another).transpose()?;
    Ok(VmEntry {
        start: entry.start - base,
        end: entry.end - base,
        object,
        offset: entry.offset,
        prot,
        max: if kind == Kind::Private {
            Prot::all()
        } else {
            prot
        },
        kind,
        inherit: Inherit::ByKind,
        flags: entry.flags & MapFlags::UNCACHED,
    })
}

/// Collects owned pages with a reference each, and write-protects them.
struct Collect {
    base: u64,
    pages: Owned,
    failed: Option<Error>,
    gather: Gather,
}

impl Visitor for Collect {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        if !pte.has(Pte::OWNED) || self.failed.is_some() {
            return pte;
        }
        if self.pages.0.try_reserve(1).is_err() {
            self.failed = Some(Error::NoMemory);
            return pte;
        }
        page(pte.frame()).retain();
        self.pages.0.push((address - self.base, pte.frame()));
        if pte.has(Pte::WRITE) {
            self.gather.stale(address);
        }
        pte.without(Pte::WRITE)
    }

    fn table(&mut self, table: Frame) {
        self.gather.table(table);
    }
}
