//! Guest RAM: anonymous private mappings from 0 upward with a hole below 4 GiB.

use ferrix_machine::memory::{HIGH_RAM_BASE, MMIO_HOLE_BASE};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::config::MemorySize;

/// Guest RAM. Pages cost the host nothing until they are touched.
pub type Ram = GuestMemoryMmap<()>;

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

/// Reserves address space for the RAM of a machine.
pub fn allocate(size: MemorySize) -> std::io::Result<Ram> {
    Ram::from_ranges(&ranges(size)).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_skips_the_hole() {
        assert_eq!(ranges(MemorySize::mib(256)), [(GuestAddress(0), 256 << 20)]);
        assert_eq!(
            ranges(MemorySize::mib(5 << 10)),
            [(GuestAddress(0), 3 << 30), (GuestAddress(4 << 30), 2 << 30)]
        );
    }
}
