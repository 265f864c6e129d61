//! What a pager does with an object's pages, and changes of size.
//!
//! A page leaves an object in this order: out of the tree, so that no new mapping can find it; out of
//! every page table, and flushed; then to the free frames. A fault that found it before holds its address
//! space's lock until its entry is set, so the walk over the address spaces finds that entry.

use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Rights;
use ferrix_abi::vm::PAGES_HINT;

use super::{Backing, Missing, VmObject, pages_for};
use crate::mm::frame::{self, Chain, page};
use crate::mm::page_tree::PageTree;
use crate::mm::phys::Frame;
use crate::mm::space::Shown;
use crate::sync::SpinLock;

/// Pages that are taken back in one section of the object's lock: at most 64.
const DISCARDED_AT_ONCE: u64 = 24;

impl VmObject {
    fn tree(&self) -> Result<&SpinLock<PageTree>> {
        match &self.backing {
            Backing::Anonymous(tree) | Backing::Paged { tree, .. } => Ok(tree),
            Backing::Contiguous(_) | Backing::Physical(_) => Err(Error::Invalid),
        }
    }

    /// Counts a handle: any but the pager's own is a use.
    pub fn begin_use(&self, rights: Rights) {
        if let Some(pager) = self.pager().filter(|_| !rights.contains(Rights::PAGER)) {
            pager.begin_use();
        }
    }

    /// A handle is gone.
    pub fn end_use(&self, rights: Rights) {
        if let Some(pager) = self.pager().filter(|_| !rights.contains(Rights::PAGER)) {
            pager.end_use();
        }
    }

    /// Whether a touch of page `index` finds it present.
    pub fn has(&self, index: u64) -> bool {
        match self.tree() {
            Ok(tree) => tree.lock().get(index).is_some(),
            Err(_) => index < self.pages(),
        }
    }

    /// How many pages from an absent one on are absent, for the request's hint.
    pub fn absent_run(&self, index: u64) -> u64 {
        let mut frames = [0; PAGES_HINT as usize];
        if let Ok(tree) = self.tree() {
            tree.lock().get_run(index, &mut frames);
        }
        let end = (index + PAGES_HINT).min(self.pages());
        let behind = frames.iter().skip(1).take_while(|&&frame| frame == 0);
        (1 + behind.count() as u64).min(end.saturating_sub(index))
    }

    /// Gives a paged object a page, which the caller owns, if it has none there; whether it took it.
    pub fn supply(&self, index: u64, frame: Frame) -> Result<bool> {
        let Backing::Paged { tree, .. } = &self.backing else {
            frame::release(frame);
            return Err(Error::Invalid);
        };
        let mut tree = tree.lock();
        let result = match tree.get(index) {
            _ if index >= self.pages() => Err(Error::Invalid),
            Some(_) => Ok(false),
            None => tree.insert(index, frame).map(|_| true),
        };
        drop(tree);
        if result != Ok(true) {
            frame::release(frame);
        }
        result
    }

    /// Notes that a page, shown as `frame`, is about to be written through a mapping. `Absent` if the
    /// object has another page there meanwhile, or none.
    pub fn mark_dirty(&self, index: u64, frame: Frame) -> core::result::Result<(), Missing> {
        match &self.backing {
            Backing::Paged { tree, .. } if !tree.lock().mark_dirty(index, frame) => {
                Err(Missing::Absent)
            }
            _ => Ok(()),
        }
    }

    /// Tells in `bitmap` which pages of a range were written, and makes them clean: all mappings but
    /// the pager's become read-only first. Returns how many there are.
    pub fn clean(&self, range: Range<u64>, bitmap: &mut [u64]) -> Result<u64> {
        let Backing::Paged { tree, .. } = &self.backing else {
            return Err(Error::Invalid);
        };
        let mut written = range.end..range.start;
        let mut count = 0;
        tree.lock().take_dirty(range.clone(), |index| {
            let bit = index - range.start;
            bitmap[bit as usize / 64] |= 1 << (bit % 64);
            written = written.start.min(index)..index + 1;
            count += 1;
        });
        if count != 0 {
            self.each_user(|space| space.protect_object(self, &written));
        }
        Ok(count)
    }

    /// Changes the size (paged and resizable objects). Pages beyond it go.
    pub fn resize(&self, bytes: u64) -> Result<()> {
        if !self.is_listed() {
            return Err(Error::Invalid);
        }
        let pages = if bytes == 0 { 0 } else { pages_for(bytes)? };
        let tree = self.tree()?;
        let locked = tree.lock();
        let old = self.set_size(bytes, pages);
        drop(locked);
        if pages >= old {
            return Ok(());
        }
        self.each_user(|space| space.unmap_object(self, &(pages..old), Shown::AndCopied));
        let mut gone = Chain::default();
        self.remove(
            &mut tree.lock(),
            pages..old,
            |_, _| true,
            |frame| release_to(&mut gone, frame),
        );
        frame::free_chains(gone, Chain::default());
        Ok(())
    }

    /// [`PageTree::remove`], counted.
    fn remove(
        &self,
        tree: &mut PageTree,
        range: Range<u64>,
        choose: impl FnMut(u64, bool) -> bool,
        taken: impl FnMut(Frame),
    ) {
        let before = tree.pages();
        tree.remove(range, choose, taken);
        self.uncharge(before - tree.pages());
    }

    /// Tells in `bitmap` which pages of a range were touched through mappings since the last time, but for the
    /// pager's own. Returns how many.
    pub fn take_referenced(&self, range: Range<u64>, bitmap: &mut [u64]) -> Result<u64> {
        let maker = self.maker().ok_or(Error::Invalid)?;
        self.each_user(|space| {
            if space.id() != maker {
                space.take_referenced(self, &range, bitmap);
            }
        });
        Ok(bitmap.iter().map(|word| word.count_ones() as u64).sum())
    }

    /// Takes pages back: clean ones that nobody has locked, or (anonymous objects) all of the range.
    /// Tells which, counted from the first of the range; returns how many.
    pub fn discard(&self, range: Range<u64>, mut taken: impl FnMut(u64)) -> Result<u64> {
        if !self.is_listed() {
            return Err(Error::Invalid);
        }
        let paged = self.pager().is_some();
        let tree = self.tree()?;
        let mut done = 0;
        let mut start = range.start;
        while start < range.end {
            let part = start..range.end.min(start + DISCARDED_AT_ONCE);
            let mut locked = 0u64;
            if paged {
                self.each_user(|space| locked |= space.locked_pages(self, &part));
            }
            let mut gone = Chain::default();
            let may_go = |index: u64, dirty: bool| {
                let goes = !(paged && dirty) && locked & 1 << (index - part.start) == 0;
                if goes {
                    taken(index - range.start);
                }
                goes
            };
            self.remove(&mut tree.lock(), part.clone(), may_go, |frame| {
                release_to(&mut gone, frame)
            });
            if !gone.is_empty() {
                done += gone.len() as u64;
                self.each_user(|space| space.unmap_object(self, &part, Shown::Only));
                frame::free_chains(gone, Chain::default());
            }
            start = part.end;
        }
        Ok(done)
    }

    /// Checks that a range of pages lies within the object.
    pub fn check_pages(&self, first: u64, count: u64) -> Result<Range<u64>> {
        match first.checked_add(count) {
            Some(end) if count != 0 && end <= self.pages() => Ok(first..end),
            _ => Err(Error::Invalid),
        }
    }
}

fn release_to(gone: &mut Chain, frame: Frame) {
    if page(frame).release() == 0 {
        gone.push(frame);
    }
}
