//! Page faults: demand zero, copy on write, an object's pages, stack growth.

use alloc::sync::Arc;

use ferrix_abi::error::Error;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};

use super::limits::Sizes;
use super::{AddressSpace, Bound, Inner};
use crate::mm::entry::{Kind, VmEntry};
use crate::mm::frame::{self, page};
use crate::mm::object::{Missing, VmObject};
use crate::mm::phys::{Frame, PhysAddr};
use crate::mm::pmap::{Pmap, Progress, Pte};
use crate::mm::tlb::{self, Flush};
use crate::sync::SpinLockGuard;

/// What a growing stack leaves free below itself.
const STACK_GAP: u64 = 16 * PAGE_SIZE;
/// Pages that one fault on an object maps at most, an aligned window.
const WINDOW: u64 = 16 * PAGE_SIZE;

// Memory that is touched page by page gets the next pages along with the one touched, as long as
// that costs no zeroing.

/// Pages that a fault behind a page in use makes present.
const AHEAD: u64 = 4;
/// So many pages in use are a long run, behind which a fault makes more present.
const LONG_RUN: u64 = 8;
/// How many.
const FAR_AHEAD: u64 = 16;

/// What the program (or the kernel for it) tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Access {
    /// To read.
    Read = Prot::all().bits(),
    /// To write.
    Write = Prot::WRITE.bits(),
    /// To execute.
    Execute = Prot::EXEC.bits(),
}

impl Access {
    /// Whether a mapping with this protection allows it. The processor cannot keep what it may execute or write from
    /// being read.
    #[inline]
    pub(super) fn is_allowed(self, prot: Prot) -> bool {
        prot.bits() & self as u32 != 0
    }
}

/// Why a fault cannot be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there (`SEGV_MAPERR`).
    Unmapped,
    /// The mapping does not allow it (`SEGV_ACCERR`).
    Protection,
    /// Beyond the end of the object, or its pager has no page (`BUS_ADRERR`).
    BeyondObject,
    /// The object's pager has to supply the page first.
    Absent,
    /// The table that shows the page has to be copied first: only seen under the lock.
    Shared,
    /// The process has as many pages as it may have.
    Limit,
    /// No page left.
    NoMemory,
}

impl From<FaultError> for Error {
    fn from(error: FaultError) -> Error {
        match error {
            FaultError::NoMemory | FaultError::Limit => Error::NoMemory,
            _ => Error::Fault,
        }
    }
}

impl From<Missing> for FaultError {
    fn from(missing: Missing) -> FaultError {
        match missing {
            Missing::Beyond => FaultError::BeyondObject,
            Missing::Absent => FaultError::Absent,
            Missing::NoMemory => FaultError::NoMemory,
        }
    }
}

impl From<Error> for FaultError {
    fn from(error: Error) -> FaultError {
        match error {
            Error::NoMemory => FaultError::NoMemory,
            _ => FaultError::BeyondObject,
        }
    }
}

/// A page that a pager has to supply.
#[derive(Clone, Debug)]
pub struct AbsentPage {
    /// Of this object,
    pub object: Arc<VmObject>,
    /// with this index.
    pub index: u64,
    /// So many are absent from there on.
    pub count: u64,
}

impl AddressSpace {
    /// Makes the page at a user address accessible, or says why it cannot be.
    pub fn fault(&self, address: u64, access: Access) -> Result<(), FaultError> {
        let result = self.lock().fault(self.root, address, access);
        match result {
            Err(FaultError::Shared) => self.fault_shared(address, access),
            other => other,
        }
    }

    #[cold]
    fn fault_shared(&self, address: u64, access: Access) -> Result<(), FaultError> {
        self.lock_owning(address)?.fault(self.root, address, access)
    }

