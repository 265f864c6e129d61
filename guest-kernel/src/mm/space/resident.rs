//! Locked pages, and which pages are present.

use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};

use super::{Access, AddressSpace, Bound, FaultError};
use crate::mm::entry::Kind;
use crate::mm::map::check_range;

/// Pages that are looked for in one section of the lock.
const AT_ONCE: usize = 12;

/// Whether pages are to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// They stay.
    Locked,
    /// They may go again.
    Unlocked,
}

impl AddressSpace {
    /// Locks or unlocks the mappings of a range, which the result covers page by page; to lock, the pages are
    /// to be [touched](Self::touch) afterwards. `NoMemory` where nothing is mapped or beyond the limit.
    pub fn lock_range(&self, address: u64, length: u64, lock: Lock) -> Result<Range<u64>> {
        let start = address & !(PAGE_SIZE - 1);
        let end = address
            .checked_add(length)
            .and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
        let length = end.and_then(|end| end.checked_sub(start));
        let range = check_range(start, length.ok_or(Error::Invalid)?)?;
        let mut inner = self.lock();
        inner.map.check_covered(&range)?;
        let indices = inner.map.isolate(&range)?;
        let locked = inner.locked_pages();
        let entries = inner.map.entries_mut(indices.clone());
        let more = entries
            .iter()
            .filter(|entry| !entry.flags.contains(MapFlags::LOCKED))
            .map(|entry| entry.length() / PAGE_SIZE)
            .sum::<u64>();
        let allowed = match lock {
            Lock::Locked => inner.limits.check(Bound::Locked, locked + more),
            Lock::Unlocked => Ok(()),
        };
        if allowed.is_ok() {
            for entry in inner.map.entries_mut(indices.clone()) {
                entry.flags.set(MapFlags::LOCKED, lock == Lock::Locked);
            }
        }
        inner.map.join(indices);
        allowed.map(|()| range)
    }

    /// Makes the page at an address present, as the program's most demanding touch would: private pages are
    /// copied or zeroed, others read. Nothing happens where the program may not touch.
    pub fn touch(&self, address: u64) -> core::result::Result<(), FaultError> {
        let mut inner = self.lock();
        let index = inner.map.find(address).ok_or(FaultError::Unmapped)?;
        let entry = &inner.map.entries()[index];
        let access = match (entry.prot, entry.kind) {
            (prot, _) if prot.is_empty() => return Ok(()),
            (prot, Kind::Private) if prot.contains(Prot::WRITE) => Access::Write,
            _ => Access::Read,
        };
        inner.fault_owning(self.root, address, access)
    }

    /// Tells for each page from `address` on whether a touch finds it present (1) or not (0). `NoMemory` where
    /// nothing is mapped.
    pub fn resident(&self, address: u64, pages: &mut [u8]) -> Result<()> {
        let mut range = check_range(address, pages.len() as u64 * PAGE_SIZE)?;
        for part in pages.chunks_mut(AT_ONCE) {
            let mut inner = self.lock();
            inner.map.check_covered(&range)?;
            let (map, pmap) = inner.parts();
            for (at, slot) in range.clone().step_by(PAGE_SIZE as usize).zip(&mut *part) {
                let entry = map.find(at).map(|index| &map.entries()[index]);
                let object = entry.and_then(|entry| Some((entry, entry.object.as_ref()?)));
                let shown = object.is_some_and(|(entry, object)| object.has(entry.index(at)));
                *slot = u8::from(shown || !pmap.get(at).is_empty());
            }
            range.start += part.len() as u64 * PAGE_SIZE;
        }
        Ok(())
    }
}
