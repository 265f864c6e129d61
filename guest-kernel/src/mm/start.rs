//! Takes over RAM from the boot code.

use arrayvec::ArrayVec;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;

use super::buddy::{Content, REGIONS};
use super::page::{self, Page};
use super::phys::{Frame, PhysAddr};
use super::{frame, info, pmap, tlb};

/// RAM below this address is left to firmware, boot structures and the application processors'
/// trampoline.
const LOWEST: u64 = 1 << 20;
/// Descriptors go up to a multiple of so many frames: a largest block's buddy has one too.
const ROUND: u64 = 1024;

/// What the boot code knows about memory; addresses are physical, ends exclusive, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct BootMemory<'a> {
    /// RAM.
    pub usable: &'a [(u64, u64)],
    /// Parts of it in use: the kernel's image, boot modules, boot information still needed.
    pub reserved: &'a [(u64, u64)],
    /// Whether RAM outside `reserved` is known to be zero.
    pub content: Content,
    /// Root of the boot page tables, which hold the kernel and the direct map of all RAM.
    pub root: PhysAddr,
}

type Pieces = ArrayVec<(u64, u64), REGIONS>;

/// Sets up descriptors, frames, the kernel's root table and the information page.
///
/// Touches no memory in proportion to RAM, unless RAM is not known to be zero: then the
/// descriptors are cleared.
pub fn init(memory: &BootMemory<'_>) -> Result<()> {
    let mut pieces = free_pieces(memory);
    reserve_descriptors(memory, &mut pieces)?;
    for (start, end) in pieces {
        let frame = |address| Frame::containing(PhysAddr(address));
        frame::add_region(frame(start), frame(end), memory.content);
    }
    tlb::set_kernel_root(memory.root);
    pmap::adopt_kernel(memory.root);
    info::init()
}

/// RAM minus what is reserved, in whole pages.
fn free_pieces(memory: &BootMemory<'_>) -> Pieces {
    let mut pieces = Pieces::new();
    for &(start, end) in memory.usable {
        let mut start = start.max(LOWEST).next_multiple_of(PAGE_SIZE);
        let end = end / PAGE_SIZE * PAGE_SIZE;
        while start < end {
            let inside = memory
                .reserved
                .iter()
                .filter(|used| used.1 > start && used.0 < end);
            let next = inside
                .min_by_key(|used| used.0)
                .copied()
                .unwrap_or((end, end));
            if start < next.0 / PAGE_SIZE * PAGE_SIZE {
                let _ = pieces.try_push((start, next.0 / PAGE_SIZE * PAGE_SIZE));
            }
            start = next.1.next_multiple_of(PAGE_SIZE);
        }
    }
    pieces
}

/// Takes room for the descriptors from the first piece that is large enough.
fn reserve_descriptors(memory: &BootMemory<'_>, pieces: &mut Pieces) -> Result<()> {
    let end = memory
        .usable
        .iter()
        .map(|&(_, end)| end / PAGE_SIZE)
        .max()
        .unwrap_or(0);
    let count = end.next_multiple_of(ROUND);
    let bytes = (count * size_of::<Page>() as u64).next_multiple_of(PAGE_SIZE);
    let piece = pieces.iter_mut().find(|piece| piece.1 - piece.0 >= bytes);
    let piece = piece.ok_or(Error::NoMemory)?;
    let first = Frame::containing(PhysAddr(piece.0));
    piece.0 += bytes;
    if memory.content == Content::Dirty {
        (0..bytes / PAGE_SIZE).for_each(|index| first.offset(index).zero());
    }
    page::adopt_descriptors(first);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_parts_are_cut_out_of_ram() {
        let memory = BootMemory {
            usable: &[
                (0, 0x9_fc00),
                (0x10_0000, 0x100_0000),
                (1 << 32, (1 << 32) + 0x5800),
            ],
            reserved: &[
                (0x30_0000, 0x40_0800),
                (0x10_0000, 0x20_0000),
                (0x3f_0000, 0x3f_8000),
            ],
            content: Content::Zero,
            root: PhysAddr(0),
        };
        let expected: [(u64, u64); 3] = [
            (0x20_0000, 0x30_0000),
            (0x40_1000, 0x100_0000),
            (1 << 32, (1 << 32) + 0x5000),
        ];
        assert_eq!(free_pieces(&memory).as_slice(), expected);
    }
}
