//! The child's copy of an address space.
//!
//! Mappings are copied as they are; page-table entries are copied where pages are present, so that
//! the child need not fault on each. Owned pages become read-only on both sides and get one
//! more owner. Tables full of anonymous pages are shared instead, until one side changes something (see
//! [`share`](crate::mm::share)). Writable shared pages are left to the child's faults.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};

use super::{AddressSpace, Inner};
use crate::mm::entry::{Inherit, Kind, VmEntry};
use crate::mm::frame;
use crate::mm::map::VmMap;
use crate::mm::object::{Home, VmObject};
use crate::mm::phys::Frame;
use crate::mm::pmap::{Pmap, Pte, Visitor, is_dense, region};
use crate::mm::tlb::{self, Flush};

impl AddressSpace {
    /// A copy-on-write copy, without UTCBs.
    pub fn fork(&self) -> Result<Arc<AddressSpace>> {
        frame::ensure_reserve()?;
        let mut inner = self.lock();
        let child = Self::with_tables(Pmap::new()?, inner.limits.inherited());
        // Nobody else knows the child.
        let mut copy = child.inner.lock_inner();
        copy.map = inner.map.fork(|entry| inherit(entry, &child.home))?;
        let protected = copy.copy_pages(&mut inner);
        drop(copy);
        if protected != Ok(Protected::Nothing) {
            tlb::flush(self.root, Flush::Pages(0, u64::MAX));
        }
        drop(inner);
        protected?;
        Ok(child)
    }
}

/// The child's entry for one of the parent's. Locks are not inherited.
fn inherit(entry: &VmEntry, child: &Home) -> Result<Option<VmEntry>> {
    if entry.inherit == Inherit::Nothing {
        return Ok(None);
    }
    let lent = entry.kind == Kind::Lent;
    let shown = entry.object.as_ref().filter(|_| !lent);
    let object = shown.map(|object| object.for_space(child)).transpose()?;
    Ok(Some(VmEntry {
        object,
        offset: if lent { 0 } else { entry.offset },
        max: if lent { Prot::all() } else { entry.max },
        kind: if lent { Kind::Private } else { entry.kind },
        flags: entry.flags - MapFlags::LOCKED,
        ..*entry
    }))
}

/// Whether entries of the parent lost the write bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protected {
    Nothing,
    Something,
}

impl Inner {
    /// Copies the parent's page-table entries into this new address space.
    fn copy_pages(&mut self, parent: &mut Inner) -> Result<Protected> {
        let Inner { map, pmap, .. } = parent;
        let mut copy = Copy {
            map,
            child: &mut self.pmap,
            result: Ok(()),
            protected: Protected::Nothing,
        };
        for entry in map
            .entries()
            .iter()
            .filter(|entry| entry.inherit != Inherit::Nothing)
        {
            match (entry.kind, &entry.object) {
                (Kind::Lent, Some(object)) => copy.result = copy_lent(copy.child, entry, object),
                (Kind::Shared, _) if entry.prot.contains(Prot::WRITE) => {}
                _ => pmap.walk(entry.start..entry.end, &mut copy),
            }
            if copy.result.is_err() {
                break;
            }
        }
        let (result, protected) = (copy.result, copy.protected);
        if self.pmap.may_share() {
            pmap.begin_sharing();
        }
        result.map(|()| protected)
    }
}

/// Copies entries into the child and write-protects owned pages.
struct Copy<'a> {
    /// The parent's mappings.
    map: &'a VmMap,
    child: &'a mut Pmap,
    result: Result<()>,
    protected: Protected,
}

impl Visitor for Copy<'_> {
    fn entry(&mut self, _: u64, pte: Pte) -> Pte {
        pte
    }

    fn table(&mut self, _: Frame) {}

    fn pages(&mut self, table: Frame, range: Range<u64>) -> u64 {
        match self.child.copy_pages(table, &range) {
            Ok(0) => {}
            Ok(_) => self.protected = Protected::Something,
            Err(error) => self.result = Err(error),
        }
        0
    }

    fn wants_whole(&self, table: Frame) -> bool {
        is_dense(table)
    }

    fn whole(&mut self, entry: &AtomicU64, address: u64, _: &Range<u64>) -> Option<u64> {
        let table = Pte(entry.load(Relaxed)).frame();
        if !is_dense(table) || !self.is_all_copied(&region(address)) {
            return None;
        }
        match self.child.share(entry, address) {
            Ok(()) => self.protected = Protected::Something,
            Err(error) => self.result = Err(error),
        }
        Some(0)
    }
}

impl Copy<'_> {
    /// Whether all that is mapped in a range is memory that the child gets a copy of, and whose pages nobody takes away
    /// but the two.
    fn is_all_copied(&self, range: &Range<u64>) -> bool {
        let entries = &self.map.entries()[self.map.lower_bound(range.start)..];
        let mut inside = entries.iter().take_while(|entry| entry.start < range.end);
        inside.all(|entry| {
            entry.kind == Kind::Private
                && entry.inherit == Inherit::ByKind
                && !entry.object.as_ref().is_some_and(|shown| shown.is_listed())
        })
    }
}

/// Gives the child its own copies of pages that the parent shares with others by a message.
fn copy_lent(child: &mut Pmap, entry: &VmEntry, object: &VmObject) -> Result<()> {
    let mut result = Ok(());
    let pages = entry.length() / PAGE_SIZE;
    object.with_resident(entry.index(entry.start), |resident| {
        result = (0..pages)
            .filter_map(|page| Some((page, resident(page)?)))
            .try_for_each(|(page, original)| {
                let copy = frame::alloc(0).ok_or(Error::NoMemory)?;
                copy.copy_from(original);
                let pte = Pte::new(copy, entry.prot).with(Pte::OWNED);
                child
                    .set(entry.start + page * PAGE_SIZE, pte)
                    .inspect_err(|_| frame::free(copy, 0))
            });
    });
    result
}
