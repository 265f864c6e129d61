//! What a file system can do, by inode number.

use crate::errno::{EINVAL, ENODEV, EOPNOTSUPP, EPERM, EROFS, Result};
use crate::pseudo::Local;
use alloc::string::String;
use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo};
use ferrix_proto::filesystem::NewNode;
use linux_raw_sys::general as linux;

/// A file anywhere: which mount, which inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Index in the mount table.
    pub mount: usize,
    /// Inode number there.
    pub inode: u64,
}

/// What a file is, from `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A socket, or something unknown.
    Other,
}

impl Kind {
    /// From the type bits of a mode.
    pub const fn of(mode: u32) -> Kind {
        match mode & linux::S_IFMT {
            linux::S_IFREG => Kind::Regular,
            linux::S_IFDIR => Kind::Directory,
            linux::S_IFLNK => Kind::Symlink,
            linux::S_IFIFO => Kind::Fifo,
            linux::S_IFCHR => Kind::Character,
            linux::S_IFBLK => Kind::Block,
            _ => Kind::Other,
        }
    }
}

/// An open file, as a file system hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A session with the server that holds it.
    Session(Handle),
    /// Something that the VFS serves or arranges itself.
    Local(Local),
    /// The VFS reads and writes it by inode number, and says [`Filesystem::close`] when done.
    Held,
}

/// What `lseek` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// `SEEK_DATA`.
    Data,
    /// `SEEK_HOLE`.
    Hole,
}

/// What `fallocate` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Room; the file grows if it is smaller.
    Grow,
    /// Room, and no change of the size.
    KeepSize,
    /// A hole.
    Punch,
}

/// What somebody wants a file's memory object for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// To have the bytes as they are now, whatever is written later.
    Snapshot,
    /// To read what is in the file.
    Read,
    /// To change the file.
    Write,
}

/// A file's memory object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The object: the file system's own, or the asker's if it is a snapshot.
    pub handle: Handle,
    /// Bytes of the file.
    pub size: u64,
    /// What it was asked for.
    pub share: Share,
}

/// A file system.
///
/// Whatever changes names is refused by default, so that a generated file system need not say so.
pub trait Filesystem {
    /// Inode of the root directory.
    fn root(&self) -> u64;
    /// Name of the type, for `/proc/mounts`.
    fn type_name(&self) -> &'static str;
    /// Its mount options for `/proc/mounts`, each with a comma in front.
    fn options(&self) -> String {
        String::new()
    }
    /// Whether names come and go by themselves, so that none may be cached.
    fn is_volatile(&self) -> bool {
        false
    }
    /// Attributes of the entry `name` of a directory.
    fn lookup(&mut self, directory: u64, name: &[u8]) -> Result<Attributes>;
    /// Attributes of an inode.
    fn attributes(&mut self, inode: u64) -> Result<Attributes>;
    /// Opens an inode; `flags` are `O_*`.
    fn open(&mut self, inode: u64, flags: u32) -> Result<Opened>;
    /// The last user of something opened as [`Opened::Held`] is gone.
    fn close(&mut self, _inode: u64) {}
    /// `linux_dirent64` records from `cookie` on, as many as fit `room`.
    fn read_directory(&mut self, inode: u64, cookie: u64, room: usize) -> Result<Vec<u8>>;
    /// The text of a symbolic link.
    fn read_link(&mut self, _inode: u64) -> Result<Vec<u8>> {
        Err(EINVAL)
    }
    /// Sizes for `statfs`.
    fn info(&mut self) -> Result<FilesystemInfo>;
    /// Changes attributes.
    fn set_attributes(&mut self, _inode: u64, _change: Change, _to: &Attributes) -> Result<()> {
        Err(EPERM)
    }
    /// A new node with a name.
    fn create(&mut self, _directory: u64, _name: &[u8], _node: NewNode) -> Result<Attributes> {
        Err(EROFS)
    }
    /// A new symbolic link.
    fn symlink(
        &mut self,
        _directory: u64,
        _name: &[u8],
        _text: &[u8],
        _node: NewNode,
    ) -> Result<()> {
        Err(EROFS)
    }
    /// Another name for an inode.
    fn link(&mut self, _directory: u64, _name: &[u8], _inode: u64) -> Result<()> {
        Err(EROFS)
    }
    /// Removes a name.
    fn unlink(&mut self, _directory: u64, _name: &[u8], _what: Removal) -> Result<()> {
        Err(EROFS)
    }
    /// Moves a name.
    fn rename(&mut self, _from: (u64, &[u8]), _to: (u64, &[u8])) -> Result<()> {
        Err(EROFS)
    }
    /// A new regular file without a name, with `F_SEAL_*` bits; it is open already.
    fn create_unnamed(&mut self, _node: NewNode, _seals: u32) -> Result<u64> {
        Err(EOPNOTSUPP)
    }
    /// Reads from a held regular file; bytes read.
    fn read(&mut self, _inode: u64, _at: u64, _into: &mut [u8]) -> Result<usize> {
        Err(EINVAL)
    }
    /// Writes to a held regular file; bytes taken.
    fn write(&mut self, _inode: u64, _at: u64, _from: &[u8]) -> Result<usize> {
        Err(EINVAL)
    }
    /// Where data or a hole begins in a held regular file, from `at` on.
    fn seek(&mut self, _inode: u64, _at: u64, _what: Seek) -> Result<u64> {
        Err(EINVAL)
    }
    /// Makes room for `length` bytes of a held regular file from `at` on, or takes them away; all or nothing.
    fn allocate(&mut self, _inode: u64, _at: u64, _length: u64, _how: Allocation) -> Result<()> {
        Err(EOPNOTSUPP)
    }
    /// The memory object of a held regular file.
    fn object(&mut self, _inode: u64, _share: Share) -> Result<Exported> {
        Err(ENODEV)
    }
    /// `F_SEAL_*` bits of a held regular file.
    fn seals(&mut self, _inode: u64) -> Result<u32> {
        Err(EINVAL)
    }
    /// Adds `F_SEAL_*` bits.
    fn add_seals(&mut self, _inode: u64, _seals: u32) -> Result<()> {
        Err(EINVAL)
    }
    /// Makes everything durable.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
    /// Makes durable what was written through mappings of the memory object with this number, if it is a file's.
    fn sync_object(&mut self, _object: u64) -> Result<()> {
        Ok(())
    }
    /// Writes everything back and lets go of the device; busy files stop only a polite unmount.
    fn unmount(&mut self, _force: Force) -> Result<()> {
        Ok(())
    }
}

/// Which call removes a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// `unlink`: anything but a directory.
    File,
    /// `rmdir`: an empty directory.
    Directory,
}

/// How an unmount treats open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// They make it fail with `EBUSY`.
    Polite,
    /// They lose their file.
    Forced,
}
