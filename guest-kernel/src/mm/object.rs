//! Memory objects: what a mapping that is not private anonymous memory shows.
//!
//! | backing | pages |
//! |---|---|
//! | anonymous | appear zeroed when first touched; owned by the object |
//! | contiguous | one physical run of RAM, all present; owned by the object (DMA buffers, boot modules) |
//! | physical | device registers or other addresses outside the allocator; never freed |
//!
//! Private anonymous memory has no object: its pages belong to the page tables (see
//! [`space`](super::space)). So there are no shadow chains: a private mapping of an object copies
//! a page out of it at the first write, and that copy is an anonymous page.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{ObjectKind, PHYSICAL_END};

use super::frame;
use super::page_tree::PageTree;
use super::phys::{Frame, PhysAddr};
use crate::sync::SpinLock;

/// Live objects.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Source of [`VmObject::id`].
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Pages that a touch behind a present page makes present.
const AHEAD: u64 = 8;

/// Largest object, in bytes.
pub const SIZE_MAX: u64 = 1 << 46;

#[derive(Debug)]
enum Backing {
    Anonymous(SpinLock<PageTree>),
    Contiguous(Frame),
    Physical(Frame),
}

/// A memory object.
#[derive(Debug)]
pub struct VmObject {
    id: u64,
    pages: u64,
    /// As asked for, in bytes; the last page may go beyond it.
    size: u64,
    backing: Backing,
}

fn pages_for(size: u64) -> Result<u64> {
    if size == 0 || size > SIZE_MAX {
        return Err(Error::Invalid);
    }
    Ok(size.div_ceil(PAGE_SIZE))
}

impl VmObject {
    fn new(size: u64, backing: Backing) -> Result<Arc<VmObject>> {
        frame::ensure_reserve()?;
        let pages = pages_for(size)?;
        COUNT.fetch_add(1, Relaxed);
        let id = NEXT_ID.fetch_add(1, Relaxed);
        Ok(Arc::new(VmObject {
            id,
            pages,
            size,
            backing,
        }))
    }

    /// An object of `size` bytes whose pages appear, zeroed, when touched.
    pub fn anonymous(size: u64) -> Result<Arc<VmObject>> {
        Self::new(size, Backing::Anonymous(SpinLock::new(PageTree::new())))
    }

    /// Zeroed, physically contiguous RAM of `size` bytes (at most 4 MiB).
    pub fn contiguous(size: u64) -> Result<Arc<VmObject>> {
        let pages = pages_for(size)?;
        frame::ensure_reserve()?;
        let order = pages.next_power_of_two().trailing_zeros() as usize;
        if order >= super::buddy::ORDERS {
            return Err(Error::NoMemory);
        }
        let first = frame::alloc_block_zeroed(order).ok_or(Error::NoMemory)?;
        frame::free_range(first.offset(pages), (1 << order) - pages);
        Self::new(size, Backing::Contiguous(first)).inspect_err(|_| frame::free_range(first, pages))
    }

    /// The object of a boot module: `size` bytes of RAM from `start`, a page boundary. It takes
    /// the pages over: they are freed with it.
    pub fn module(start: PhysAddr, size: u64) -> Result<Arc<VmObject>> {
        let first = Frame::containing(start);
        let object = Self::new(size, Backing::Contiguous(first))?;
        frame::adopt(object.pages);
        Ok(object)
    }

    /// The physical addresses from `start`, a page boundary, on.
    pub fn physical(start: PhysAddr, size: u64) -> Result<Arc<VmObject>> {
        let end = start.0.checked_add(size).ok_or(Error::Invalid)?;
        if !start.0.is_multiple_of(PAGE_SIZE) || end > PHYSICAL_END {
            return Err(Error::Invalid);
        }
        Self::new(size, Backing::Physical(Frame::containing(start)))
    }

    /// Creates an object of any kind (`ObjectCreate`); the caller has checked the right.
    pub fn create(kind: ObjectKind, size: u64, start: PhysAddr) -> Result<Arc<VmObject>> {
        match kind {
            ObjectKind::Anonymous => Self::anonymous(size),
            ObjectKind::Contiguous => Self::contiguous(size),
            ObjectKind::Physical => Self::physical(start, size),
        }
    }

