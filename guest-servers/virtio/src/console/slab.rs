//! Fixed pieces of device memory that bytes are copied through.

use crate::dma::{DmaMemory, Segment};
use alloc::vec::Vec;

/// Bytes of a piece. Output of a screenful takes few; input comes in a few bytes each.
pub(super) const SLOT_BYTES: usize = 256;
/// Pieces start on a cache line.
const ALIGNMENT: usize = 64;

/// One piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u16);

impl Slot {
    fn offset(self) -> usize {
        usize::from(self.0) * SLOT_BYTES
    }
}

#[derive(Debug)]
pub(super) struct Slab {
    memory: DmaMemory,
    free: Vec<Slot>,
}

impl Slab {
    /// Bytes for `count` pieces, with their alignment.
    pub const fn bytes(count: u16) -> usize {
        count as usize * SLOT_BYTES + ALIGNMENT
    }

    /// Takes over memory of [`bytes`](Self::bytes)`(count)`.
    pub fn new(count: u16, mut memory: DmaMemory) -> Slab {
        let memory = memory
            .carve(usize::from(count) * SLOT_BYTES, ALIGNMENT)
            .expect("memory of `Slab::bytes`");
        Slab {
            memory,
            free: (0..count).rev().map(Slot).collect(),
        }
    }

    pub fn take(&mut self) -> Option<Slot> {
        self.free.pop()
    }

    pub fn give_back(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// The first `length` bytes of a piece, for a descriptor.
    pub fn segment(&self, slot: Slot, length: usize) -> Segment {
        self.memory.segment(slot.offset(), length as u32)
    }

    pub fn read(&self, slot: Slot, into: &mut [u8]) {
        self.memory.copy_out(slot.offset(), into);
    }

    /// Copies bytes into a piece; returns what to put into the descriptor.
    pub fn write(&self, slot: Slot, from: &[u8]) -> Segment {
        self.memory.copy_in(slot.offset(), from);
        self.segment(slot, from.len())
    }
}
