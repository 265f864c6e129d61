//! Making files, directories and device nodes.

use crate::dir::{self, Position};
use crate::inode::MODE_SETGID;
use crate::mount::Ext2;
use crate::node::Node;
use crate::ops::check_name;
use crate::types::{DeviceNumber, FileType, Ino, NewNode, Timestamp};
use crate::volume::Volume;
use crate::{BlockDevice, Error, LINK_MAX, Result};

impl<D: BlockDevice> Ext2<D> {
    /// Makes an empty regular file.
    pub fn create(&mut self, dir: Ino, name: &[u8], new: &NewNode) -> Result<Ino> {
        self.update(|fs| fs.make(dir, name, new, FileType::Regular, |_, _| Ok(())))
    }

    /// Makes a device node, fifo or socket; the device number counts for the first only.
    pub fn mknod(
        &mut self,
        dir: Ino,
        name: &[u8],
        new: &NewNode,
        (file_type, device): (FileType, DeviceNumber),
    ) -> Result<Ino> {
        let is_device = match file_type {
            FileType::CharDevice | FileType::BlockDevice => true,
            FileType::Fifo | FileType::Socket => false,
            _ => return Err(Error::Invalid),
        };
        self.update(|fs| {
            fs.make(dir, name, new, file_type, |_, node| {
                if is_device {
                    node.inode.set_device(device);
                }
                Ok(())
            })
        })
    }

    /// Makes an empty directory.
    pub fn mkdir(&mut self, dir: Ino, name: &[u8], new: &NewNode) -> Result<Ino> {
        self.update(|fs| {
            let parent = fs.nodes.directory(&mut fs.volume, dir)?;
            if parent.inode.links_count >= LINK_MAX {
                return Err(Error::TooManyLinks);
            }
            let ino = fs.make(dir, name, new, FileType::Directory, |volume, node| {
                node.inode.links_count = 2;
                dir::initialise(volume, node, dir)
            })?;
            let parent = fs.nodes.get(&mut fs.volume, dir)?;
            parent.inode.links_count += 1;
            parent.store(&mut fs.volume)?;
            Ok(ino)
        })
    }

    /// Checks that a name may be added to a directory and says where it fits.
    pub(crate) fn room_for(&mut self, dir: Ino, name: &[u8]) -> Result<Option<Position>> {
        let parent = self.nodes.directory(&mut self.volume, dir)?;
        check_name(name)?;
        if parent.inode.links_count == 0 {
            return Err(Error::NotFound);
        }
        let search = dir::search(&mut self.volume, parent, name)?;
        if search.found.is_some() {
            Err(Error::Exists)
        } else {
            Ok(search.room)
        }
    }

    /// Enters a name into a directory and notes the change in its inode.
    pub(crate) fn enter(
        &mut self,
        dir: Ino,
        name: &[u8],
        target: (Ino, FileType),
        room: Option<Position>,
        now: Timestamp,
    ) -> Result<()> {
        let parent = self.nodes.get(&mut self.volume, dir)?;
        dir::insert(&mut self.volume, parent, name, target, room)?;
        parent.inode.mtime = now.to_disk();
        parent.inode.ctime = now.to_disk();
        parent.store(&mut self.volume)
    }

    /// Allocates an inode, fills it by `fill` and enters it; on failure all is undone.
    pub(crate) fn make(
        &mut self,
        dir: Ino,
        name: &[u8],
        new: &NewNode,
        file_type: FileType,
        fill: impl FnOnce(&mut Volume<D>, &mut Node) -> Result<()>,
    ) -> Result<Ino> {
        let room = self.room_for(dir, name)?;
        let parent = self.nodes.get(&mut self.volume, dir)?;
        let parent_group = (parent.inode.mode & MODE_SETGID != 0).then_some(parent.inode.gid);
        let ino = self.volume.allocate_inode(dir, file_type)?;
        let outcome = self
            .initialise(ino, new, file_type, parent_group)
            .and_then(|()| {
                let node = self.nodes.get(&mut self.volume, ino)?;
                let filled = fill(&mut self.volume, node);
                node.store(&mut self.volume)?;
                filled
            })
            .and_then(|()| self.enter(dir, name, (ino, file_type), room, new.now));
        match outcome {
            Ok(()) => Ok(ino),
            Err(error) => {
                self.unmake(ino, file_type, new.now)?;
                Err(error)
            }
        }
    }

    fn unmake(&mut self, ino: Ino, file_type: FileType, now: Timestamp) -> Result<()> {
        match self.nodes.cached(ino) {
            Some(node) => {
                node.inode.links_count = 0;
                node.store(&mut self.volume)?;
                self.delete(ino, now)
            }
            // Not even cleared: what the table holds belongs to an earlier file.
            None => self.volume.free_inode(ino, Some(file_type)),
        }
    }

    fn initialise(
        &mut self,
        ino: Ino,
        new: &NewNode,
        file_type: FileType,
        parent_group: Option<u32>,
    ) -> Result<()> {
        self.volume.generation = self.volume.generation.wrapping_add(1);
        let generation = self.volume.generation;
        let node = self.nodes.create(&mut self.volume, ino)?;
        let inode = &mut node.inode;
        inode.mode = file_type.mode_bits() | (new.permissions & 0o7777);
        inode.uid = new.uid;
        inode.gid = parent_group.unwrap_or(new.gid);
        if parent_group.is_some() && file_type == FileType::Directory {
            inode.mode |= MODE_SETGID;
        }
        inode.atime = new.now.to_disk();
        inode.mtime = new.now.to_disk();
        inode.ctime = new.now.to_disk();
        inode.links_count = 1;
        inode.generation = generation;
        node.store(&mut self.volume)
    }
}