    /// Unique since boot.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Size in bytes, as it was created.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Size in pages.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Live objects in the system.
    pub fn count() -> u64 {
        COUNT.load(Relaxed)
    }

    /// Whether the pages are device registers, not RAM.
    pub fn is_physical(&self) -> bool {
        matches!(self.backing, Backing::Physical(_))
    }

    /// Calls `f` with a look-up of the pages present, counted from page `first` on.
    pub fn with_resident(&self, first: u64, f: impl FnOnce(&dyn Fn(u64) -> Option<Frame>)) {
        match &self.backing {
            Backing::Anonymous(tree) => {
                let tree = tree.lock();
                f(&|page| tree.get(first + page));
            }
            Backing::Contiguous(start) | Backing::Physical(start) => {
                f(&|page| (first + page < self.pages).then(|| start.offset(first + page)));
            }
        }
    }

    /// Writes the frames of the pages that are present from index `first` on to `frames` (0: none).
    #[inline]
    pub fn resident_run(&self, first: u64, frames: &mut [u32]) {
        match &self.backing {
            Backing::Anonymous(tree) => tree.lock().get_run(first, frames),
            Backing::Contiguous(start) | Backing::Physical(start) => {
                let end = start.0 + self.pages as u32;
                for (frame, slot) in (start.0 + first as u32..).zip(frames) {
                    *slot = if frame < end { frame } else { 0 };
                }
            }
        }
    }

    /// The page at `index`, made present if need be.
    ///
    /// `Fault` beyond the object's end, `NoMemory` when there is no page left.
    pub fn page(&self, index: u64) -> Result<Frame> {
        if index >= self.pages {
            return Err(Error::Fault);
        }
        match &self.backing {
            Backing::Anonymous(tree) => {
                let mut tree = tree.lock();
                match tree.get(index) {
                    Some(frame) => Ok(frame),
                    None => self.appear(&mut tree, index),
                }
            }
            Backing::Contiguous(first) | Backing::Physical(first) => Ok(first.offset(index)),
        }
    }

    /// Makes a page of an anonymous object present. Behind a page that is, a few more come along,
    /// as long as that costs no zeroing.
    fn appear(&self, tree: &mut PageTree, index: u64) -> Result<Frame> {
        let fresh = frame::alloc_zeroed().ok_or(Error::NoMemory)?;
        tree.insert(index, fresh)
            .inspect_err(|_| frame::free_zeroed(fresh))?;
        if index == 0 || tree.get(index - 1).is_none() {
            return Ok(fresh);
        }
        let end = self.pages.min(index + AHEAD);
        let room = (index + 1..end)
            .take_while(|&index| tree.get(index).is_none())
            .count();
        let (first, count) = frame::alloc_run(room as u32);
        for page in 0..count as u64 {
            let frame = first.offset(page);
            if tree.insert(index + 1 + page, frame).is_err() {
                frame::free_zeroed(frame);
            }
        }
        Ok(fresh)
    }

    /// Gives an anonymous object a page that the caller owns; what was there is freed.
    pub fn install(&self, index: u64, page: Frame) -> Result<()> {
        let Backing::Anonymous(tree) = &self.backing else {
            return Err(Error::Invalid);
        };
        if let Some(old) = tree.lock().insert(index, page)? {
            frame::release(old);
        }
        Ok(())
    }

    /// Physical address of the byte at `offset` (contiguous and physical objects).
    pub fn physical_address(&self, offset: u64) -> Result<PhysAddr> {
        match &self.backing {
            Backing::Anonymous(_) => Err(Error::Invalid),
            Backing::Contiguous(first) | Backing::Physical(first) if offset < self.size => {
                Ok(PhysAddr(first.address().0 + offset))
            }
            _ => Err(Error::Invalid),
        }
    }

    /// Pages present.
    pub fn resident_pages(&self) -> u64 {
        match &self.backing {
            Backing::Anonymous(tree) => tree.lock().pages(),
            Backing::Contiguous(_) => self.pages,
            Backing::Physical(_) => 0,
        }
    }
}

impl Drop for VmObject {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Relaxed);
        match &mut self.backing {
            Backing::Anonymous(tree) => tree.lock().for_each(|_, page| frame::release(page)),
            Backing::Contiguous(first) => frame::free_range(*first, self.pages),
            Backing::Physical(_) => {}
        }
    }
}
