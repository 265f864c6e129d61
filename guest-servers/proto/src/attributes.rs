//! What is known of a file: the fields of POSIX's `struct stat`.

use bitflags::bitflags;

/// Attributes of a file; 128 bytes, so that they fit a LONG message with room to spare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Attributes {
    /// Device that holds the file (`st_dev`).
    pub device: u64,
    /// Serial number on that device.
    pub inode: u64,
    /// Type and permission bits (`S_IF*`, 07777).
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node (`st_rdev`, Linux's encoding).
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Allocated 512-byte units.
    pub blocks: u64,
    /// Preferred I/O size in bytes.
    pub block_size: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// Last access, in nanoseconds since 1970 (signed).
    pub accessed: i64,
    /// Last change of the data.
    pub modified: i64,
    /// Last change of the attributes.
    pub changed: i64,
    /// Fills 128 bytes.
    pub padding: [u64; 5],
}

const _: () = assert!(size_of::<Attributes>() == 128);

bitflags! {
    /// Which fields a change sets.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Change: u32 {
        /// `mode` (permission bits).
        const MODE = 1 << 0;
        /// `uid`.
        const UID = 1 << 1;
        /// `gid`.
        const GID = 1 << 2;
        /// `size`.
        const SIZE = 1 << 3;
        /// `accessed`, to the value given.
        const ACCESSED = 1 << 4;
        /// `modified`, to the value given.
        const MODIFIED = 1 << 5;
        /// `accessed`, to now.
        const ACCESSED_NOW = 1 << 6;
        /// `modified`, to now.
        const MODIFIED_NOW = 1 << 7;
    }
}

/// What `statfs` tells of a file system; 88 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FilesystemInfo {
    /// Linux's magic number of the type (`EXT2_SUPER_MAGIC` 0xef53 …).
    pub magic: u64,
    /// Bytes per block.
    pub block_size: u64,
    /// Blocks.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for unprivileged users.
    pub blocks_available: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Identity of the file system.
    pub id: u64,
    /// Longest name in bytes.
    pub name_max: u64,
    /// `ST_*` mount flags.
    pub flags: u64,
    /// Reserved, zero.
    pub reserved: u64,
}

/// View of a plain structure as the bytes that travel.
pub trait Plain: Copy + Default {
    /// The bytes, native endian.
    fn to_bytes(&self) -> &[u8];
    /// From at least `size_of::<Self>()` bytes; `None` if there are fewer.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

#[expect(
    unsafe_code,
    reason = "the one place where plain structures become bytes"
)]
mod plain {
    use super::{Attributes, FilesystemInfo, Plain};
    use crate::shm::{Segment, Summary};
    use crate::sysv::{MessageQueue, SemaphoreSet};

    macro_rules! plain {
        ($($name:ty),*) => {$(
            impl Plain for $name {
                fn to_bytes(&self) -> &[u8] {
                    // SAFETY: the structure is `repr(C)` of integers without padding, so each of
                    // its bytes is initialised, and the slice covers exactly the structure.
                    unsafe { core::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
                }

                fn from_bytes(bytes: &[u8]) -> Option<Self> {
                    let bytes = bytes.get(..size_of::<Self>())?;
                    // SAFETY: the slice holds `size_of::<Self>()` bytes, every bit pattern is a
                    // valid value of an integer structure, and the read may be unaligned.
                    Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
                }
            }
        )*};
    }
    plain!(
        Attributes,
        FilesystemInfo,
        Segment,
        Summary,
        MessageQueue,
        SemaphoreSet
    );
}
