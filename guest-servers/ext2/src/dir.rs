//! Directories: blocks full of entries that tile each block exactly.

mod entry;
mod index;
mod search;

use entry::{Entry, parse, rec_len_for, write_entry};
pub(crate) use index::DirIndexes;
pub(crate) use search::{find, search};

use crate::block_map::{allocate, map};
use crate::cache::{Class, Tag};
use crate::inode::FLAG_INDEX;
use crate::node::Node;
use crate::types::{BlockNr, FileType, Ino};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// Blocks of a directory that are read in one request.
const READ_AHEAD: u32 = 8;

/// Where an entry lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub block: BlockNr,
    /// Bytes from the start of the block.
    pub at: usize,
    /// Bytes from the start of the directory.
    pub offset: u64,
}

/// An entry that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub ino: Ino,
    pub position: Position,
}

/// The disk's block that holds block `logical` of a directory; directories have no holes.
fn dir_block<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    logical: u32,
) -> Result<(BlockNr, u32)> {
    let extent = map(volume, node, logical)?;
    let block = extent
        .physical
        .ok_or(Error::corrupt("directory has a hole", node.ino.0))?;
    Ok((block, extent.len.min(READ_AHEAD)))
}

fn blocks_of<D: BlockDevice>(volume: &Volume<D>, node: &Node) -> u32 {
    (node.inode.size >> volume.block_bits()) as u32
}

/// Calls `each` for the entries in use from byte `offset` on, until it returns false. An
/// offset inside an entry counts as the next one's.
pub(crate) fn walk<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    offset: u64,
    mut each: impl FnMut(&Entry<'_>, u64) -> bool,
) -> Result<()> {
    let bits = volume.block_bits();
    let first = u32::try_from(offset >> bits).unwrap_or(u32::MAX);
    for logical in first..blocks_of(volume, node) {
        let (block, ahead) = dir_block(volume, node, logical)?;
        let start = u64::from(logical) << bits;
        let raw = volume.cache.get_ahead(block, ahead)?;
        let mut at = 0;
        while at < raw.len() {
            let entry = parse(raw, at, block)?;
            let here = start + at as u64;
            if here >= offset && entry.inode != 0 && !each(&entry, here) {
                return Ok(());
            }
            at += entry.rec_len;
        }
    }
    Ok(())
}

/// Whether there is nothing but `.` and `..`.
pub(crate) fn is_empty<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node) -> Result<bool> {
    let mut empty = true;
    walk(volume, node, 0, |entry, _| {
        empty = matches!(entry.name, b"." | b"..");
        empty
    })?;
    Ok(empty)
}

fn tag(node: &Node) -> Tag {
    Tag::of(Class::Directory, node.ino)
}

fn type_code<D: BlockDevice>(volume: &Volume<D>, file_type: FileType) -> u8 {
    if volume.superblock.has_file_type() {
        file_type.entry_code()
    } else {
        0
    }
}

/// Adds an entry where [`search`] found room, else in a new block. The caller stores the node.
pub(crate) fn insert<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    name: &[u8],
    (ino, file_type): (Ino, FileType),
    room: Option<Position>,
) -> Result<()> {
    let room = match room {
        Some(position) => position,
        None => append_block(volume, node)?,
    };
    let code = type_code(volume, file_type);
    let raw = volume.cache.modify(room.block, tag(node))?;
    let host = parse(raw, room.at, room.block)?;
    let (used, whole) = (host.used(), host.rec_len);
    if used > 0 {
        entry::set_rec_len(raw, room.at, used);
    }
    write_entry(&mut raw[room.at + used..room.at + whole], ino, code, name);
    volume
        .indexes
        .added(node.ino, name, room.offset + used as u64);
    // Without the tree the entries are a plain list, which is all that ext2 keeps up.
    node.inode.flags &= !FLAG_INDEX;
    Ok(())
}

/// Extends the directory by a block with one unused entry.
fn append_block<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node) -> Result<Position> {
    let offset = node.inode.size;
    let logical = blocks_of(volume, node);
    // The size of a directory has 32 bits.
    if offset + volume.block_size() as u64 > u64::from(u32::MAX) {
        return Err(Error::NoSpace);
    }
    let block = match map(volume, node, logical)?.physical {
        Some(block) => block,
        None => {
            let extent = allocate(volume, node, logical, 1)?;
            extent
                .physical
                .ok_or(Error::corrupt("directory has a hole", node.ino.0))?
        }
    };
    let raw = volume.cache.zeroed(block, tag(node))?;
    entry::set_rec_len(raw, 0, raw.len());
    node.inode.size += volume.block_size() as u64;
    Ok(Position {
        block,
        at: 0,
        offset,
    })
}

/// Fills a new directory with `.` and `..`. The caller stores the node.
pub(crate) fn initialise<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    parent: Ino,
) -> Result<()> {
    let Position { block, .. } = append_block(volume, node)?;
    let code = type_code(volume, FileType::Directory);
    let raw = volume.cache.modify(block, tag(node))?;
    let (dot, dot_dot) = raw.split_at_mut(rec_len_for(1));
    write_entry(dot, node.ino, code, b".");
    write_entry(dot_dot, parent, code, b"..");
    Ok(())
}

/// Lets an entry name another inode.
pub(crate) fn redirect<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    position: Position,
    (ino, file_type): (Ino, FileType),
) -> Result<()> {
    let code = type_code(volume, file_type);
    let raw = volume.cache.modify(position.block, tag(node))?;
    entry::set_target(raw, position.at, ino, code);
    Ok(())
}

/// Removes an entry: the one before it in the block takes its space, else it becomes unused.
pub(crate) fn remove<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    name: &[u8],
    position: Position,
) -> Result<()> {
    let logical = (position.offset >> volume.block_bits()) as u32;
    volume.indexes.removed(node.ino, name, logical);
    let raw = volume.cache.modify(position.block, tag(node))?;
    let mut before = None;
    let mut at = 0;
    while at < position.at {
        before = Some(at);
        at += parse(raw, at, position.block)?.rec_len;
    }
    if at != position.at {
        return Err(Error::corrupt(
            "directory entries do not tile the block",
            position.block.0,
        ));
    }
    let rec_len = parse(raw, at, position.block)?.rec_len;
    match before {
        Some(before) => entry::set_rec_len(raw, before, at + rec_len - before),
        None => entry::clear_target(raw, at),
    }
    node.inode.flags &= !FLAG_INDEX;
    Ok(())
}
