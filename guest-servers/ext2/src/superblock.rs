//! The superblock: geometry, features and counters of the file system.

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::types::{BlockNr, Ino};
use crate::{Error, Result};

/// Where the superblock lies, in bytes from the start of the device.
pub(crate) const OFFSET: u64 = 1024;
/// Bytes of the superblock.
pub(crate) const SIZE: usize = 1024;

const MAGIC: u16 = 0xef53;
/// `s_state`: unmounted cleanly.
pub(crate) const STATE_VALID: u16 = 1;
/// `s_state`: errors were detected.
pub(crate) const STATE_ERROR: u16 = 2;

const INCOMPAT_FILETYPE: u32 = 0x2;
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
const RO_COMPAT_LARGE_FILE: u32 = 0x2;
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
const SUPPORTED_INCOMPAT: u32 = INCOMPAT_FILETYPE;
const SUPPORTED_RO_COMPAT: u32 = RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE;

/// The parsed superblock. Counters, state and features change; the rest is geometry.
#[derive(Debug, Clone)]
pub(crate) struct Superblock {
    pub inodes_count: u32,
    pub blocks_count: u32,
    pub r_blocks_count: u32,
    pub free_blocks_count: u32,
    pub free_inodes_count: u32,
    pub first_data_block: u32,
    /// log2 of the block size in bytes: 10, 11 or 12.
    pub block_bits: u32,
    pub blocks_per_group: u32,
    pub inodes_per_group: u32,
    pub mtime: u32,
    pub wtime: u32,
    pub mnt_count: u16,
    pub state: u16,
    pub rev_level: u32,
    pub first_ino: u32,
    /// Bytes of an inode in the table.
    pub inode_size: u32,
    pub feature_compat: u32,
    pub feature_incompat: u32,
    pub feature_ro_compat: u32,
    pub last_orphan: u32,
    /// First half of `s_uuid`.
    pub fsid: u64,
    /// Number of block groups.
    pub groups: u32,
}

impl Superblock {
    /// Parses and checks the [`SIZE`] bytes at [`OFFSET`].
    pub fn parse(raw: &[u8]) -> Result<Self> {
        if u16_at(raw, 56) != MAGIC {
            return Err(Error::NotExt2);
        }
        let s_rev_level = u32_at(raw, 76);
        let dynamic = s_rev_level >= 1;
        let s_log_block_size = u32_at(raw, 24);
        if s_log_block_size > 2 {
            return Err(Error::Unsupported {
                what: "s_log_block_size",
                value: s_log_block_size,
            });
        }
        let mut superblock = Superblock {
            inodes_count: u32_at(raw, 0),
            blocks_count: u32_at(raw, 4),
            r_blocks_count: u32_at(raw, 8),
            free_blocks_count: u32_at(raw, 12),
            free_inodes_count: u32_at(raw, 16),
            first_data_block: u32_at(raw, 20),
            block_bits: 10 + s_log_block_size,
            blocks_per_group: u32_at(raw, 32),
            inodes_per_group: u32_at(raw, 40),
            mtime: u32_at(raw, 44),
            wtime: u32_at(raw, 48),
            mnt_count: u16_at(raw, 52),
            state: u16_at(raw, 58),
            rev_level: s_rev_level,
            first_ino: if dynamic { u32_at(raw, 84) } else { 11 },
            inode_size: if dynamic {
                u32::from(u16_at(raw, 88))
            } else {
                128
            },
            feature_compat: if dynamic { u32_at(raw, 92) } else { 0 },
            feature_incompat: if dynamic { u32_at(raw, 96) } else { 0 },
            feature_ro_compat: if dynamic { u32_at(raw, 100) } else { 0 },
            last_orphan: u32_at(raw, 232),
            fsid: u64::from(u32_at(raw, 104)) << 32 | u64::from(u32_at(raw, 108)),
            groups: 0,
        };
        superblock.check_features()?;
        superblock.check_geometry()?;
        superblock.check_counters()?;
        Ok(superblock)
    }

    fn check_features(&self) -> Result<()> {
        if self.rev_level > 1 {
            return Err(Error::Unsupported {
                what: "s_rev_level",
                value: self.rev_level,
            });
        }
        match self.feature_incompat & !SUPPORTED_INCOMPAT {
            0 => Ok(()),
            unknown => Err(Error::Unsupported {
                what: "s_feature_incompat",
                value: unknown,
            }),
        }
    }

    fn check_geometry(&mut self) -> Result<()> {
        let rule = |holds: bool, what| {
            if holds {
                Ok(())
            } else {
                Err(Error::corrupt(what, 0u32))
            }
        };
        let bits_in_block = self.block_size() as u32 * 8;
        rule(
            self.first_data_block == u32::from(self.block_bits == 10),
            "s_first_data_block",
        )?;
        rule(
            self.blocks_count > self.first_data_block + 1,
            "s_blocks_count",
        )?;
        rule(
            self.blocks_per_group >= 8
                && self.blocks_per_group.is_multiple_of(8)
                && self.blocks_per_group <= bits_in_block,
            "s_blocks_per_group",
        )?;
        rule(
            self.inodes_per_group > 0 && self.inodes_per_group <= bits_in_block,
            "s_inodes_per_group",
        )?;
        rule(
            self.inode_size.is_power_of_two()
                && self.inode_size >= 128
                && self.inode_size as usize <= self.block_size(),
            "s_inode_size",
        )?;
        self.groups = (self.blocks_count - self.first_data_block).div_ceil(self.blocks_per_group);
        rule(
            u64::from(self.groups) * u64::from(self.inodes_per_group)
                == u64::from(self.inodes_count),
            "s_inodes_count",
        )?;
        rule(
            self.first_ino >= 11 && self.first_ino <= self.inodes_count,
            "s_first_ino",
        )?;
        rule(
            self.first_data_block + 1 + self.gdt_blocks() < self.blocks_count,
            "group descriptors",
        )
    }

