//! Physical addresses, page frames, and the direct map through which the kernel reaches them.
//!
//! On the host (tests) "physical memory" is one zeroed allocation, so that everything above,
//! page tables included, runs there unchanged.

use ferrix_abi::layout::PAGE_SIZE;

/// log2 of the page size.
pub const PAGE_SHIFT: u32 = 12;

/// A physical address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PhysAddr(pub u64);

/// A page frame: physical address divided by the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Frame(pub u32);

impl Frame {
    /// The frame that contains `address`.
    #[inline]
    pub const fn containing(address: PhysAddr) -> Frame {
        Frame((address.0 >> PAGE_SHIFT) as u32)
    }

    /// Address of its first byte.
    #[inline]
    pub const fn address(self) -> PhysAddr {
        PhysAddr((self.0 as u64) << PAGE_SHIFT)
    }

    /// The frame `pages` further up.
    #[inline]
    pub const fn offset(self, pages: u64) -> Frame {
        Frame(self.0 + pages as u32)
    }

    /// Its first byte in the direct map.
    #[inline]
    pub fn pointer(self) -> *mut u8 {
        direct(self.address())
    }

    /// Fills the frame with zeroes. The caller owns the frame.
    pub fn zero(self) {
        // SAFETY: the direct map covers all RAM, a frame is page-aligned and one page long, and
        // its owner has no reference into it while it is being prepared.
        unsafe { core::ptr::write_bytes(self.pointer().cast::<u64>(), 0, PAGE_SIZE as usize / 8) }
    }

    /// Copies bytes out of the frame, from `offset` on.
    pub fn read(self, offset: usize, bytes: &mut [u8]) {
        assert!(offset + bytes.len() <= PAGE_SIZE as usize);
        // SAFETY: within one frame of the direct map. User programs may write it meanwhile; the
        // bytes have no meaning to the kernel that tearing could break.
        unsafe {
            core::ptr::copy_nonoverlapping(
                self.pointer().add(offset),
                bytes.as_mut_ptr(),
                bytes.len(),
            )
        }
    }

    /// Copies bytes into the frame, from `offset` on.
    pub fn write(self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= PAGE_SIZE as usize);
        // SAFETY: within one frame of the direct map, which holds user data: no kernel reference.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.pointer().add(offset), bytes.len())
        }
    }

    /// Copies `source` into this frame, which the caller owns.
    pub fn copy_from(self, source: Frame) {
        let (to, from) = (self.pointer().cast::<u64>(), source.pointer().cast::<u64>());
        // SAFETY: both are whole frames in the direct map, different ones, aligned to a page.
        unsafe { core::ptr::copy_nonoverlapping(from, to, PAGE_SIZE as usize / 8) }
    }
}

/// Where the direct map of physical memory begins.
#[cfg(target_os = "none")]
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

#[cfg(target_os = "none")]
#[inline]
fn direct_base() -> u64 {
    DIRECT_MAP
}

#[cfg(not(target_os = "none"))]
use super::host::direct_base;

/// The virtual address of a physical one.
#[inline]
pub fn direct(address: PhysAddr) -> *mut u8 {
    (direct_base() + address.0) as *mut u8
}

/// The physical address behind a pointer into the direct map.
#[inline]
pub fn physical<T>(pointer: *const T) -> PhysAddr {
    PhysAddr(pointer as u64 - direct_base())
}
