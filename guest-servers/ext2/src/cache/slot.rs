//! One block's place in the cache.

use alloc::boxed::Box;
use alloc::vec;

use super::{Class, Tag};
use crate::types::BlockNr;

pub(super) struct Slot {
    /// The block that `data` holds; `None` while unused.
    pub block: Option<BlockNr>,
    /// Whether `data` differs from the disk.
    pub dirty: bool,
    /// Meaningful while dirty.
    pub tag: Tag,
    pub data: Box<[u8]>,
}

impl Slot {
    pub fn new(block_size: usize) -> Self {
        Slot {
            block: None,
            dirty: false,
            tag: Tag {
                class: Class::Data,
                owner: None,
            },
            data: vec![0; block_size].into_boxed_slice(),
        }
    }
}