    /// Takes the lock; the table for an address is this address space's own then, if there is one. A shared one is
    /// copied a part at a time: in between the lock is free.
    pub(super) fn lock_owning(&self, address: u64) -> Result<SpinLockGuard<'_, Inner>, Error> {
        let mut copy = None;
        loop {
            let mut inner = self.lock();
            match inner.pmap.own_some(address, &mut copy)? {
                Progress::Own if copy.is_none() => {
                    // Others may have left it meanwhile.
                    inner.pmap.own_page(address)?;
                    return Ok(inner);
                }
                Progress::More => {}
                // What is left of the copy takes long to give back: not under the lock.
                Progress::Own | Progress::Stale => {
                    drop(inner);
                    copy = None;
                }
            }
        }
    }

    /// What is to be asked of the pager after [`FaultError::Absent`]: the object, the page, and how many
    /// are absent from there on. Nothing if the fault can be tried again, or fails for another reason.
    #[cold]
    pub fn absent(&self, address: u64) -> Result<Option<AbsentPage>, FaultError> {
        let inner = self.lock();
        let Some(index) = inner.map.find(address) else {
            return Ok(None);
        };
        let entry = &inner.map.entries()[index];
        let Some(object) = entry
            .object
            .as_ref()
            .filter(|shown| shown.pager().is_some())
        else {
            return Ok(None);
        };
        if object.maker() == Some(self.home.id) {
            return Err(FaultError::BeyondObject);
        }
        let index = entry.index(address & !(PAGE_SIZE - 1));
        if object.has(index) {
            return Ok(None);
        }
        Ok(Some(AbsentPage {
            object: object.object().clone(),
            index,
            count: object.absent_run(index),
        }))
    }
}

impl Inner {
    /// As [`AddressSpace::fault`], under its lock.
    pub(super) fn fault(
        &mut self,
        root: PhysAddr,
        address: u64,
        access: Access,
    ) -> Result<(), FaultError> {
        let index = match self.map.find(address) {
            Some(index) => index,
            None => self.grow_stack(address)?,
        };
        let entry = &self.map.entries()[index];
        if !access.is_allowed(entry.prot) {
            return Err(FaultError::Protection);
        }
        let address = address & !(PAGE_SIZE - 1);
        if !self.pmap.is_own(address) {
            return Err(FaultError::Shared);
        }
        let pte = self.pmap.get(address);
        if !pte.is_empty() {
            return change(&mut self.pmap, root, entry, address, pte, access);
        }
        if entry.object.is_some() {
            return show(&mut self.pmap, entry, address, access);
        }
        self.limits.check_resident(self.pmap.resident())?;
        let pte = Pte::new(Frame(0), entry.prot).with(Pte::OWNED);
        let fresh = frame::alloc_zeroed().ok_or(FaultError::NoMemory)?;
        self.pmap
            .set(address, pte.with(fresh.address().0))
            .inspect_err(|_| frame::free_zeroed(fresh))?;
        let end = entry.end;
        self.fill_ahead(address, end, pte);
        Ok(())
    }

    /// As [`fault`](Self::fault), where the lock is not to be released for the table.
    pub(super) fn fault_owning(
        &mut self,
        root: PhysAddr,
        address: u64,
        access: Access,
    ) -> Result<(), FaultError> {
        self.pmap.own_page(address)?;
        self.fault(root, address, access)
    }

    /// Makes the next pages present behind one that was just touched, if it follows others.
    #[inline(never)]
    pub(super) fn fill_ahead(&mut self, address: u64, end: u64, pte: Pte) {
        let ahead = match self.pmap.run_before(address, LONG_RUN) {
            0 => return,
            LONG_RUN => FAR_AHEAD,
            _ => AHEAD,
        };
        self.pmap.fill_run(
            address + PAGE_SIZE..end.min(address + ahead * PAGE_SIZE),
            pte,
        );
    }

