//! Pages on their way from a pager's private memory into its object.

use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;

use super::{AddressSpace, Inner};
use crate::mm::entry::Kind;
use crate::mm::frame::{self, page};
use crate::mm::gather::Gather;
use crate::mm::map::check_range;
use crate::mm::object::VmObject;
use crate::mm::phys::{Frame, PhysAddr};
use crate::mm::pmap::{Extent, Pte, Visitor};

/// Pages that are taken under one lock.
const BATCH: usize = 64;

impl AddressSpace {
    /// Moves the pages at `source`, private memory, into a paged object: `pages` there. Returns how many
    /// were absent. After an error some may have been supplied; the others are where they were, or zero.
    ///
    /// `Invalid` for memory that is not private or an object without a pager, `Fault` where nothing is
    /// mapped, `NoMemory`.
    pub fn supply(&self, object: &VmObject, pages: Range<u64>, source: u64) -> Result<u64> {
        let length = (pages.end - pages.start)
            .checked_mul(PAGE_SIZE)
            .ok_or(Error::Invalid)?;
        check_range(source, length)?;
        let (mut done, mut page) = (0, pages.start);
        while page < pages.end {
            let count = (pages.end - page).min(BATCH as u64);
            let start = source + (page - pages.start) * PAGE_SIZE;
            let mut frames = [0; BATCH];
            let taken = self.take_pages(start..start + count * PAGE_SIZE, &mut frames);
            let mut supplied = Ok(());
            for (index, &frame) in (page..).zip(&frames).filter(|(_, frame)| **frame != 0) {
                match object.supply(index, Frame(frame)) {
                    Ok(new) => done += u64::from(new),
                    Err(error) => supplied = Err(error),
                }
            }
            taken.and(supplied)?;
            page += count;
        }
        Ok(done)
    }

    /// Takes the pages of a range out: frames that the caller owns, with no translation left.
    fn take_pages(&self, range: Range<u64>, frames: &mut [u32; BATCH]) -> Result<()> {
        let mut inner = self.lock();
        inner.check_private(&range)?;
        inner.take(range, frames, self.root)
    }
}

impl Inner {
    fn check_private(&self, range: &Range<u64>) -> Result<()> {
        let mut covered = range.start;
        for entry in &self.map.entries()[self.map.lower_bound(range.start)..] {
            if covered >= range.end || entry.start > covered {
                break;
            }
            if entry.kind != Kind::Private {
                return Err(Error::Invalid);
            }
            covered = entry.end;
        }
        if covered < range.end {
            return Err(Error::Fault);
        }
        Ok(())
    }

    fn take(&mut self, range: Range<u64>, frames: &mut [u32; BATCH], root: PhysAddr) -> Result<()> {
        let count = ((range.end - range.start) / PAGE_SIZE) as usize;
        self.pmap.own(&range, Extent::All)?;
        let mut take = Take {
            start: range.start,
            frames,
            failed: false,
            gather: Gather::new(root),
        };
        self.pmap.walk(range, &mut take);
        let Take { failed, gather, .. } = take;
        // Flushed before anybody can see the pages through the object.
        drop(gather);
        if failed {
            return Err(Error::NoMemory);
        }
        // What was never touched, or shown from an object that has not got it either, is zero.
        for slot in frames[..count].iter_mut().filter(|slot| **slot == 0) {
            *slot = frame::alloc_zeroed().ok_or(Error::NoMemory)?.0;
        }
        Ok(())
    }
}

/// Takes pages with one owner, copies others.
struct Take<'a> {
    start: u64,
    frames: &'a mut [u32; BATCH],
    failed: bool,
    gather: Gather,
}

impl Visitor for Take<'_> {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        let slot = &mut self.frames[((address - self.start) / PAGE_SIZE) as usize];
        if pte.has(Pte::OWNED) && page(pte.frame()).refs() == 1 {
            *slot = pte.frame().0;
            self.gather.stale(address);
            return Pte::EMPTY;
        }
        let Some(copy) = frame::alloc(0) else {
            self.failed = true;
            return pte;
        };
        copy.copy_from(pte.frame());
        *slot = copy.0;
        self.gather.entry(address, pte)
    }

    fn table(&mut self, table: Frame) {
        Visitor::table(&mut self.gather, table);
    }
}
