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

/// Pages that are taken under one lock at most,
const BATCH: usize = 64;
/// and what that may cost, in moves of a page, about.
const EFFORT: u32 = 64;
/// What a page costs that has to be copied or cleared.
const COPY: u32 = 24;

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
            let frames = frames.iter().take_while(|&&frame| frame != 0);
            let mut count = 0;
            for (index, &frame) in (page..).zip(frames) {
                count += 1;
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

    /// Takes the first pages of a range out, one at least: frames that the caller owns, with no translation left.
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
            frames: &mut frames[..count],
            next: 0,
            left: EFFORT,
            failed: false,
            gather: Gather::new(root),
        };
        self.pmap.walk(range, &mut take);
        take.clear_up_to(count);
        match take.failed {
            true => Err(Error::NoMemory),
            false => Ok(()),
        }
    }
}

/// Takes pages with one owner, copies others. What it gathers is flushed before anybody can see the pages through the
/// object.
struct Take<'a> {
    start: u64,
    frames: &'a mut [u32],
    /// Pages before this one are taken.
    next: usize,
    /// Effort left.
    left: u32,
    failed: bool,
    gather: Gather,
}

impl Take<'_> {
    /// What was never touched, or shown from an object that has not got it either, is zero.
    fn clear_up_to(&mut self, end: usize) {
        while self.next < end && self.left != 0 && !self.failed {
            let frame = frame::alloc_zeroed();
            self.took(frame, COPY);
        }
    }

    fn took(&mut self, frame: Option<Frame>, effort: u32) {
        match frame {
            Some(frame) => self.frames[self.next] = frame.0,
            None => self.failed = true,
        }
        self.next += 1;
        self.left = self.left.saturating_sub(effort);
    }
}

impl Visitor for Take<'_> {
    fn entry(&mut self, address: u64, pte: Pte) -> Pte {
        self.clear_up_to(((address - self.start) / PAGE_SIZE) as usize);
        if self.left == 0 || self.failed {
            return pte;
        }
        if pte.has(Pte::OWNED) && page(pte.frame()).refs() == 1 {
            self.took(Some(pte.frame()), 1);
            self.gather.stale(address);
            return Pte::EMPTY;
        }
        let copy = frame::alloc(0).inspect(|copy| copy.copy_from(pte.frame()));
        self.took(copy, COPY);
        match self.failed {
            true => pte,
            false => self.gather.entry(address, pte),
        }
    }

    fn table(&mut self, table: Frame) {
        Visitor::table(&mut self.gather, table);
    }
}
