//! The mounted volume below the files: cache, superblock, group descriptors, and what the
//! allocators remember. Superblock and descriptors live here parsed and are put into the
//! cache by [`Volume::store_counters`] when everything is written.

use alloc::vec::Vec;

use crate::bitmap;
use crate::cache::{Cache, Tag};
use crate::dir::DirIndexes;
use crate::group::{self, Group};
use crate::hash::NumberMap;
use crate::reserve::{Privilege, Reservations};
use crate::superblock::{self, STATE_ERROR, Superblock};
use crate::types::{BlockNr, Ino};
use crate::{BlockDevice, Error, Result};

pub(crate) struct Volume<D> {
    pub cache: Cache<D>,
    pub superblock: Superblock,
    pub superblock_dirty: bool,
    pub groups: Vec<Group>,
    pub read_only: bool,
    pub privilege: Privilege,
    pub reservations: Reservations,
    pub indexes: DirIndexes,
    /// Next `i_generation`.
    pub generation: u32,
    /// Blocks that hold superblocks, descriptors, bitmaps and inode tables (`f_blocks` omits them).
    pub overhead: u64,
}

impl<D: BlockDevice> Volume<D> {
    /// Reads and checks superblock and group descriptors. Writes nothing.
    pub fn open(mut device: D, cache_blocks: usize) -> Result<Self> {
        let superblock = read_superblock(&mut device)?;
        let device_bytes = device
            .sector_count()
            .saturating_mul(u64::from(device.sector_size()));
        if u64::from(superblock.blocks_count) << superblock.block_bits > device_bytes {
            return Err(Error::corrupt(
                "s_blocks_count exceeds the device",
                superblock.blocks_count,
            ));
        }
        let mut cache = Cache::new(device, superblock.block_size(), cache_blocks);
        let first = superblock.first_data_block + 1;
        let groups = group::parse_table(&superblock, |index, parse| {
            parse(cache.get(BlockNr(first + index))?)
        })?;
        let mut volume = Volume {
            cache,
            groups,
            superblock_dirty: false,
            read_only: true,
            privilege: Privilege::Privileged,
            reservations: Reservations::new(NumberMap::default()),
            indexes: DirIndexes::default(),
            generation: superblock.wtime ^ superblock.free_blocks_count.rotate_left(16),
            overhead: 0,
            superblock,
        };
        volume.overhead = volume.count_overhead();
        Ok(volume)
    }

    pub fn block_size(&self) -> usize {
        self.superblock.block_size()
    }

    pub fn block_bits(&self) -> u32 {
        self.superblock.block_bits
    }

    /// Checks a run of block pointers of a file: inside the file system and no metadata.
    pub fn file_blocks(&self, start: u32, len: u32) -> Result<BlockNr> {
        let first = self
            .superblock
            .block(start, "block pointer outside the file system")?;
        if len == 0
            || self.superblock.blocks_count - start < len
            || group::overlaps_system(&self.superblock, &self.groups, start, len)
        {
            return Err(Error::corrupt(
                "block pointer to file system metadata",
                start,
            ));
        }
        Ok(first)
    }

    /// Where an inode lies: block of the table and offset in it.
    pub fn inode_position(&self, ino: Ino) -> (BlockNr, usize) {
        let group = &self.groups[self.superblock.group_of_inode(ino) as usize];
        let index = (ino.0 - 1) % self.superblock.inodes_per_group;
        let per_block = self.block_size() as u32 / self.superblock.inode_size;
        let offset = (index % per_block) * self.superblock.inode_size;
        (group.inode_table.plus(index / per_block), offset as usize)
    }

    /// Blocks from `block` to the end of the inode table that holds `ino` there.
    pub fn inode_table_rest(&self, ino: Ino, block: BlockNr) -> u32 {
        let group = &self.groups[self.superblock.group_of_inode(ino) as usize];
        group.inode_table.0 + self.superblock.inode_table_blocks() - block.0
    }

    /// Notes in the superblock that something on the disk is wrong.
    pub fn mark_errors(&mut self) {
        self.superblock.state |= STATE_ERROR;
        self.superblock_dirty = true;
    }

