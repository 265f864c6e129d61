//! The pages that the kernel shows for reading: [`KernelInfo`] to all, [`BootInfo`] to init.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};
use ferrix_abi::info::{BootInfo, KernelInfo};
use ferrix_abi::layout::BOOT_INFO;

use super::frame;
use super::phys::Frame;
use super::pmap;
use super::space::AddressSpace;

/// The frame of the information page (0: not yet made).
static INFO: AtomicU32 = AtomicU32::new(0);

/// Makes the information page, zeroed, and the page tables that all processes share for it.
pub(super) fn init() -> Result<()> {
    let frame = frame::alloc_zeroed().ok_or(Error::NoMemory)?;
    INFO.store(frame.0, Relaxed);
    pmap::share_info(frame)
}

/// The information page. Whoever writes it follows its sequence lock; readers are programs.
pub fn kernel_info() -> *mut KernelInfo {
    Frame(INFO.load(Relaxed)).pointer().cast()
}

impl AddressSpace {
    /// Maps a copy of the boot information, read-only, at [`BOOT_INFO`].
    pub fn map_boot_info(&self, info: &BootInfo) -> Result<()> {
        let frame = frame::alloc_zeroed().ok_or(Error::NoMemory)?;
        let target = frame.pointer().cast::<BootInfo>();
        // SAFETY: the frame is new, in the direct map, page-aligned, and a page holds a `BootInfo`.
        unsafe { core::ptr::copy_nonoverlapping(info, target, 1) };
        let common = Frame(INFO.load(Relaxed));
        let mut inner = self.lock();
        inner
            .pmap
            .set_boot_info(BOOT_INFO, common, frame)
            .inspect_err(|_| frame::release(frame))
    }
}
