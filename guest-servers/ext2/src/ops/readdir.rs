//! Looking names up and listing directories.

use crate::dir;
use crate::mount::Ext2;
use crate::types::{FileType, Ino};
use crate::{BlockDevice, Error, NAME_MAX, Result};

/// An entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// The inode that it names.
    pub ino: Ino,
    /// What that is; `None` if the file system does not keep types in entries.
    pub file_type: Option<FileType>,
    /// The name, 1 to 255 bytes.
    pub name: &'a [u8],
    /// The cookie that continues behind this entry.
    pub next: u64,
}

/// What a reader of a directory did with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// Took it; go on.
    Taken,
    /// Had no room; stop before it.
    Full,
}

impl<D: BlockDevice> Ext2<D> {
    /// The inode of a name in a directory; `.` and `..` are names too.
    pub fn lookup(&mut self, dir: Ino, name: &[u8]) -> Result<Ino> {
        let node = self.nodes.directory(&mut self.volume, dir)?;
        if name.len() > NAME_MAX {
            return Err(Error::NameTooLong);
        }
        if node.inode.links_count == 0 {
            return Err(Error::NotFound);
        }
        match dir::find(&mut self.volume, node, name)? {
            Some(found) => Ok(found.ino),
            None => Err(Error::NotFound),
        }
    }

    /// Gives the entries of a directory from `cookie` on (0: from the start) to `emit`.
    ///
    /// Returns the cookie to go on with; it equals the one given if there was nothing left.
    /// A cookie is the byte offset of an entry and stays valid whatever is added or removed.
    pub fn readdir(
        &mut self,
        dir: Ino,
        cookie: u64,
        mut emit: impl FnMut(DirEntry<'_>) -> Emit,
    ) -> Result<u64> {
        let typed = self.volume.superblock.has_file_type();
        let node = self.nodes.directory(&mut self.volume, dir)?;
        if node.inode.links_count == 0 {
            return Ok(cookie);
        }
        let mut last = cookie;
        dir::walk(&mut self.volume, node, cookie, |entry, offset| {
            let next = offset + entry.rec_len as u64;
            let file_type = if typed {
                FileType::from_entry_code(entry.file_type)
            } else {
                None
            };
            let entry = DirEntry {
                ino: Ino(entry.inode),
                file_type,
                name: entry.name,
                next,
            };
            let taken = emit(entry) == Emit::Taken;
            if taken {
                last = next;
            }
            taken
        })?;
        Ok(last)
    }
}