    /// Puts changed descriptors and the superblock into the cache.
    pub fn store_counters(&mut self) -> Result<()> {
        let per_block = self.block_size() / group::SIZE;
        let first = self.superblock.first_data_block + 1;
        for (number, group) in self.groups.iter_mut().enumerate().filter(|(_, g)| g.dirty) {
            let table_block = BlockNr(first + (number / per_block) as u32);
            let raw = self.cache.modify(table_block, Tag::SUPER)?;
            group.store(&mut raw[number % per_block * group::SIZE..]);
            group.dirty = false;
        }
        if self.superblock_dirty {
            let (block, offset) = superblock_position(&self.superblock);
            let raw = self.cache.modify(block, Tag::SUPER)?;
            self.superblock.store(&mut raw[offset..]);
            self.superblock_dirty = false;
        }
        Ok(())
    }

    /// Copies superblock and descriptors to the backups in other groups.
    pub fn store_backups(&mut self) -> Result<()> {
        if !self.superblock.backups_known() {
            return Ok(());
        }
        let (block, offset) = superblock_position(&self.superblock);
        let primary = self.cache.get(block)?[offset..offset + superblock::SIZE].to_vec();
        for number in 1..self.superblock.groups {
            if !self.superblock.has_super(number) {
                continue;
            }
            let start = BlockNr(self.superblock.group_start(number));
            let raw = self.cache.zeroed(start, Tag::SUPER)?;
            raw[..superblock::SIZE].copy_from_slice(&primary);
            Superblock::make_backup(raw, number);
            for index in 1..=self.superblock.gdt_blocks() {
                let from = BlockNr(self.superblock.first_data_block + index);
                let descriptors = self.cache.get(from)?.to_vec();
                self.cache
                    .replace(start.plus(index), Tag::SUPER)?
                    .copy_from_slice(&descriptors);
            }
        }
        Ok(())
    }

    /// Sets all free counts to what the bitmaps say.
    pub fn recount(&mut self) -> Result<()> {
        let (mut blocks, mut inodes) = (0, 0);
        for number in 0..self.superblock.groups {
            let group = &mut self.groups[number as usize];
            let block_bits = self.superblock.group_blocks(number);
            let map = self.cache.get(group.block_bitmap)?;
            let free_blocks = bitmap::count_clear(map, block_bits);
            let map = self.cache.get(group.inode_bitmap)?;
            let free_inodes = bitmap::count_clear(map, self.superblock.inodes_per_group);
            group.free_blocks_count = free_blocks as u16;
            group.free_inodes_count = free_inodes as u16;
            group.dirty = true;
            blocks += free_blocks;
            inodes += free_inodes;
        }
        self.superblock.free_blocks_count = blocks;
        self.superblock.free_inodes_count = inodes;
        self.superblock_dirty = true;
        Ok(())
    }

    fn count_overhead(&self) -> u64 {
        let superblock = &self.superblock;
        let copies = (0..superblock.groups)
            .filter(|&g| superblock.has_super(g))
            .count() as u64;
        u64::from(superblock.first_data_block)
            + u64::from(superblock.groups) * u64::from(2 + superblock.inode_table_blocks())
            + copies * u64::from(1 + superblock.gdt_blocks())
    }
}

fn read_superblock<D: BlockDevice>(device: &mut D) -> Result<Superblock> {
    let sector_size = u64::from(device.sector_size());
    if !sector_size.is_power_of_two() || sector_size > superblock::OFFSET {
        return Err(Error::Unsupported {
            what: "sector size",
            value: sector_size as u32,
        });
    }
    if device.sector_count().saturating_mul(sector_size) < superblock::OFFSET * 2 {
        return Err(Error::NotExt2);
    }
    let mut raw = [0; superblock::SIZE];
    device.read(superblock::OFFSET / sector_size, &mut raw)?;
    Superblock::parse(&raw)
}

fn superblock_position(superblock: &Superblock) -> (BlockNr, usize) {
    let block = BlockNr(superblock.first_data_block);
    (
        block,
        if superblock.block_bits == 10 {
            0
        } else {
            superblock::OFFSET as usize
        },
    )
}
