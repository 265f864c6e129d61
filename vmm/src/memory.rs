//! Guest RAM: anonymous private mappings from 0 upward with a hole below 4 GiB.
//!
//! With nested paging each first touch of a page is an exit to KVM, so the host is asked for huge
//! pages. It can give them only where the host address and the guest address agree in their low 21
//! bits: every range begins on a 2 MiB boundary of both.
#![expect(unsafe_code, reason = "maps memory where the library cannot")]

use std::io;
use std::ptr;

use ferrix_machine::memory::{HIGH_RAM_BASE, MMIO_HOLE_BASE};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use crate::config::MemorySize;

/// Guest RAM. Pages cost the host nothing until they are touched.
pub type Ram = GuestMemoryMmap<()>;

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// The ranges of RAM of a machine with `size` bytes: below the hole, then above 4 GiB.
pub fn ranges(size: MemorySize) -> Vec<(GuestAddress, usize)> {
    let low = size.bytes().min(MMIO_HOLE_BASE);
    let high = size.bytes() - low;
    let mut ranges = vec![(GuestAddress(0), low as usize)];
    if high > 0 {
        ranges.push((GuestAddress(HIGH_RAM_BASE), high as usize));
    }
    ranges
}

/// Reserves address space for the RAM of a machine. It stays until the process ends, as a machine does.
pub fn allocate(size: MemorySize) -> io::Result<Ram> {
    let regions = ranges(size).into_iter().map(|(base, length)| {
        GuestRegionMmap::new(region(length)?, base).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    });
    let regions = regions.collect::<io::Result<Vec<_>>>()?;
    Ram::from_regions(regions).map_err(io::Error::other)
}

/// A mapping of `length` bytes that begins on a huge page's boundary.
fn region(length: usize) -> io::Result<MmapRegion> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    let reserved = length + HUGE;
    // SAFETY: a fresh mapping where the system finds room: nothing else is there.
    let address = unsafe { mmap_anonymous(ptr::null_mut(), reserved, protection, flags) }?;
    let before = address.align_offset(HUGE);
    // SAFETY: the address lies inside the mapping, as `before` < HUGE.
    let start = unsafe { address.byte_add(before) };
    trim(address, before)?;
    trim(start.wrapping_byte_add(length), HUGE - before)?;
    // A host without huge pages is slower, not wrong.
    // SAFETY: the range is the mapping made above; the advice does not change its contents.
    let _ = unsafe { madvise(start, length, Advice::LinuxHugepage) };
    let (protection, flags) = (protection.bits() as i32, flags.bits() as i32);
    // SAFETY: the range is the mapping made above, which is never unmapped.
    unsafe { MmapRegion::build_raw(start.cast(), length, protection, flags) }
        .map_err(io::Error::other)
}

/// Gives back what was mapped only to find a boundary.
fn trim(address: *mut core::ffi::c_void, length: usize) -> io::Result<()> {
    if length > 0 {
        // SAFETY: a part of the fresh mapping that nobody was told of.
        unsafe { munmap(address, length) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_begins_on_huge_pages() {
        use vm_memory::{Bytes, GuestMemoryBackend};
        let ram = allocate(MemorySize::mib(33)).unwrap();
        let host = ram.get_host_address(GuestAddress(0)).unwrap();
        assert_eq!(host.addr() % HUGE, 0);
        let last = GuestAddress((33 << 20) - 8);
        ram.write_obj(7u64, last).unwrap();
        assert_eq!(ram.read_obj::<u64>(last).unwrap(), 7);
    }

    #[test]
    fn ram_skips_the_hole() {
        assert_eq!(ranges(MemorySize::mib(256)), [(GuestAddress(0), 256 << 20)]);
        assert_eq!(
            ranges(MemorySize::mib(5 << 10)),
            [(GuestAddress(0), 3 << 30), (GuestAddress(4 << 30), 2 << 30)]
        );
    }
}
