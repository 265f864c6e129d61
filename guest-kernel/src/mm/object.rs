//! Memory objects: what a mapping that is not private anonymous memory shows.
//!
//! | backing | pages |
//! |---|---|
//! | anonymous | appear zeroed when first touched; owned by the object |
//! | paged | supplied by the object's pager when touched; owned by the object |
//! | contiguous | one physical run of RAM, all present; owned by the object (DMA buffers, boot modules) |
//! | physical | device registers or other addresses outside the allocator; never freed |
//!
//! Private anonymous memory has no object: its pages belong to the page tables (see
//! [`space`](super::space)). So there are no shadow chains: a private mapping of an object copies
//! a page out of it at the first write, and that copy is an anonymous page.
//!
//! [`users`] lists who maps an object whose pages can go, [`paging`] takes them away. [`quota`] limits the pages of
//! several objects together.

pub mod paging;
pub mod quota;
pub mod users;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{ObjectKind, PHYSICAL_END};

pub use users::{Home, Mapped};

use self::quota::Quota;
use self::users::Users;
use super::frame;
use super::hw::PagerLink;
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
    Paged {
        tree: SpinLock<PageTree>,
        pager: PagerLink,
        /// Id of the pager's address space.
        maker: u64,
    },
    Contiguous(Frame),
    Physical(Frame),
}

/// Why an object has no page to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The object ends before it.
    Beyond,
    /// Its pager has to supply it.
    Absent,
    /// No page is free.
    NoMemory,
}

impl From<Error> for Missing {
    fn from(_: Error) -> Missing {
        Missing::NoMemory
    }
}

/// Whether an object lists who maps it, so that its pages can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    None,
    Listed,
}

/// A memory object.
#[derive(Debug)]
pub struct VmObject {
    id: u64,
    /// Changed under the lock of the pages.
    pages: AtomicU64,
    /// As asked for, in bytes; the last page may go beyond it.
    size: AtomicU64,
    backing: Backing,
    listing: Listing,
    users: SpinLock<Users>,
    /// Under the lock of the pages.
    quota: SpinLock<Option<Arc<Quota>>>,
}

fn pages_for(size: u64) -> Result<u64> {
    if size == 0 || size > SIZE_MAX {
        return Err(Error::Invalid);
    }
    Ok(size.div_ceil(PAGE_SIZE))
}

impl VmObject {
    fn new(size: u64, backing: Backing, listing: Listing) -> Result<Arc<VmObject>> {
        frame::ensure_reserve()?;
        let pages = match (size, listing) {
            (0, Listing::Listed) => 0,
            _ => pages_for(size)?,
        };
        COUNT.fetch_add(1, Relaxed);
        let id = NEXT_ID.fetch_add(1, Relaxed);
        Ok(Arc::new(VmObject {
            id,
            pages: AtomicU64::new(pages),
            size: AtomicU64::new(size),
            backing,
            listing,
            users: SpinLock::new(Users::new()),
            quota: SpinLock::new(None),
        }))
    }

    /// An object of `size` bytes whose pages appear, zeroed, when touched.
    pub fn anonymous(size: u64) -> Result<Arc<VmObject>> {
        let backing = Backing::Anonymous(SpinLock::new(PageTree::new()));
        Self::new(size, backing, Listing::None)
    }

    /// As [`anonymous`](Self::anonymous), of a size that can change, and be 0.
    pub fn resizable(size: u64) -> Result<Arc<VmObject>> {
        let backing = Backing::Anonymous(SpinLock::new(PageTree::new()));
        Self::new(size, backing, Listing::Listed)
    }

    /// An object of `size` bytes whose pages a pager supplies, the process whose address space has the
    /// id `maker`.
    pub fn paged(size: u64, pager: PagerLink, maker: u64) -> Result<Arc<VmObject>> {
        let backing = Backing::Paged {
            tree: SpinLock::new(PageTree::new()),
            pager,
            maker,
        };
        Self::new(size, backing, Listing::Listed)
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
        Self::new(size, Backing::Contiguous(first), Listing::None)
            .inspect_err(|_| frame::free_range(first, pages))
    }

    /// The object of a boot module: `size` bytes of RAM from `start`, a page boundary. It takes
    /// the pages over: they are freed with it.
    pub fn module(start: PhysAddr, size: u64) -> Result<Arc<VmObject>> {
        let first = Frame::containing(start);
        let object = Self::new(size, Backing::Contiguous(first), Listing::None)?;
        frame::adopt(object.pages());
        Ok(object)
    }

    /// The physical addresses from `start`, a page boundary, on.
    pub fn physical(start: PhysAddr, size: u64) -> Result<Arc<VmObject>> {
        let end = start.0.checked_add(size).ok_or(Error::Invalid)?;
        if !start.0.is_multiple_of(PAGE_SIZE) || end > PHYSICAL_END {
            return Err(Error::Invalid);
        }
        let backing = Backing::Physical(Frame::containing(start));
        Self::new(size, backing, Listing::None)
    }

    /// Creates an object of any kind (`ObjectCreate`); the caller has checked the right.
    pub fn create(kind: ObjectKind, size: u64, start: PhysAddr) -> Result<Arc<VmObject>> {
        match kind {
            ObjectKind::Anonymous => Self::resizable(size),
            ObjectKind::Contiguous => Self::contiguous(size),
            ObjectKind::Physical => Self::physical(start, size),
        }
    }

