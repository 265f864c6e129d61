//! A file system server, as `vfs` asks it: by inode number, never by path.
//!
//! Operations are asked on a mount session, but for [`MOUNT`], which goes to the server's port. Names are the payload.
//! Word 1 is the (directory) inode throughout.

use crate::request::FILESYSTEM_BASE;

/// Handle 0 = block device session; word 1 = [`mount`] flags.
/// → handle 0 = mount session, word 1 = root inode, word 2 = 1 if mounted read-only.
pub const MOUNT: u16 = FILESYSTEM_BASE;
/// Writes everything back and marks the file system clean; `EBUSY` while files are open, unless word 2 = 1.
pub const UNMOUNT: u16 = FILESYSTEM_BASE + 1;
/// → LONG bytes = `Attributes` of the entry with the payload's name.
pub const LOOKUP: u16 = FILESYSTEM_BASE + 2;
/// → LONG bytes = `Attributes` of the inode.
pub const GET_ATTRIBUTES: u16 = FILESYSTEM_BASE + 3;
/// Word 2 = `Change` bits, payload = `Attributes`; → LONG bytes = the new ones.
pub const SET_ATTRIBUTES: u16 = FILESYSTEM_BASE + 4;
/// Word 2 = `O_*` flags → handle 0 = a session that speaks [`file`](crate::file); holds the inode.
pub const OPEN: u16 = FILESYSTEM_BASE + 5;
/// A new node: payload = [`NewNode`], then the name. → LONG bytes = its `Attributes`.
pub const CREATE: u16 = FILESYSTEM_BASE + 6;
/// Payload = [`NewNode`], then the name (its length in word 2), then the text. → LONG bytes = `Attributes`.
pub const SYMLINK: u16 = FILESYSTEM_BASE + 7;
/// Word 2 = inode to link.
pub const LINK: u16 = FILESYSTEM_BASE + 8;
/// Removes the name; word 2 = 1 for a directory.
pub const UNLINK: u16 = FILESYSTEM_BASE + 9;
/// Word 2 = new directory's inode; payload = old name (its length in word 3's high half), new name.
pub const RENAME: u16 = FILESYSTEM_BASE + 10;
/// → status = length, the text inline (≤ 256) or in the window.
pub const READ_LINK: u16 = FILESYSTEM_BASE + 11;
/// Word 2 = cookie (0 at the start) → `linux_dirent64` records (`d_off` = the next cookie) in the window at word 3, up to
/// `length` bytes; status = bytes.
pub const READ_DIRECTORY: u16 = FILESYSTEM_BASE + 12;
/// → LONG bytes = `FilesystemInfo`.
pub const INFO: u16 = FILESYSTEM_BASE + 13;
/// Makes everything durable.
pub const SYNC: u16 = FILESYSTEM_BASE + 14;

/// Word 1 = the kernel's number of a memory object ([`Region::object`](ferrix_abi::vm::Region)): if it is a file's, what
/// was written through mappings of it is made durable.
pub const SYNC_OBJECT: u16 = FILESYSTEM_BASE + 15;

/// Flags of [`MOUNT`].
pub mod mount {
    /// Read-only.
    pub const READ_ONLY: u64 = 1;
}

/// What a new node starts with; 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct NewNode {
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node.
    pub rdev: u32,
}

impl NewNode {
    /// Bytes on the wire.
    pub const SIZE: usize = 16;

    /// The bytes that travel.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (place, word) in bytes
            .chunks_exact_mut(4)
            .zip([self.mode, self.uid, self.gid, self.rdev])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// From the front of a payload.
    pub fn from_bytes(bytes: &[u8]) -> Option<NewNode> {
        let bytes = bytes.get(..Self::SIZE)?;
        let word =
            |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Some(NewNode {
            mode: word(0),
            uid: word(4),
            gid: word(8),
            rdev: word(12),
        })
    }
}
