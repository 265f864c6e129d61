//! `remap`: a mapping changes its length, its place, or both.

use alloc::vec::Vec;
use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, RemapFlags};

use super::limits::Sizes;
use super::{AddressSpace, Inner};
use crate::mm::entry::{Kind, VmEntry};
use crate::mm::frame::{self, page};
use crate::mm::gather::Gather;
use crate::mm::map::{Zone, check_range};
use crate::mm::phys::{Frame, PhysAddr};
use crate::mm::pmap::{Extent, Pmap, Pte, Visitor};

/// What to change.
#[derive(Clone, Copy, Debug)]
struct Remap {
    /// Where (part of) one mapping is.
    old: u64,
    /// Its bytes; 0: its pages from there on, mapped a second time.
    old_length: u64,
    /// Bytes afterwards.
    length: u64,
    /// How it may move.
    flags: RemapFlags,
    /// Where to, if [`RemapFlags::FIXED`].
    target: u64,
}

fn round(length: u64) -> Result<u64> {
    length
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Error::Invalid)
}

impl AddressSpace {
    /// Changes length and place of (part of) one mapping; returns its address. Old length 0: the
    /// pages of a shared mapping from `old` on, mapped a second time.
    pub fn remap(
        &self,
        old: u64,
        old_length: u64,
        length: u64,
        flags: RemapFlags,
        target: u64,
    ) -> Result<u64> {
        let remap = Remap {
            old,
            old_length: round(old_length)?,
            length: round(length)?,
            flags,
            target,
        };
        let fixed = match remap.flags.contains(RemapFlags::FIXED) {
            true => Some(check_range(remap.target, remap.length)?),
            false => None,
        };
        let mut inner = self.lock();
        let index = inner.map.find(remap.old).ok_or(Error::Fault)?;
        let entry = inner.map.entries()[index].copy()?;
        inner.check_remap(&remap, &entry)?;
        if remap.old_length == 0 {
            return inner.map_again(&remap, entry, fixed, self.root);
        }
        let range = check_range(remap.old, remap.old_length)?;
        if entry.end < range.end {
            return Err(Error::Fault);
        }
        match fixed {
            Some(target) => inner.move_to(&remap, range, entry, target, self.root),
            None => inner.resize(&remap, range, entry, self.root),
        }
    }
}

impl Inner {
    fn check_remap(&mut self, remap: &Remap, entry: &VmEntry) -> Result<()> {
        let physical = entry
            .object
            .as_ref()
            .is_some_and(|object| object.is_physical());
        let keep = remap.flags.contains(RemapFlags::KEEP);
        let anonymous = entry.kind == Kind::Private && entry.object.is_none();
        let again = remap.old_length == 0;
        let refused = entry.kind == Kind::Lent
            || physical
            || keep && !(anonymous && remap.length == remap.old_length)
            || again && entry.kind != Kind::Shared
            || remap.length == 0;
        if refused {
            return Err(Error::Invalid);
        }
        let more = match keep || again {
            true => remap.length,
            false => remap.length.saturating_sub(remap.old_length),
        };
        if more > 0 {
            self.check_more(Sizes::like(entry, more))
        } else {
            Ok(())
        }
    }

    /// Changes the length where it is, or finds another place.
    fn resize(
        &mut self,
        remap: &Remap,
        range: Range<u64>,
        entry: VmEntry,
        root: PhysAddr,
    ) -> Result<u64> {
        let keep = remap.flags.contains(RemapFlags::KEEP);
        let end = range
            .start
            .checked_add(remap.length)
            .ok_or(Error::NoMemory)?;
        if end <= range.end && !keep {
            if end < range.end {
                self.unmap(&(end..range.end), root)?;
            }
            return Ok(range.start);
        }
        let grows = range.end..end;
        if !keep && check_range(range.start, remap.length).is_ok() && self.map.is_free(&grows) {
            self.map.insert(part(entry, &range, grows))?;
            return Ok(range.start);
        }
        if !remap.flags.contains(RemapFlags::MAY_MOVE) {
            return Err(Error::NoMemory);
        }
        let start = self.gap_like(range.start, remap.length)?;
        let target = start..start + remap.length;
        self.move_range(remap, &range, entry, target, root)
    }

