//! Room ahead of writing: `fallocate(2)`.

use super::file::{check_regular, drop_behind_end, grow};
use crate::block_map::{allocate, map};
use crate::cache::{Class, Tag};
use crate::mount::Ext2;
use crate::node::Node;
use crate::types::{Ino, Timestamp};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

impl<D: BlockDevice> Ext2<D> {
    /// Gives blocks, of zeros, to the holes among `length` bytes from `offset` on; a file that ends before their end
    /// grows to it. Without space for all of it the file keeps its size, and blocks in what were its holes.
    pub fn allocate(&mut self, ino: Ino, offset: u64, length: u64, now: Timestamp) -> Result<()> {
        self.update(|fs| {
            let limit = fs.volume.superblock.max_file_size();
            let node = fs.nodes.get(&mut fs.volume, ino)?;
            check_regular(node)?;
            let end = offset.checked_add(length).filter(|&end| end <= limit);
            let end = end.ok_or(Error::FileTooLarge)?;
            let outcome = fill_holes(&mut fs.volume, node, offset, end);
            if outcome.is_ok() {
                if end > node.inode.size {
                    grow(&mut fs.volume, node, end);
                    node.inode.mtime = now.to_disk();
                }
                node.inode.ctime = now.to_disk();
            }
            node.store(&mut fs.volume)?;
            if outcome.is_err() {
                drop_behind_end(&mut fs.volume, node)?;
            }
            outcome
        })
    }
}

fn fill_holes<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    offset: u64,
    end: u64,
) -> Result<()> {
    let bits = volume.block_bits();
    let tag = Tag::of(Class::Data, node.ino);
    let last = end.div_ceil(volume.block_size() as u64) as u32;
    let mut logical = (offset >> bits) as u32;
    while logical < last {
        let rest = last - logical;
        let extent = map(volume, node, logical)?;
        if extent.physical.is_some() {
            logical += extent.len.min(rest);
            continue;
        }
        let extent = allocate(volume, node, logical, rest)?;
        let Some(first) = extent.physical else {
            continue;
        };
        for index in 0..extent.len {
            volume.cache.zeroed(first.plus(index), tag)?;
        }
        logical += extent.len;
    }
    Ok(())
}
