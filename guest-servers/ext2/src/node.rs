//! Inodes in memory: the parsed inode, how often it is open, and where its blocks were found
//! last. Changes are put into the cached inode table at once ([`Node::store`]), so that a
//! node can be dropped at any time unless it is open.

use crate::bitmap;
use crate::block_map::Extent;
use crate::cache::Tag;
use crate::hash::NumberMap;
use crate::inode::{self, FLAG_EXTENTS, Inode};
use crate::types::{BlockNr, FileType, Ino};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// Nodes kept that are not open.
const CAPACITY: usize = 512;
/// Blocks of the inode table that are read in one request: files of a directory are neighbours.
const TABLE_READ_AHEAD: u32 = 8;

pub(crate) struct Node {
    pub ino: Ino,
    pub inode: Inode,
    /// How many opens were not yet closed.
    pub opens: u32,
    /// The mapping found last.
    pub extent: Extent,
    /// Where a sequential reader will go on, and how many blocks to read at once then.
    pub read_ahead: ReadAhead,
    table_block: BlockNr,
    table_offset: usize,
    used: bool,
}

/// Detects sequential reading.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadAhead {
    /// The byte where the last read ended.
    pub next: u64,
    /// Blocks to read in one request; grows while reading stays sequential.
    pub window: u32,
}

impl Node {
    /// Reads an inode as it is, whether it is in use or not.
    pub fn load<D: BlockDevice>(volume: &mut Volume<D>, ino: Ino) -> Result<Self> {
        let (table_block, table_offset) = volume.inode_position(ino);
        let ahead = volume
            .inode_table_rest(ino, table_block)
            .min(TABLE_READ_AHEAD);
        let raw = volume.cache.get_ahead(table_block, ahead)?;
        let inode = Inode::parse(&raw[table_offset..table_offset + inode::SIZE]);
        Ok(Node {
            ino,
            inode,
            opens: 0,
            extent: Extent::NONE,
            read_ahead: ReadAhead::default(),
            table_block,
            table_offset,
            used: true,
        })
    }

    /// The block of the inode table that holds this inode.
    pub fn table_block(&self) -> BlockNr {
        self.table_block
    }

    /// Puts the inode into the cached inode table.
    pub fn store<D: BlockDevice>(&self, volume: &mut Volume<D>) -> Result<()> {
        let raw = volume.cache.modify(self.table_block, Tag::INODE)?;
        self.inode
            .store(&mut raw[self.table_offset..self.table_offset + inode::SIZE]);
        Ok(())
    }

    /// Clears the whole inode in the table, parts that this library does not know included.
    pub fn wipe<D: BlockDevice>(&mut self, volume: &mut Volume<D>) -> Result<()> {
        let size = volume.superblock.inode_size as usize;
        let raw = volume.cache.modify(self.table_block, Tag::INODE)?;
        raw[self.table_offset..self.table_offset + size].fill(0);
        self.inode = Inode::parse(&[0; inode::SIZE]);
        Ok(())
    }

    /// Checks what the operations rely on.
    pub fn check<D: BlockDevice>(&self, volume: &Volume<D>) -> Result<()> {
        let rule = |holds: bool, what| {
            if holds {
                Ok(())
            } else {
                Err(Error::corrupt(what, self.ino.0))
            }
        };
        let size = self.inode.size;
        let block_size = volume.block_size() as u64;
        rule(self.inode.flags & FLAG_EXTENTS == 0, "inode has extents")?;
        match self.inode.file_type() {
            None => Err(Error::corrupt("inode has no valid file type", self.ino.0)),
            Some(FileType::Directory) => rule(
                size.is_multiple_of(block_size)
                    && size / block_size <= u64::from(volume.superblock.blocks_count),
                "directory size",
            ),
            Some(FileType::Symlink) => {
                let fast = self
                    .inode
                    .is_fast_symlink(volume.superblock.sectors_per_block());
                let limit = if fast {
                    inode::FAST_SYMLINK_MAX as u64
                } else {
                    block_size - 1
                };
                rule(size <= limit, "symbolic link size")
            }
            Some(FileType::Regular) => rule(size <= volume.superblock.max_file_size(), "file size"),
            Some(_) => Ok(()),
        }
    }
}

/// The nodes in memory.
pub(crate) struct Nodes {
    nodes: NumberMap<Ino, Node>,
}

impl Nodes {
    pub fn new() -> Self {
        Nodes {
            nodes: NumberMap::default(),
        }
    }

    /// The node of an inode that is in use: linked, or open.
    pub fn get<D: BlockDevice>(&mut self, volume: &mut Volume<D>, ino: Ino) -> Result<&mut Node> {
        if !self.nodes.contains_key(&ino) {
            self.load(volume, ino)?;
        }
        let node = self.nodes.get_mut(&ino).ok_or(Error::Stale)?;
        node.used = true;
        if node.inode.links_count == 0 && node.opens == 0 {
            return Err(Error::Stale);
        }
        Ok(node)
    }

    /// The node of a directory.
    pub fn directory<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        ino: Ino,
    ) -> Result<&mut Node> {
        let node = self.get(volume, ino)?;
        if node.inode.is_directory() {
            Ok(node)
        } else {
            Err(Error::NotDirectory)
        }
    }

    /// Makes the node of an inode that was just allocated; it is all zero.
    pub fn create<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        ino: Ino,
    ) -> Result<&mut Node> {
        let mut node = Node::load(volume, ino)?;
        node.wipe(volume)?;
        self.make_room();
        self.nodes.remove(&ino);
        Ok(self.nodes.entry(ino).or_insert(node))
    }

    /// Drops a node whose inode is gone.
    pub fn forget(&mut self, ino: Ino) {
        self.nodes.remove(&ino);
    }

    /// A node that is in memory.
    pub fn cached(&mut self, ino: Ino) -> Option<&mut Node> {
        self.nodes.get_mut(&ino)
    }

    #[cold]
    fn load<D: BlockDevice>(&mut self, volume: &mut Volume<D>, ino: Ino) -> Result<()> {
        if !volume.superblock.is_usable_inode(ino) {
            return Err(Error::Stale);
        }
        let node = Node::load(volume, ino)?;
        if node.inode.links_count == 0 {
            return Err(Error::Stale);
        }
        let group = &volume.groups[volume.superblock.group_of_inode(ino) as usize];
        let bit = (ino.0 - 1) % volume.superblock.inodes_per_group;
        if !bitmap::is_set(volume.cache.get(group.inode_bitmap)?, bit) {
            return Err(Error::corrupt(
                "inode is in use but free in the bitmap",
                ino.0,
            ));
        }
        node.check(volume)?;
        self.make_room();
        self.nodes.insert(ino, node);
        Ok(())
    }

    /// Keeps what is open or was used since the last time.
    fn make_room(&mut self) {
        if self.nodes.len() < CAPACITY {
            return;
        }
        self.nodes
            .retain(|_, node| node.opens > 0 || core::mem::take(&mut node.used));
        if self.nodes.len() >= CAPACITY {
            self.nodes.retain(|_, node| node.opens > 0);
        }
    }
}
