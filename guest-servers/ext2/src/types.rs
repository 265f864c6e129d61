//! The words of the public interface: inode numbers, times, file types, attributes.

/// An inode number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u32);

impl Ino {
    /// The root directory (`EXT2_ROOT_INO`).
    pub const ROOT: Ino = Ino(2);
}

/// Number of a block of the device that was checked to lie inside the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockNr(pub(crate) u32);

impl BlockNr {
    pub(crate) fn plus(self, blocks: u32) -> Self {
        BlockNr(self.0 + blocks)
    }
}

/// Blocks that follow one another on the disk; empty if `len` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub start: u32,
    pub len: u32,
}

/// Seconds since 1970-01-01 UTC. The disk holds 32 signed bits; others are clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub(crate) fn from_disk(value: u32) -> Self {
        Timestamp(i64::from(value.cast_signed()))
    }

    pub(crate) fn to_disk(self) -> u32 {
        let clamped = self.0.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        (clamped as i32).cast_unsigned()
    }
}

/// What an inode is (the type bits of `i_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFCHR`
    CharDevice,
    /// `S_IFBLK`
    BlockDevice,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
    /// `S_IFLNK`
    Symlink,
}

impl FileType {
    /// The type in a mode word, if it is one.
    pub const fn from_mode(mode: u16) -> Option<FileType> {
        Some(match mode & 0xf000 {
            0x1000 => FileType::Fifo,
            0x2000 => FileType::CharDevice,
            0x4000 => FileType::Directory,
            0x6000 => FileType::BlockDevice,
            0x8000 => FileType::Regular,
            0xa000 => FileType::Symlink,
            0xc000 => FileType::Socket,
            _ => return None,
        })
    }

    /// The type bits of a mode word (`S_IFMT` part).
    pub const fn mode_bits(self) -> u16 {
        match self {
            FileType::Fifo => 0x1000,
            FileType::CharDevice => 0x2000,
            FileType::Directory => 0x4000,
            FileType::BlockDevice => 0x6000,
            FileType::Regular => 0x8000,
            FileType::Symlink => 0xa000,
            FileType::Socket => 0xc000,
        }
    }

    /// The type in a directory entry (`EXT2_FT_*`).
    pub(crate) const fn entry_code(self) -> u8 {
        match self {
            FileType::Regular => 1,
            FileType::Directory => 2,
            FileType::CharDevice => 3,
            FileType::BlockDevice => 4,
            FileType::Fifo => 5,
            FileType::Socket => 6,
            FileType::Symlink => 7,
        }
    }

    pub(crate) const fn from_entry_code(code: u8) -> Option<FileType> {
        Some(match code {
            1 => FileType::Regular,
            2 => FileType::Directory,
            3 => FileType::CharDevice,
            4 => FileType::BlockDevice,
            5 => FileType::Fifo,
            6 => FileType::Socket,
            7 => FileType::Symlink,
            _ => return None,
        })
    }
}

/// The device behind a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceNumber {
    /// Driver, 12 bits.
    pub major: u32,
    /// Unit, 20 bits.
    pub minor: u32,
}

/// What a new inode starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewNode {
    /// Permission, set-id and sticky bits (`0o7777`).
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group; in a set-group-id directory the directory's group is taken instead.
    pub gid: u32,
    /// The time of the operation.
    pub now: Timestamp,
}

/// All attributes of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Inode number.
    pub ino: Ino,
    /// What it is.
    pub file_type: FileType,
    /// Type and permission bits (`st_mode`).
    pub mode: u16,
    /// Links.
    pub nlink: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device of a device node, else 0:0.
    pub rdev: DeviceNumber,
    /// Bytes.
    pub size: u64,
    /// Space taken, in units of 512 bytes.
    pub blocks: u64,
    /// Preferred I/O size in bytes: a block.
    pub block_size: u32,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// `i_flags` (immutable `0x10`, append-only `0x20`, no-atime `0x80` ...).
    pub flags: u32,
    /// `i_generation`: differs between files that had the same number.
    pub generation: u32,
}

/// Attributes to change; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetAttr {
    /// Permission, set-id and sticky bits (`0o7777`).
    pub permissions: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size in bytes (regular files).
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<Timestamp>,
    /// Last change of the content.
    pub mtime: Option<Timestamp>,
}

/// Figures of the file system as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatFs {
    /// Bytes in a block.
    pub block_size: u32,
    /// Blocks for files (without superblocks, bitmaps and inode tables).
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks for the unprivileged.
    pub blocks_available: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Longest name in bytes.
    pub name_max: u32,
    /// A number that tells file systems apart (from the UUID).
    pub fsid: u64,
}
