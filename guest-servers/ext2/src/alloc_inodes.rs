//! Inode allocation: in the parent's group, where there is room.

use crate::bitmap;
use crate::cache::Tag;
use crate::types::{FileType, Ino};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

impl<D: BlockDevice> Volume<D> {
    /// Takes a free inode near `parent`.
    pub fn allocate_inode(&mut self, parent: Ino, file_type: FileType) -> Result<Ino> {
        if self.superblock.free_inodes_count == 0 {
            return Err(Error::NoSpace);
        }
        let home = self.superblock.group_of_inode(parent);
        let groups = self.superblock.groups;
        // First groups that also have blocks for the content, then any.
        for with_blocks in [true, false] {
            for step in 0..groups {
                let number = (home + step) % groups;
                if with_blocks && self.groups[number as usize].free_blocks_count == 0 {
                    continue;
                }
                if let Some(ino) = self.allocate_inode_in(number, file_type)? {
                    return Ok(ino);
                }
            }
        }
        Err(Error::NoSpace)
    }

    fn allocate_inode_in(&mut self, number: u32, file_type: FileType) -> Result<Option<Ino>> {
        let group = &mut self.groups[number as usize];
        if group.free_inodes_count == 0 {
            return Ok(None);
        }
        let per_group = self.superblock.inodes_per_group;
        let base = number * per_group;
        // Reserved inodes are never given out, whatever the bitmap says.
        let from = (self.superblock.first_ino - 1)
            .saturating_sub(base)
            .min(per_group);
        let map = self.cache.get(group.inode_bitmap)?;
        let Some(bit) = bitmap::first_clear(map, from, per_group) else {
            return Ok(None);
        };
        bitmap::set(self.cache.modify(group.inode_bitmap, Tag::BITMAP)?, bit, 1);
        group.free_inodes_count -= 1;
        if file_type == FileType::Directory {
            group.used_dirs_count = group.used_dirs_count.saturating_add(1);
        }
        group.dirty = true;
        self.superblock.free_inodes_count = self.superblock.free_inodes_count.saturating_sub(1);
        self.superblock_dirty = true;
        Ok(Some(Ino(base + bit + 1)))
    }

    /// Gives an inode back.
    pub fn free_inode(&mut self, ino: Ino, file_type: Option<FileType>) -> Result<()> {
        if ino.0 < self.superblock.first_ino || ino.0 > self.superblock.inodes_count {
            return Err(Error::corrupt("freeing a reserved inode", ino.0));
        }
        let number = self.superblock.group_of_inode(ino);
        let group = &mut self.groups[number as usize];
        let bit = (ino.0 - 1) % self.superblock.inodes_per_group;
        if !bitmap::is_set(self.cache.get(group.inode_bitmap)?, bit) {
            return Err(Error::corrupt(
                "inode is in use but free in the bitmap",
                ino.0,
            ));
        }
        bitmap::clear(self.cache.modify(group.inode_bitmap, Tag::BITMAP)?, bit, 1);
        let free = u32::from(group.free_inodes_count) + 1;
        group.free_inodes_count = free.min(self.superblock.inodes_per_group) as u16;
        if file_type == Some(FileType::Directory) {
            group.used_dirs_count = group.used_dirs_count.saturating_sub(1);
        }
        group.dirty = true;
        let total = self.superblock.free_inodes_count + 1;
        self.superblock.free_inodes_count = total.min(self.superblock.inodes_count);
        self.superblock_dirty = true;
        Ok(())
    }
}