    fn check_counters(&self) -> Result<()> {
        if self.free_blocks_count > self.blocks_count
            || self.r_blocks_count > self.blocks_count
            || self.free_inodes_count > self.inodes_count
        {
            return Err(Error::corrupt("superblock counters", 0u32));
        }
        Ok(())
    }

    /// Writes what may have changed since [`parse`](Self::parse) back into its bytes.
    pub fn store(&self, raw: &mut [u8]) {
        put_u32(raw, 12, self.free_blocks_count);
        put_u32(raw, 16, self.free_inodes_count);
        put_u32(raw, 44, self.mtime);
        put_u32(raw, 48, self.wtime);
        put_u16(raw, 52, self.mnt_count);
        put_u16(raw, 58, self.state);
        if self.rev_level >= 1 {
            put_u32(raw, 100, self.feature_ro_compat);
        }
        put_u32(raw, 232, self.last_orphan);
    }

    /// Turns the bytes of the primary superblock into those of group `group`'s backup.
    pub fn make_backup(raw: &mut [u8], group: u32) {
        let s_state = u16_at(raw, 58);
        put_u16(raw, 58, s_state & !STATE_VALID);
        put_u16(raw, 90, group as u16);
    }

    /// Bytes in a block.
    pub fn block_size(&self) -> usize {
        1 << self.block_bits
    }

    /// 512-byte sectors in a block: the unit of `i_blocks`.
    pub fn sectors_per_block(&self) -> u32 {
        1 << (self.block_bits - 9)
    }

    /// Blocks of one copy of the group descriptor table.
    pub fn gdt_blocks(&self) -> u32 {
        self.groups
            .div_ceil(self.block_size() as u32 / crate::group::SIZE as u32)
    }

    /// Blocks of a group's inode table.
    pub fn inode_table_blocks(&self) -> u32 {
        self.inodes_per_group
            .div_ceil(self.block_size() as u32 / self.inode_size)
    }

    /// First block of a group.
    pub fn group_start(&self, group: u32) -> u32 {
        self.first_data_block + group * self.blocks_per_group
    }

    /// Blocks of a group: the last one may be short.
    pub fn group_blocks(&self, group: u32) -> u32 {
        (self.blocks_count - self.group_start(group)).min(self.blocks_per_group)
    }

    /// The group of a block that is inside the file system.
    pub fn group_of_block(&self, block: u32) -> u32 {
        (block - self.first_data_block) / self.blocks_per_group
    }

    /// The group of an inode that exists.
    pub fn group_of_inode(&self, ino: Ino) -> u32 {
        (ino.0 - 1) / self.inodes_per_group
    }

    /// Whether a group starts with a copy of superblock and group descriptors.
    pub fn has_super(&self, group: u32) -> bool {
        if group <= 1 || self.feature_ro_compat & RO_COMPAT_SPARSE_SUPER == 0 {
            return true;
        }
        [3, 5, 7].into_iter().any(|base| is_power_of(group, base))
    }

    /// Whether this library knows where the backups are.
    pub fn backups_known(&self) -> bool {
        self.feature_compat & COMPAT_SPARSE_SUPER2 == 0
    }

    /// The features that forbid writing, as bits of `s_feature_ro_compat`.
    pub fn unknown_ro_compat(&self) -> u32 {
        self.feature_ro_compat & !SUPPORTED_RO_COMPAT
    }

    /// Whether directory entries hold the file type.
    pub fn has_file_type(&self) -> bool {
        self.feature_incompat & INCOMPAT_FILETYPE != 0
    }

    /// Largest size of a regular file in bytes: by block map, `i_blocks` and revision.
    pub fn max_file_size(&self) -> u64 {
        let pointers = 1u64 << (self.block_bits - 2);
        let mapped = 12 + pointers + pointers.pow(2) + pointers.pow(3);
        // `i_blocks` counts indirect blocks too: leave their share of the 2^32 sectors.
        let counted = (u64::from(u32::MAX) / u64::from(self.sectors_per_block())) / pointers
            * (pointers - 1)
            - pointers;
        if self.rev_level == 0 {
            return 0x7fff_ffff;
        }
        mapped.min(counted) << self.block_bits
    }

    /// Notes that a file of this size exists; true if that changed the superblock.
    pub fn note_file_size(&mut self, size: u64) -> bool {
        let news = size > 0x7fff_ffff && self.feature_ro_compat & RO_COMPAT_LARGE_FILE == 0;
        if news {
            self.feature_ro_compat |= RO_COMPAT_LARGE_FILE;
        }
        news
    }

    /// Checks a block pointer's range.
    pub fn block(&self, pointer: u32, what: &'static str) -> Result<BlockNr> {
        if pointer > self.first_data_block && pointer < self.blocks_count {
            Ok(BlockNr(pointer))
        } else {
            Err(Error::corrupt(what, pointer))
        }
    }

    /// Whether an inode number may appear in a directory.
    pub fn is_usable_inode(&self, ino: Ino) -> bool {
        ino == Ino::ROOT || (ino.0 >= self.first_ino && ino.0 <= self.inodes_count)
    }
}

fn is_power_of(number: u32, base: u32) -> bool {
    let mut power = base;
    while power < number {
        power = power.saturating_mul(base);
    }
    power == number
}

#[cfg(test)]
mod tests {
    use super::is_power_of;

    #[test]
    fn sparse_groups() {
        let sparse: alloc::vec::Vec<u32> = (2..130)
            .filter(|&g| [3, 5, 7].iter().any(|&b| is_power_of(g, b)))
            .collect();
        assert_eq!(sparse, [3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }
}
