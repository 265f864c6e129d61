//! The blocks' places in the cache, and their memory, which comes and goes in large pieces.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::{Class, Tag};
use crate::types::BlockNr;

/// Blocks in a piece of memory: whole pages lie in it.
const PIECE: usize = 16;

pub(super) struct Slot {
    /// The block that its memory holds; `None` while unused.
    pub block: Option<BlockNr>,
    /// Whether the memory differs from the disk.
    pub dirty: bool,
    /// Meaningful while dirty.
    pub tag: Tag,
}

impl Slot {
    pub fn new() -> Self {
        Slot {
            block: None,
            dirty: false,
            tag: Tag {
                class: Class::Data,
                owner: None,
            },
        }
    }
}

/// The memory of the slots, by number.
pub(super) struct Memory {
    block_size: usize,
    pieces: Vec<Box<[u8]>>,
}

impl Memory {
    pub fn new(block_size: usize) -> Self {
        Memory {
            block_size,
            pieces: Vec::new(),
        }
    }

    /// Makes sure that slot `slot`, the next one, has memory.
    pub fn add(&mut self, slot: usize) {
        if slot / PIECE == self.pieces.len() {
            let bytes = vec![0; PIECE * self.block_size];
            self.pieces.push(bytes.into_boxed_slice());
        }
    }

    pub fn block(&self, slot: usize) -> &[u8] {
        let at = slot % PIECE * self.block_size;
        &self.pieces[slot / PIECE][at..at + self.block_size]
    }

    pub fn block_mut(&mut self, slot: usize) -> &mut [u8] {
        let at = slot % PIECE * self.block_size;
        &mut self.pieces[slot / PIECE][at..at + self.block_size]
    }

    /// The pieces that the first `slots` slots lie in.
    pub fn pieces_of(&mut self, slots: usize) -> impl Iterator<Item = &mut [u8]> {
        let used = slots.div_ceil(PIECE);
        self.pieces.iter_mut().take(used).map(|piece| &mut **piece)
    }
}
