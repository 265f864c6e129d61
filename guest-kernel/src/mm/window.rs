//! The kernel's own virtual windows, in the last GiB: kernel stacks and device registers.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;

use super::phys::{Frame, PhysAddr};
use super::pmap::{self, Pte};
use super::tlb;
use crate::sync::SpinLock;

/// Kernel stacks: 512 MiB of addresses.
pub const STACKS: u64 = 0xffff_ffff_c000_0000;
/// Device registers: the next 256 MiB.
pub const DEVICES: u64 = 0xffff_ffff_e000_0000;
const DEVICES_END: u64 = 0xffff_ffff_f000_0000;

/// Guards changes of the kernel's page tables.
static TABLES: SpinLock<()> = SpinLock::new(());
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(DEVICES);

/// Maps `pages` frames from `first` on at a kernel address that was never mapped before.
pub fn map(address: u64, first: Frame, pages: u64, bits: u64) -> Result<()> {
    let _tables = TABLES.lock();
    (0..pages).try_for_each(|page| {
        let at = address + page * PAGE_SIZE;
        pmap::map_kernel(tlb::kernel_root(), at, first.offset(page), bits)
    })
}

/// Maps device registers, uncached, for good; returns where.
pub fn map_device(start: PhysAddr, bytes: u64) -> Result<*mut u8> {
    let offset = start.0 % PAGE_SIZE;
    let pages = (offset + bytes).div_ceil(PAGE_SIZE);
    let address = NEXT_DEVICE.fetch_add(pages * PAGE_SIZE, Relaxed);
    if address + pages * PAGE_SIZE > DEVICES_END {
        return Err(Error::NoMemory);
    }
    map(address, Frame::containing(start), pages, Pte::UNCACHED)?;
    Ok((address + offset) as *mut u8)
}
