//! Symbolic links: short targets in the inode itself, long ones in a block.

use crate::block_map::{allocate, map};
use crate::bytes::u32_at;
use crate::cache::{Class, Tag};
use crate::inode::FAST_SYMLINK_MAX;
use crate::mount::Ext2;
use crate::node::Node;
use crate::types::{FileType, Ino, NewNode};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

impl<D: BlockDevice> Ext2<D> {
    /// Makes a symbolic link to `target`.
    pub fn symlink(&mut self, dir: Ino, name: &[u8], target: &[u8], new: &NewNode) -> Result<Ino> {
        if target.is_empty() || target.contains(&0) {
            return Err(Error::Invalid);
        }
        // The block also holds a terminating zero.
        if target.len() >= self.volume.block_size() {
            return Err(Error::NameTooLong);
        }
        self.update(|fs| {
            fs.make(dir, name, new, FileType::Symlink, |volume, node| {
                set_target(volume, node, target)
            })
        })
    }

    /// Copies the target of a symbolic link to `buf`, as much as fits; returns that length.
    pub fn readlink(&mut self, ino: Ino, buf: &mut [u8]) -> Result<usize> {
        let node = self.nodes.get(&mut self.volume, ino)?;
        if node.inode.file_type() != Some(FileType::Symlink) {
            return Err(Error::Invalid);
        }
        let len = (node.inode.size as usize).min(buf.len());
        if node
            .inode
            .is_fast_symlink(self.volume.superblock.sectors_per_block())
        {
            for (index, byte) in buf[..len].iter_mut().enumerate() {
                *byte = node.inode.block[index / 4].to_le_bytes()[index % 4];
            }
            return Ok(len);
        }
        let hole = Error::corrupt("symbolic link without content", ino.0);
        let block = map(&mut self.volume, node, 0)?.physical.ok_or(hole)?;
        buf[..len].copy_from_slice(&self.volume.cache.get(block)?[..len]);
        Ok(len)
    }
}

fn set_target<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    target: &[u8],
) -> Result<()> {
    if target.len() <= FAST_SYMLINK_MAX {
        let mut raw = [0; FAST_SYMLINK_MAX + 1];
        raw[..target.len()].copy_from_slice(target);
        for (index, word) in node.inode.block.iter_mut().enumerate() {
            *word = u32_at(&raw, index * 4);
        }
    } else {
        let extent = allocate(volume, node, 0, 1)?;
        let hole = Error::corrupt("symbolic link without content", node.ino.0);
        let block = extent.physical.ok_or(hole)?;
        let raw = volume.cache.zeroed(block, Tag::of(Class::Data, node.ino))?;
        raw[..target.len()].copy_from_slice(target);
    }
    node.inode.size = target.len() as u64;
    Ok(())
}
