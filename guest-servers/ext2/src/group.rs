//! Group descriptors: where each group's bitmaps and inode table lie, and its free counts.

use alloc::vec::Vec;

use crate::bytes::{put_u16, u16_at, u32_at};
use crate::superblock::Superblock;
use crate::types::BlockNr;
use crate::{Error, Result};

/// Bytes of a descriptor.
pub(crate) const SIZE: usize = 32;

/// One block group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub block_bitmap: BlockNr,
    pub inode_bitmap: BlockNr,
    pub inode_table: BlockNr,
    pub free_blocks_count: u16,
    pub free_inodes_count: u16,
    pub used_dirs_count: u16,
    /// Whether the counters differ from those in the cached descriptor table.
    pub dirty: bool,
}

impl Group {
    /// Parses the descriptor of group `group` and checks that all it names lies in the group.
    pub fn parse(raw: &[u8], group: u32, superblock: &Superblock) -> Result<Self> {
        let bad = || Error::corrupt("group descriptor", group);
        let descriptor = Group {
            block_bitmap: superblock.block(u32_at(raw, 0), "bg_block_bitmap")?,
            inode_bitmap: superblock.block(u32_at(raw, 4), "bg_inode_bitmap")?,
            inode_table: superblock.block(u32_at(raw, 8), "bg_inode_table")?,
            free_blocks_count: u16_at(raw, 12),
            free_inodes_count: u16_at(raw, 14),
            used_dirs_count: u16_at(raw, 16),
            dirty: false,
        };
        let first = superblock.group_start(group);
        let end = first + superblock.group_blocks(group);
        let usable = first
            + if superblock.has_super(group) {
                1 + superblock.gdt_blocks()
            } else {
                0
            };
        let table_end = descriptor.inode_table.0 + superblock.inode_table_blocks();
        let inside = |start: u32, stop: u32| start >= usable && stop <= end;
        if !inside(descriptor.block_bitmap.0, descriptor.block_bitmap.0 + 1)
            || !inside(descriptor.inode_bitmap.0, descriptor.inode_bitmap.0 + 1)
            || !inside(descriptor.inode_table.0, table_end)
            || descriptor.block_bitmap == descriptor.inode_bitmap
            || descriptor.table_contains(descriptor.block_bitmap.0, superblock)
            || descriptor.table_contains(descriptor.inode_bitmap.0, superblock)
            || u32::from(descriptor.free_blocks_count) > superblock.group_blocks(group)
            || u32::from(descriptor.free_inodes_count) > superblock.inodes_per_group
        {
            return Err(bad());
        }
        Ok(descriptor)
    }

    /// Writes the counters into the descriptor's bytes.
    pub fn store(&self, raw: &mut [u8]) {
        put_u16(raw, 12, self.free_blocks_count);
        put_u16(raw, 14, self.free_inodes_count);
        put_u16(raw, 16, self.used_dirs_count);
    }

    fn table_contains(&self, block: u32, superblock: &Superblock) -> bool {
        (self.inode_table.0..self.inode_table.0 + superblock.inode_table_blocks()).contains(&block)
    }
}

/// Whether any of `len` blocks from `start` (inside the file system) is not for files:
/// superblock copies, descriptors, bitmaps, inode tables.
pub(crate) fn overlaps_system(
    superblock: &Superblock,
    groups: &[Group],
    start: u32,
    len: u32,
) -> bool {
    let end = start + len;
    let meets = |from: u32, count: u32| start < from + count && from < end;
    let last = superblock.group_of_block(end - 1);
    (superblock.group_of_block(start)..=last).any(|number| {
        let group = &groups[number as usize];
        meets(group.block_bitmap.0, 1)
            || meets(group.inode_bitmap.0, 1)
            || meets(group.inode_table.0, superblock.inode_table_blocks())
            || (superblock.has_super(number)
                && meets(superblock.group_start(number), 1 + superblock.gdt_blocks()))
    })
}

/// Parses a whole descriptor table given block by block.
pub(crate) fn parse_table(
    superblock: &Superblock,
    mut block: impl FnMut(u32, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<Vec<Group>> {
    let mut groups = Vec::with_capacity(superblock.groups as usize);
    for index in 0..superblock.gdt_blocks() {
        block(index, &mut |raw| {
            for descriptor in raw.chunks_exact(SIZE) {
                let number = groups.len() as u32;
                if number < superblock.groups {
                    groups.push(Group::parse(descriptor, number, superblock)?);
                }
            }
            Ok(())
        })?;
    }
    Ok(groups)
}