    /// Unique since boot.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size.load(Relaxed)
    }

    /// Size in pages.
    #[inline]
    pub fn pages(&self) -> u64 {
        self.pages.load(Relaxed)
    }

    /// Sets the size; returns the old one, in pages. The lock of the pages is held.
    fn set_size(&self, bytes: u64, pages: u64) -> u64 {
        self.size.store(bytes, Relaxed);
        self.pages.swap(pages, Relaxed)
    }

    /// Whether it lists who maps it.
    #[inline]
    pub fn is_listed(&self) -> bool {
        self.listing == Listing::Listed
    }

    /// The pager of a paged object.
    pub fn pager(&self) -> Option<&PagerLink> {
        match &self.backing {
            Backing::Paged { pager, .. } => Some(pager),
            _ => None,
        }
    }

    /// Id of the address space of a paged object's pager.
    pub fn maker(&self) -> Option<u64> {
        match &self.backing {
            Backing::Paged { maker, .. } => Some(*maker),
            _ => None,
        }
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
            Backing::Anonymous(tree) | Backing::Paged { tree, .. } => {
                let tree = tree.lock();
                f(&|page| tree.get(first + page));
            }
            Backing::Contiguous(start) | Backing::Physical(start) => {
                f(&|page| (first + page < self.pages()).then(|| start.offset(first + page)));
            }
        }
    }

    /// Writes the frames of the pages that are present from index `first` on to `frames` (0: none).
    #[inline]
    pub fn resident_run(&self, first: u64, frames: &mut [u32]) {
        match &self.backing {
            Backing::Anonymous(tree) | Backing::Paged { tree, .. } => {
                tree.lock().get_run(first, frames);
            }
            Backing::Contiguous(start) | Backing::Physical(start) => {
                let end = start.0 + self.pages() as u32;
                for (frame, slot) in (start.0 + first as u32..).zip(frames) {
                    *slot = if frame < end { frame } else { 0 };
                }
            }
        }
    }

    /// The page at `index`, made present if that needs no pager.
    pub fn page(&self, index: u64) -> core::result::Result<Frame, Missing> {
        match &self.backing {
            Backing::Anonymous(tree) => {
                let mut tree = tree.lock();
                self.check(index)?;
                match tree.get(index) {
                    Some(frame) => Ok(frame),
                    None => self.appear(&mut tree, index),
                }
            }
            Backing::Paged { tree, .. } => {
                let tree = tree.lock();
                self.check(index)?;
                tree.get(index).ok_or(Missing::Absent)
            }
            Backing::Contiguous(first) | Backing::Physical(first) => {
                self.check(index)?;
                Ok(first.offset(index))
            }
        }
    }

    #[inline]
    fn check(&self, index: u64) -> core::result::Result<(), Missing> {
        if index < self.pages() {
            Ok(())
        } else {
            Err(Missing::Beyond)
        }
    }

    /// Makes a page of an anonymous object present. Behind a page that is, a few more come along,
    /// as long as that costs no zeroing.
    fn appear(&self, tree: &mut PageTree, index: u64) -> core::result::Result<Frame, Missing> {
        if !self.may_appear() {
            return Err(Missing::Beyond);
        }
        let fresh = match frame::alloc_zeroed() {
            Some(fresh) => fresh,
            None => {
                self.uncharge(1);
                return Err(Missing::NoMemory);
            }
        };
        tree.insert(index, fresh).inspect_err(|_| {
            frame::free_zeroed(fresh);
            self.uncharge(1);
        })?;
        if index == 0 || tree.get(index - 1).is_none() || !self.has_room_for(AHEAD) {
            return Ok(fresh);
        }
        let most = (self.pages() - index - 1).min(AHEAD - 1);
        let (first, count) = frame::alloc_run(tree.room_behind(index, most));
        tree.fill_behind(index, first, count);
        self.charge(count.into());
        Ok(fresh)
    }

    /// Gives an anonymous object a page that the caller owns; what was there is freed.
    pub fn install(&self, index: u64, page: Frame) -> Result<()> {
        let Backing::Anonymous(tree) = &self.backing else {
            return Err(Error::Invalid);
        };
        match tree.lock().insert(index, page)? {
            Some(old) => frame::release(old),
            None => self.charge(1),
        }
        Ok(())
    }

    /// Physical address of the byte at `offset` (contiguous and physical objects).
    pub fn physical_address(&self, offset: u64) -> Result<PhysAddr> {
        match &self.backing {
            Backing::Contiguous(first) | Backing::Physical(first) if offset < self.size() => {
                Ok(PhysAddr(first.address().0 + offset))
            }
            _ => Err(Error::Invalid),
        }
    }

    /// Pages present.
    pub fn resident_pages(&self) -> u64 {
        match &self.backing {
            Backing::Anonymous(tree) | Backing::Paged { tree, .. } => tree.lock().pages(),
            Backing::Contiguous(_) => self.pages(),
            Backing::Physical(_) => 0,
        }
    }
}

impl Drop for VmObject {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Relaxed);
        let pages = self.pages();
        if let Backing::Anonymous(tree) = &mut self.backing {
            let present = tree.get_mut().pages();
            self.uncharge(present);
        }
        match &mut self.backing {
            // Nobody else has it: no lock, so that this can be preempted however many there are.
            Backing::Anonymous(tree) | Backing::Paged { tree, .. } => {
                tree.get_mut().for_each(|_, page| frame::release(page));
            }
            Backing::Contiguous(first) => frame::free_range(*first, pages),
            Backing::Physical(_) => {}
        }
    }
}
