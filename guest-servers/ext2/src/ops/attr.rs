//! Attributes of files and of the file system.

use crate::mount::Ext2;
use crate::types::{Ino, SetAttr, Stat, StatFs, Timestamp};
use crate::{BlockDevice, Error, NAME_MAX, Result};

impl<D: BlockDevice> Ext2<D> {
    /// The root directory.
    pub fn root(&self) -> Ino {
        Ino::ROOT
    }

    /// All attributes of a file.
    pub fn getattr(&mut self, ino: Ino) -> Result<Stat> {
        let node = self.nodes.get(&mut self.volume, ino)?;
        let inode = &node.inode;
        Ok(Stat {
            ino,
            file_type: inode.file_type().ok_or(Error::Stale)?,
            mode: inode.mode,
            nlink: inode.links_count,
            uid: inode.uid,
            gid: inode.gid,
            rdev: inode.device(),
            size: inode.size,
            blocks: u64::from(inode.sectors),
            block_size: self.volume.block_size() as u32,
            atime: Timestamp::from_disk(inode.atime),
            mtime: Timestamp::from_disk(inode.mtime),
            ctime: Timestamp::from_disk(inode.ctime),
            flags: inode.flags,
            generation: inode.generation,
        })
    }

    /// Changes attributes; the time of change becomes `now`.
    pub fn setattr(&mut self, ino: Ino, attr: &SetAttr, now: Timestamp) -> Result<()> {
        if let Some(size) = attr.size {
            self.truncate(ino, size, now)?;
        }
        self.update(|fs| {
            let node = fs.nodes.get(&mut fs.volume, ino)?;
            let inode = &mut node.inode;
            if let Some(permissions) = attr.permissions {
                inode.mode = (inode.mode & 0xf000) | (permissions & 0o7777);
            }
            inode.uid = attr.uid.unwrap_or(inode.uid);
            inode.gid = attr.gid.unwrap_or(inode.gid);
            inode.atime = attr.atime.map_or(inode.atime, Timestamp::to_disk);
            inode.mtime = attr.mtime.map_or(inode.mtime, Timestamp::to_disk);
            inode.ctime = now.to_disk();
            node.store(&mut fs.volume)
        })
    }

    /// Figures of the file system.
    pub fn statfs(&self) -> StatFs {
        let superblock = &self.volume.superblock;
        let free = superblock
            .free_blocks_count
            .saturating_add(self.volume.reservations.blocks());
        StatFs {
            block_size: superblock.block_size() as u32,
            blocks: u64::from(superblock.blocks_count).saturating_sub(self.volume.overhead),
            blocks_free: u64::from(free),
            blocks_available: u64::from(free.saturating_sub(superblock.r_blocks_count)),
            files: u64::from(superblock.inodes_count),
            files_free: u64::from(superblock.free_inodes_count),
            name_max: NAME_MAX as u32,
            fsid: superblock.fsid,
        }
    }
}