    /// Moves to an address that was asked for, replacing what is there.
    fn move_to(
        &mut self,
        remap: &Remap,
        mut range: Range<u64>,
        entry: VmEntry,
        target: Range<u64>,
        root: PhysAddr,
    ) -> Result<u64> {
        if target.start < range.end && range.start < target.end {
            return Err(Error::Invalid);
        }
        self.unmap(&target, root)?;
        let end = range.start + remap.length;
        if end < range.end {
            self.unmap(&(end..range.end), root)?;
            range.end = end;
        }
        self.move_range(remap, &range, entry, target, root)
    }

    /// The pages of a shared mapping, a second time.
    fn map_again(
        &mut self,
        remap: &Remap,
        entry: VmEntry,
        fixed: Option<Range<u64>>,
        root: PhysAddr,
    ) -> Result<u64> {
        let target = match fixed {
            Some(target) => {
                self.unmap(&target, root)?;
                target
            }
            None => {
                let start = self.gap_like(remap.old, remap.length)?;
                start..start + remap.length
            }
        };
        let start = target.start;
        self.map
            .insert(part(entry, &(remap.old..remap.old), target))?;
        Ok(start)
    }

    /// A gap in the zone of an address.
    fn gap_like(&mut self, address: u64, length: u64) -> Result<u64> {
        let zone = if address >= Zone::System.range().start {
            Zone::System
        } else {
            Zone::Program
        };
        self.map.find_gap(zone, length)
    }

    /// Moves the pages of `range`, a part of `entry`, to the free range `target`.
    fn move_range(
        &mut self,
        remap: &Remap,
        range: &Range<u64>,
        entry: VmEntry,
        target: Range<u64>,
        root: PhysAddr,
    ) -> Result<u64> {
        self.pmap.own(range, Extent::All)?;
        let start = target.start;
        let mut moved = part(entry, &(range.start..range.start), target.clone());
        moved.flags.remove(MapFlags::GROWS_DOWN);
        self.map.insert(moved)?;
        let mut pages = Pages::default();
        self.pmap.walk(range.clone(), &mut pages);
        let installed = pages.install(&mut self.pmap, start.wrapping_sub(range.start));
        if installed.is_err() {
            self.unmap(&target, root)?;
        } else if remap.flags.contains(RemapFlags::KEEP) {
            self.pmap.walk(range.clone(), &mut Gather::new(root));
        } else {
            self.unmap(range, root)?;
        }
        installed.map(|()| start)
    }
}

/// An entry like `entry` at `place`, whose first page is the one at `after.end` in `entry`.
fn part(mut entry: VmEntry, after: &Range<u64>, place: Range<u64>) -> VmEntry {
    if entry.object.is_some() {
        entry.offset += after.end - entry.start;
    }
    entry.flags.remove(MapFlags::GROWS_DOWN);
    (entry.start, entry.end) = (place.start, place.end);
    entry
}

/// The owned pages of a range, each with one more owner.
#[derive(Default)]
struct Pages {
    found: Vec<(u64, Pte)>,
    failed: Option<Error>,
}

impl Visitor for Pages {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        if self.found.try_reserve(1).is_err() {
            self.failed = Some(Error::NoMemory);
        } else if pte.has(Pte::OWNED) {
            page(pte.frame()).retain();
            self.found.push((address, pte));
        }
        pte
    }

    fn table(&mut self, _: Frame) {}
}

impl Pages {
    /// Enters them `distance` further on, as they are: the old place goes under the same lock.
    fn install(self, pmap: &mut Pmap, distance: u64) -> Result<()> {
        let mut result = self.failed.map_or(Ok(()), Err);
        for (address, pte) in self.found {
            if result.is_ok() {
                result = pmap.set(address.wrapping_add(distance), pte);
            }
            if result.is_err() {
                frame::release(pte.frame());
            }
        }
        result
    }
}
