//! Mounting, writing everything, unmounting.

use alloc::vec::Vec;

use crate::cache::CacheStats;
use crate::node::Nodes;
use crate::reserve::Privilege;
use crate::superblock::{STATE_ERROR, STATE_VALID};
use crate::types::{FileType, Ino, Timestamp};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// How to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing is ever written.
    ReadOnly,
    /// Read and write, where the file system's features allow it.
    ReadWrite,
}

/// What [`Ext2::mount`] wants to know.
#[derive(Debug, Clone, Copy)]
pub struct MountOptions {
    /// Read only, or also write.
    pub access: Access,
    /// Size of the block cache in blocks (at least 32 are used).
    pub cache_blocks: usize,
    /// The time of mounting.
    pub now: Timestamp,
}

/// A mounted ext2 file system.
///
/// Operations name files by inode number. A number stays valid while the file has a link, or
/// is open ([`open`](Self::open) … [`close`](Self::close)); then it is [`Error::Stale`].
/// No operation looks at permissions, follows symbolic links or reads a clock.
pub struct Ext2<D: BlockDevice> {
    pub(crate) volume: Volume<D>,
    pub(crate) nodes: Nodes,
    /// Files without a link that are still open, in the order of the list on the disk from
    /// its tail to its head.
    pub(crate) orphans: Vec<Ino>,
    /// `s_state` before mounting.
    found_state: u16,
    changed: bool,
}

impl<D: BlockDevice> Ext2<D> {
    /// Mounts the file system on `device`. A device whose content is refused is not written.
    ///
    /// Mounted read-write, the superblock says "in use" until [`unmount`](Self::unmount);
    /// files that were deleted while open in the last session are freed. After a crash the
    /// bitmaps and free counts are brought up to what the inodes use. If the file system has
    /// read-only-compatible features that this library does not know, it is mounted
    /// read-only: see [`is_read_only`](Self::is_read_only).
    pub fn mount(device: D, options: MountOptions) -> Result<Self> {
        if options.access == Access::ReadWrite && device.is_read_only() {
            return Err(Error::ReadOnly);
        }
        let volume = Volume::open(device, options.cache_blocks)?;
        let found_state = volume.superblock.state;
        let mut fs = Ext2 {
            volume,
            nodes: Nodes::new(),
            orphans: Vec::new(),
            found_state,
            changed: false,
        };
        fs.check_root()?;
        if options.access == Access::ReadWrite && fs.volume.superblock.unknown_ro_compat() == 0 {
            fs.start_writing(options.now)?;
        }
        Ok(fs)
    }

    fn check_root(&mut self) -> Result<()> {
        let root = self.nodes.get(&mut self.volume, Ino::ROOT)?;
        match root.inode.file_type() {
            Some(FileType::Directory) => Ok(()),
            _ => Err(Error::corrupt("root inode is no directory", Ino::ROOT.0)),
        }
    }

    fn start_writing(&mut self, now: Timestamp) -> Result<()> {
        self.volume.read_only = false;
        if !self.was_clean() {
            self.volume.recover()?;
        }
        let superblock = &mut self.volume.superblock;
        superblock.state &= !STATE_VALID;
        superblock.mnt_count = superblock.mnt_count.saturating_add(1);
        superblock.mtime = now.to_disk();
        superblock.wtime = now.to_disk();
        self.volume.superblock_dirty = true;
        if let Err(error) = self.delete_orphans_of_last_session(now) {
            let Error::Corrupt { .. } = error else {
                return Err(error);
            };
            // Dropping a damaged list only loses the space of the files on it.
            self.volume.superblock.last_orphan = 0;
            self.volume.mark_errors();
        }
        self.sync()
    }

    /// Whether the last session had unmounted, and no errors were known.
    pub fn was_clean(&self) -> bool {
        self.found_state & (STATE_VALID | STATE_ERROR) == STATE_VALID
    }

    /// Whether changes are refused.
    pub fn is_read_only(&self) -> bool {
        self.volume.read_only
    }

    /// Whether the following operations may use the blocks reserved for the administrator.
    pub fn set_privilege(&mut self, privilege: Privilege) {
        self.volume.privilege = privilege;
    }

    /// Figures of the block cache.
    pub fn cache_stats(&self) -> CacheStats {
        self.volume.cache.stats()
    }

    /// Writes the block cache's changes and gives its memory back; how many bytes that are.
    pub fn shrink_cache(&mut self) -> Result<usize> {
        self.volume.cache.give_back_memory()
    }

    /// Writes everything that changed and waits until it is on stable storage.
    pub fn sync(&mut self) -> Result<()> {
        if self.volume.read_only {
            return Ok(());
        }
        self.volume.release_all_reservations()?;
        self.volume.store_counters()?;
        self.volume.cache.write_back()?;
        self.volume.cache.flush_device()
    }

    /// Writes one file's content and inode and waits until they are on stable storage.
    pub fn fsync(&mut self, ino: Ino) -> Result<()> {
        if self.volume.read_only {
            return Ok(());
        }
        let node = self.nodes.get(&mut self.volume, ino)?;
        let inode_block = node.table_block();
        self.volume.cache.write_back_file(ino, inode_block)?;
        self.volume.cache.flush_device()
    }

    /// Writes everything and marks the file system as unmounted; it is read-only from then
    /// on. Files deleted while open are freed now, closed or not.
    pub fn unmount(&mut self, now: Timestamp) -> Result<()> {
        if self.volume.read_only {
            return Ok(());
        }
        while let Some(&ino) = self.orphans.last() {
            self.forget_opens(ino);
            self.delete_orphan(ino, now)?;
        }
        self.volume.release_all_reservations()?;
        let superblock = &mut self.volume.superblock;
        superblock.state |= self.found_state & STATE_VALID;
        superblock.wtime = now.to_disk();
        self.volume.superblock_dirty = true;
        self.volume.store_counters()?;
        if self.changed {
            self.volume.store_backups()?;
        }
        self.sync()?;
        self.volume.read_only = true;
        Ok(())
    }

    /// The device back; what was not synced is lost.
    pub fn into_device(self) -> D {
        self.volume.cache.into_device()
    }

    /// Runs an operation that changes the file system. Damage that it meets is noted in the
    /// superblock, so that the next e2fsck looks closely.
    pub(crate) fn update<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if self.volume.read_only {
            return Err(Error::ReadOnly);
        }
        self.changed = true;
        let outcome = operation(self);
        if let Err(Error::Corrupt { .. }) = outcome {
            self.volume.mark_errors();
        }
        outcome
    }
}