    /// Extends the stack above `address`, if there is one that may grow so far.
    #[cold]
    fn grow_stack(&mut self, address: u64) -> Result<usize, FaultError> {
        let start = address & !(PAGE_SIZE - 1);
        let index = self.map.lower_bound(address);
        let entries = self.map.entries();
        let Some(entry) = entries.get(index) else {
            return Err(FaultError::Unmapped);
        };
        let below = if index == 0 {
            0
        } else {
            entries[index - 1].end
        };
        let grows = entry.flags.contains(MapFlags::GROWS_DOWN)
            && start >= below + STACK_GAP
            && start < entry.start;
        if !grows {
            return Err(FaultError::Unmapped);
        }
        let more = Sizes::like(entry, entry.start - start);
        let allowed = self.limits.check(Bound::Stack, entry.end - start);
        if allowed.and_then(|()| self.check_more(more)).is_err() {
            return Err(FaultError::Unmapped);
        }
        self.map.grow_down(index, start);
        Ok(index)
    }
}

/// Resolves a fault on an entry that records a page already: copy on write, or access that
/// `protect` has granted meanwhile (or another thread's fault that came first).
#[inline(never)]
fn change(
    pmap: &mut Pmap,
    root: PhysAddr,
    entry: &VmEntry,
    address: u64,
    pte: Pte,
    access: Access,
) -> Result<(), FaultError> {
    let owned = pte.has(Pte::OWNED);
    let exclusive = match entry.kind {
        Kind::Private => owned && page(pte.frame()).refs() == 1,
        Kind::Shared | Kind::Lent => true,
    };
    if entry.tracks_writes() && !pte.has(Pte::WRITE) {
        let prot = match (access, &entry.object) {
            (Access::Write, Some(object)) => {
                object.mark_dirty(entry.index(address), pte.frame())?;
                entry.prot
            }
            _ => entry.prot - Prot::WRITE,
        };
        return Ok(pmap.set(address, pte.protected(prot))?);
    }
    if exclusive {
        return Ok(pmap.set(address, pte.protected(entry.prot))?);
    }
    if access != Access::Write {
        return Ok(pmap.set(address, pte.protected(entry.prot - Prot::WRITE))?);
    }
    let copy = frame::alloc(0).ok_or(FaultError::NoMemory)?;
    copy.copy_from(pte.frame());
    pmap.set(address, Pte::new(copy, entry.prot).with(Pte::OWNED))?;
    tlb::flush(root, Flush::Pages(address, 1));
    if owned {
        frame::release(pte.frame());
    }
    Ok(())
}

/// Resolves the first fault on a page of an object.
#[inline(never)]
fn show(pmap: &mut Pmap, entry: &VmEntry, address: u64, access: Access) -> Result<(), FaultError> {
    let Some(object) = &entry.object else {
        return Err(FaultError::Unmapped);
    };
    let original = object.page(entry.index(address))?;
    if entry.kind == Kind::Private && access == Access::Write {
        let copy = frame::alloc(0).ok_or(FaultError::NoMemory)?;
        copy.copy_from(original);
        pmap.set(address, Pte::new(copy, entry.prot).with(Pte::OWNED))
            .inspect_err(|_| frame::free(copy, 0))?;
        return Ok(());
    }
    let pte = object_pte(entry);
    let mut shown = pte.with(original.address().0);
    if access == Access::Write && entry.tracks_writes() {
        object.mark_dirty(entry.index(address), original)?;
        shown = shown.protected(entry.prot);
    }
    pmap.set(address, shown)?;
    if !object.is_physical() {
        let window = address & !(WINDOW - 1);
        let range = entry.start.max(window)..entry.end.min(window + WINDOW);
        let mut frames = [0; (WINDOW / PAGE_SIZE) as usize];
        let frames = &mut frames[..((range.end - range.start) / PAGE_SIZE) as usize];
        object.resident_run(entry.index(range.start), frames);
        pmap.fill(range.start, frames, pte);
    }
    Ok(())
}

/// The page-table entry that shows a page of the object, but for the frame.
#[inline]
fn object_pte(entry: &VmEntry) -> Pte {
    let prot = if entry.kind == Kind::Private || entry.tracks_writes() {
        entry.prot - Prot::WRITE
    } else {
        entry.prot
    };
    let uncached = entry.flags.contains(MapFlags::UNCACHED);
    Pte::new(Frame(0), prot).with(if uncached { Pte::UNCACHED } else { 0 })
}
