//! Mounting after a crash without e2fsck at hand.
//!
//! Dirty blocks are written by class (see the cache), so a crash can leave bitmaps that have
//! blocks and inodes free which inodes on the disk still use: their deletion was about to be
//! written. Handing these out again would let two files share a block. So everything that an
//! inode with a name, or on the orphan list, uses is marked as taken; nothing is ever
//! marked as free. Then the free counts, which are written last, are counted anew. What a
//! crash only lost (blocks that no file has) remains for e2fsck to find.

use crate::bitmap;
use crate::block_map::DIRECT;
use crate::bytes::u32_at;
use crate::cache::Tag;
use crate::inode::{self, Inode};
use crate::types::{BlockNr, Ino};
use crate::volume::Volume;
use crate::{BlockDevice, Result};

/// Blocks of the inode table that are read in one request.
const READ_AHEAD: u32 = 32;

impl<D: BlockDevice> Volume<D> {
    /// Marks all that is in use as taken and counts what is free.
    pub fn recover(&mut self) -> Result<()> {
        for number in 0..self.superblock.groups {
            self.recover_group(number)?;
        }
        self.recover_orphans()?;
        self.recount()
    }

    fn recover_group(&mut self, number: u32) -> Result<()> {
        let size = self.superblock.inode_size as usize;
        let blocks = self.superblock.inode_table_blocks();
        let per_block = (self.block_size() / size) as u32;
        let first = number * self.superblock.inodes_per_group + 1;
        for index in 0..blocks {
            let block = self.groups[number as usize].inode_table.plus(index);
            let raw = self
                .cache
                .get_ahead(block, READ_AHEAD.min(blocks - index))?
                .to_vec();
            for (place, raw) in (0..per_block).zip(raw.chunks_exact(size)) {
                let inode = Inode::parse(&raw[..inode::SIZE]);
                let within = index * per_block + place;
                if inode.links_count > 0 && within < self.superblock.inodes_per_group {
                    self.take_inode(Ino(first + within), &inode)?;
                }
            }
        }
        Ok(())
    }

    fn recover_orphans(&mut self) -> Result<()> {
        let mut ino = Ino(self.superblock.last_orphan);
        for _ in 0..self.superblock.inodes_count {
            if ino == Ino::ROOT || !self.superblock.is_usable_inode(ino) {
                break;
            }
            let (block, offset) = self.inode_position(ino);
            let raw = self.cache.get(block)?;
            let inode = Inode::parse(&raw[offset..offset + inode::SIZE]);
            self.take_inode(ino, &inode)?;
            ino = Ino(inode.dtime);
        }
        Ok(())
    }

    /// Marks an inode and its blocks as taken.
    fn take_inode(&mut self, ino: Ino, inode: &Inode) -> Result<()> {
        if !self.superblock.is_usable_inode(ino) || inode.file_type().is_none() {
            return Ok(());
        }
        let group = &self.groups[self.superblock.group_of_inode(ino) as usize];
        let bit = (ino.0 - 1) % self.superblock.inodes_per_group;
        if !bitmap::is_set(self.cache.get(group.inode_bitmap)?, bit) {
            bitmap::set(self.cache.modify(group.inode_bitmap, Tag::BITMAP)?, bit, 1);
        }
        if inode.file_acl != 0 {
            self.take_tree(inode.file_acl, 0, &mut 1)?;
        }
        if inode.has_block_map(self.superblock.sectors_per_block()) {
            // A sound file has no more blocks than the disk: a damaged one ends there.
            let mut budget = self.superblock.blocks_count;
            for (slot, &pointer) in (0..).zip(&inode.block) {
                self.take_tree(pointer, (slot + 1u32).saturating_sub(DIRECT), &mut budget)?;
            }
        }
        Ok(())
    }

    /// Marks a block and, `depth` levels down, all that it points to.
    fn take_tree(&mut self, pointer: u32, depth: u32, budget: &mut u32) -> Result<()> {
        if pointer == 0 || *budget == 0 || self.file_blocks(pointer, 1).is_err() {
            return Ok(());
        }
        *budget -= 1;
        let number = self.superblock.group_of_block(pointer);
        let bit = pointer - self.superblock.group_start(number);
        let map = self.groups[number as usize].block_bitmap;
        if !bitmap::is_set(self.cache.get(map)?, bit) {
            bitmap::set(self.cache.modify(map, Tag::BITMAP)?, bit, 1);
        }
        if depth > 0 {
            let raw = self.cache.get(BlockNr(pointer))?.to_vec();
            for raw in raw.chunks_exact(4) {
                self.take_tree(u32_at(raw, 0), depth - 1, budget)?;
            }
        }
        Ok(())
    }
}
