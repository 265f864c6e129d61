//! Files whose last link went while they were open. They hang on a list on the disk
//! (`s_last_orphan`, then each inode's `i_dtime`), so that they can be freed after a crash.

use crate::inode::Inode;
use crate::mount::Ext2;
use crate::node::Node;
use crate::trim::trim;
use crate::types::{Ino, Run, Timestamp};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// Magic number of a block of extended attributes (`h_magic`).
const XATTR_MAGIC: u32 = 0xea02_0000;

impl<D: BlockDevice> Ext2<D> {
    /// Takes away links of a file; without links it is deleted, at once or with its last close.
    pub(crate) fn drop_links(&mut self, ino: Ino, links: u16, now: Timestamp) -> Result<()> {
        let node = self.nodes.get(&mut self.volume, ino)?;
        node.inode.links_count = node.inode.links_count.saturating_sub(links);
        node.inode.ctime = now.to_disk();
        node.store(&mut self.volume)?;
        match (node.inode.links_count, node.opens) {
            (0, 0) => self.delete(ino, now),
            (0, _) => self.add_orphan(ino),
            _ => Ok(()),
        }
    }

    fn add_orphan(&mut self, ino: Ino) -> Result<()> {
        let Some(node) = self.nodes.cached(ino) else {
            return Err(Error::Stale);
        };
        node.inode.dtime = self.volume.superblock.last_orphan;
        node.store(&mut self.volume)?;
        self.orphans.push(ino);
        self.set_orphan_head(ino.0);
        Ok(())
    }

    fn set_orphan_head(&mut self, head: u32) {
        self.volume.superblock.last_orphan = head;
        self.volume.superblock_dirty = true;
    }

    /// Takes a file off the list and deletes it.
    pub(crate) fn delete_orphan(&mut self, ino: Ino, now: Timestamp) -> Result<()> {
        let Some(place) = self.orphans.iter().position(|&orphan| orphan == ino) else {
            return Err(Error::Stale);
        };
        let older = place
            .checked_sub(1)
            .map_or(0, |older| self.orphans[older].0);
        match self.orphans.get(place + 1) {
            None => self.set_orphan_head(older),
            Some(&younger) => {
                if let Some(node) = self.nodes.cached(younger) {
                    node.inode.dtime = older;
                    node.store(&mut self.volume)?;
                }
            }
        }
        self.orphans.remove(place);
        self.delete(ino, now)
    }

    pub(crate) fn forget_opens(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.cached(ino) {
            node.opens = 0;
        }
    }

    /// Frees an inode without links and all that it has.
    pub(crate) fn delete(&mut self, ino: Ino, now: Timestamp) -> Result<()> {
        let mut node = Node::load(&mut self.volume, ino)?;
        self.nodes.forget(ino);
        delete_inode(&mut self.volume, &mut node, now)
    }

    /// Frees the files on the list that the last session left.
    pub(crate) fn delete_orphans_of_last_session(&mut self, now: Timestamp) -> Result<()> {
        let limit = self.volume.superblock.inodes_count;
        for _ in 0..limit {
            let ino = Ino(self.volume.superblock.last_orphan);
            if ino.0 == 0 {
                return Ok(());
            }
            if !self.volume.superblock.is_usable_inode(ino) || ino == Ino::ROOT {
                return Err(Error::corrupt("orphan list", ino.0));
            }
            let mut node = Node::load(&mut self.volume, ino)?;
            node.check(&self.volume)?;
            let next = core::mem::take(&mut node.inode.dtime);
            self.nodes.forget(ino);
            if node.inode.links_count == 0 {
                delete_inode(&mut self.volume, &mut node, now)?;
            } else {
                // Left by a system that lists files it is about to shorten.
                node.store(&mut self.volume)?;
                trim_to_size(&mut self.volume, &mut node)?;
            }
            self.set_orphan_head(next);
        }
        match self.volume.superblock.last_orphan {
            0 => Ok(()),
            ino => Err(Error::corrupt("orphan list has a cycle", ino)),
        }
    }
}

fn trim_to_size<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node) -> Result<()> {
    let Inode { size, .. } = node.inode;
    if node
        .inode
        .has_block_map(volume.superblock.sectors_per_block())
    {
        trim(volume, node, size.div_ceil(volume.block_size() as u64))?;
    }
    Ok(())
}

fn delete_inode<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    now: Timestamp,
) -> Result<()> {
    let file_type = node.inode.file_type();
    volume.indexes.forget(node.ino);
    if node
        .inode
        .has_block_map(volume.superblock.sectors_per_block())
    {
        trim(volume, node, 0)?;
        node.inode.size = 0;
    }
    if node.inode.file_acl != 0 {
        release_attributes(volume, node)?;
    }
    // A deletion time of 0 would say "in use"; e2fsck takes small ones for orphan links.
    node.inode.dtime = now.to_disk().max(1);
    node.inode.links_count = 0;
    node.store(volume)?;
    volume.free_inode(node.ino, file_type)
}

/// Gives up a file's share of a block of extended attributes: `h_refcount` files use it.
fn release_attributes<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node) -> Result<()> {
    use crate::bytes::{put_u32, u32_at};
    let pointer = core::mem::take(&mut node.inode.file_acl);
    let block = volume.file_blocks(pointer, 1)?;
    let raw = volume.cache.get(block)?;
    let (h_magic, h_refcount) = (u32_at(raw, 0), u32_at(raw, 4));
    if h_magic != XATTR_MAGIC {
        return Err(Error::corrupt("block of extended attributes", pointer));
    }
    node.inode.sectors = node
        .inode
        .sectors
        .saturating_sub(volume.superblock.sectors_per_block());
    if h_refcount > 1 {
        let tag = crate::block_map::indirect_tag(node.ino);
        put_u32(volume.cache.modify(block, tag)?, 4, h_refcount - 1);
        return Ok(());
    }
    volume.free_run(Run {
        start: pointer,
        len: 1,
    })
}
