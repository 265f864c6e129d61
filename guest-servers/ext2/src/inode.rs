//! The inode as it lies in the inode table.

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::types::{DeviceNumber, FileType};

/// Bytes of the part of an inode that revision 0 defines; the rest is left as it is.
pub(crate) const SIZE: usize = 128;
/// Pointers in `i_block`: 12 direct, then single, double and triple indirect.
pub(crate) const POINTERS: usize = 15;
/// `i_flags`: the directory has a hash tree over its entries.
pub(crate) const FLAG_INDEX: u32 = 0x1000;
/// `i_flags`: extents instead of a block map (ext4).
pub(crate) const FLAG_EXTENTS: u32 = 0x8_0000;
/// `i_mode`: set group id.
pub(crate) const MODE_SETGID: u16 = 0o2000;
/// Longest target of a symbolic link that is kept in `i_block`, in bytes.
pub(crate) const FAST_SYMLINK_MAX: usize = POINTERS * 4 - 1;

/// An inode's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inode {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub atime: u32,
    pub ctime: u32,
    pub mtime: u32,
    /// Time of deletion; in an orphan, the next inode of the orphan list.
    pub dtime: u32,
    pub links_count: u16,
    /// `i_blocks`: 512-byte sectors taken, indirect and attribute blocks included.
    pub sectors: u32,
    pub flags: u32,
    pub block: [u32; POINTERS],
    pub generation: u32,
    /// Block of extended attributes, or 0.
    pub file_acl: u32,
}

impl Inode {
    /// Parses the first [`SIZE`] bytes of an inode of the table.
    pub fn parse(raw: &[u8]) -> Self {
        let i_mode = u16_at(raw, 0);
        let i_size_high = if i_mode & 0xf000 == FileType::Regular.mode_bits() {
            u64::from(u32_at(raw, 108))
        } else {
            0
        };
        let mut block = [0; POINTERS];
        for (index, pointer) in block.iter_mut().enumerate() {
            *pointer = u32_at(raw, 40 + index * 4);
        }
        Inode {
            mode: i_mode,
            uid: u32::from(u16_at(raw, 2)) | u32::from(u16_at(raw, 120)) << 16,
            gid: u32::from(u16_at(raw, 24)) | u32::from(u16_at(raw, 122)) << 16,
            size: u64::from(u32_at(raw, 4)) | i_size_high << 32,
            atime: u32_at(raw, 8),
            ctime: u32_at(raw, 12),
            mtime: u32_at(raw, 16),
            dtime: u32_at(raw, 20),
            links_count: u16_at(raw, 26),
            sectors: u32_at(raw, 28),
            flags: u32_at(raw, 32),
            block,
            generation: u32_at(raw, 100),
            file_acl: u32_at(raw, 104),
        }
    }

    /// Writes all fields into the inode's bytes in the table.
    pub fn store(&self, raw: &mut [u8]) {
        put_u16(raw, 0, self.mode);
        put_u16(raw, 2, self.uid as u16);
        put_u32(raw, 4, self.size as u32);
        put_u32(raw, 8, self.atime);
        put_u32(raw, 12, self.ctime);
        put_u32(raw, 16, self.mtime);
        put_u32(raw, 20, self.dtime);
        put_u16(raw, 24, self.gid as u16);
        put_u16(raw, 26, self.links_count);
        put_u32(raw, 28, self.sectors);
        put_u32(raw, 32, self.flags);
        for (index, &pointer) in self.block.iter().enumerate() {
            put_u32(raw, 40 + index * 4, pointer);
        }
        put_u32(raw, 100, self.generation);
        put_u32(raw, 104, self.file_acl);
        if self.file_type() == Some(FileType::Regular) {
            put_u32(raw, 108, (self.size >> 32) as u32);
        }
        put_u16(raw, 120, (self.uid >> 16) as u16);
        put_u16(raw, 122, (self.gid >> 16) as u16);
    }

    pub fn file_type(&self) -> Option<FileType> {
        FileType::from_mode(self.mode)
    }

    pub fn is_directory(&self) -> bool {
        self.file_type() == Some(FileType::Directory)
    }

    /// Whether `i_block` holds the target of a symbolic link itself.
    pub fn is_fast_symlink(&self, sectors_per_block: u32) -> bool {
        let attributes = if self.file_acl != 0 {
            sectors_per_block
        } else {
            0
        };
        self.file_type() == Some(FileType::Symlink) && self.sectors <= attributes
    }

    /// Whether `i_block` holds pointers to blocks.
    pub fn has_block_map(&self, sectors_per_block: u32) -> bool {
        match self.file_type() {
            Some(FileType::Regular | FileType::Directory) => true,
            Some(FileType::Symlink) => !self.is_fast_symlink(sectors_per_block),
            _ => false,
        }
    }

    /// The device of a device node: old (8:8 bits) or new encoding.
    pub fn device(&self) -> DeviceNumber {
        if !matches!(
            self.file_type(),
            Some(FileType::CharDevice | FileType::BlockDevice)
        ) {
            return DeviceNumber::default();
        }
        match self.block[0] {
            0 => {
                let new = self.block[1];
                DeviceNumber {
                    major: (new >> 8) & 0xfff,
                    minor: (new & 0xff) | ((new >> 12) & 0xf_ff00),
                }
            }
            old => DeviceNumber {
                major: (old >> 8) & 0xff,
                minor: old & 0xff,
            },
        }
    }

    pub fn set_device(&mut self, device: DeviceNumber) {
        let DeviceNumber { major, minor } = device;
        if major < 256 && minor < 256 {
            self.block[0] = major << 8 | minor;
        } else {
            self.block[1] = (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_then_parse_is_identity() {
        let mut raw = [0xa5u8; SIZE];
        let inode = Inode {
            mode: 0o100_644,
            uid: 0x1_2345,
            gid: 0xfedc_ba98,
            size: 0x12_3456_7890,
            atime: 1,
            ctime: 2,
            mtime: 3,
            dtime: 4,
            links_count: 5,
            sectors: 6,
            flags: 7,
            block: core::array::from_fn(|i| i as u32 + 100),
            generation: 8,
            file_acl: 9,
        };
        inode.store(&mut raw);
        assert_eq!(Inode::parse(&raw), inode);
        assert_eq!(raw[36..40], [0xa5; 4], "fields of other systems stay");
    }

    #[test]
    fn device_numbers_in_both_encodings() {
        for device in [
            (1, 3),
            (255, 255),
            (256, 0),
            (8, 0x1_2345),
            (0xfff, 0xf_ffff),
            (0, 0),
        ] {
            let device = DeviceNumber {
                major: device.0,
                minor: device.1,
            };
            let mut inode = Inode::parse(&[0; SIZE]);
            inode.mode = FileType::CharDevice.mode_bits();
            inode.set_device(device);
            assert_eq!(inode.device(), device);
        }
    }
}
