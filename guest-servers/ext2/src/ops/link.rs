//! Adding and removing names.

use crate::dir::{self, Found};
use crate::mount::Ext2;
use crate::ops::{check_name, is_dot};
use crate::types::{FileType, Ino, Timestamp};
use crate::{BlockDevice, Error, LINK_MAX, Result};

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The directory.
    pub dir: Ino,
    /// The name in it.
    pub name: &'a [u8],
}

impl<D: BlockDevice> Ext2<D> {
    /// Gives a file that is no directory another name.
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &[u8], now: Timestamp) -> Result<()> {
        self.update(|fs| {
            let node = fs.nodes.get(&mut fs.volume, ino)?;
            let (file_type, links) = (node.inode.file_type(), node.inode.links_count);
            let file_type = match file_type {
                Some(FileType::Directory) | None => return Err(Error::IsDirectory),
                Some(other) => other,
            };
            if links == 0 {
                return Err(Error::NotFound);
            }
            if links >= LINK_MAX {
                return Err(Error::TooManyLinks);
            }
            let room = fs.room_for(dir, name)?;
            fs.enter(dir, name, (ino, file_type), room, now)?;
            let node = fs.nodes.get(&mut fs.volume, ino)?;
            node.inode.links_count += 1;
            node.inode.ctime = now.to_disk();
            node.store(&mut fs.volume)
        })
    }

    /// Removes a name of a file that is no directory.
    pub fn unlink(&mut self, dir: Ino, name: &[u8], now: Timestamp) -> Result<()> {
        self.update(|fs| {
            if is_dot(name) {
                return Err(Error::IsDirectory);
            }
            let found = fs.find_entry(Place { dir, name })?;
            match fs.nodes.get(&mut fs.volume, found.ino) {
                Ok(node) if node.inode.is_directory() => return Err(Error::IsDirectory),
                Ok(_) => {}
                // A crash left the name of a file that was not written: only the name goes.
                Err(Error::Stale) => return fs.remove_entry(Place { dir, name }, found, now),
                Err(error) => return Err(error),
            }
            fs.remove_entry(Place { dir, name }, found, now)?;
            fs.drop_links(found.ino, 1, now)
        })
    }

    /// Removes an empty directory.
    pub fn rmdir(&mut self, dir: Ino, name: &[u8], now: Timestamp) -> Result<()> {
        self.update(|fs| {
            match name {
                b"." => return Err(Error::Invalid),
                b".." => return Err(Error::NotEmpty),
                _ => {}
            }
            let found = fs.find_entry(Place { dir, name })?;
            fs.check_removable(found.ino, dir)?;
            fs.remove_entry(Place { dir, name }, found, now)?;
            let parent = fs.nodes.get(&mut fs.volume, dir)?;
            parent.inode.links_count = parent.inode.links_count.saturating_sub(1).max(1);
            parent.store(&mut fs.volume)?;
            fs.drop_links(found.ino, u16::MAX, now)
        })
    }

    /// Checks that `ino` is an empty directory that can go from `parent`.
    pub(crate) fn check_removable(&mut self, ino: Ino, parent: Ino) -> Result<()> {
        if ino == Ino::ROOT || ino == parent {
            return Err(Error::corrupt("directory is an entry of itself", ino.0));
        }
        let node = self.target(ino)?;
        if !node.inode.is_directory() {
            return Err(Error::NotDirectory);
        }
        let node = self.nodes.directory(&mut self.volume, ino)?;
        if dir::is_empty(&mut self.volume, node)? {
            Ok(())
        } else {
            Err(Error::NotEmpty)
        }
    }

    /// The node of an inode that a directory entry names: it must be in use.
    pub(crate) fn target(&mut self, ino: Ino) -> Result<&mut crate::node::Node> {
        match self.nodes.get(&mut self.volume, ino) {
            Err(Error::Stale) => Err(Error::corrupt(
                "directory entry names a deleted inode",
                ino.0,
            )),
            other => other,
        }
    }

    pub(crate) fn find_entry(&mut self, place: Place<'_>) -> Result<Found> {
        let node = self.nodes.directory(&mut self.volume, place.dir)?;
        check_name(place.name)?;
        dir::find(&mut self.volume, node, place.name)?.ok_or(Error::NotFound)
    }

    pub(crate) fn remove_entry(
        &mut self,
        place: Place<'_>,
        found: Found,
        now: Timestamp,
    ) -> Result<()> {
        let node = self.nodes.get(&mut self.volume, place.dir)?;
        dir::remove(&mut self.volume, node, place.name, found.position)?;
        node.inode.mtime = now.to_disk();
        node.inode.ctime = now.to_disk();
        node.store(&mut self.volume)
    }
}
