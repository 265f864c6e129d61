//! Finding names, and room for new ones.

use super::index::{BLOCKS_MIN, DirIndex};
use super::{Found, Position, blocks_of, dir_block, parse, rec_len_for, walk};
use crate::node::Node;
use crate::superblock::Superblock;
use crate::types::Ino;
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// The outcome of a search for a name.
pub(crate) struct Search {
    pub found: Option<Found>,
    /// An entry that has room for the name behind it, or is unused and long enough. Looked
    /// for only if the name was not found.
    pub room: Option<Position>,
}

/// Finds a name.
pub(crate) fn find<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    name: &[u8],
) -> Result<Option<Found>> {
    if prepare_index(volume, node) {
        find_by_index(volume, node, name)
    } else {
        Ok(scan(volume, node, name, Goal::Name)?.found)
    }
}

/// Finds a name, or where it would fit.
pub(crate) fn search<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    name: &[u8],
) -> Result<Search> {
    if !prepare_index(volume, node) {
        return scan(volume, node, name, Goal::Name);
    }
    if let Some(found) = find_by_index(volume, node, name)? {
        return Ok(Search {
            found: Some(found),
            room: None,
        });
    }
    let first = volume
        .indexes
        .get(node.ino)
        .map_or(0, |index| index.room_block);
    let search = scan(volume, node, name, Goal::RoomFrom(first))?;
    let full = blocks_of(volume, node);
    let room_block = search
        .room
        .map_or(full, |room| (room.offset >> volume.block_bits()) as u32);
    if let Some(index) = volume.indexes.get(node.ino) {
        index.room_block = room_block;
    }
    Ok(search)
}

/// Makes sure that the directory is indexed; false if it is too small or cannot be.
fn prepare_index<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node) -> bool {
    if blocks_of(volume, node) < BLOCKS_MIN {
        return false;
    }
    if volume.indexes.get(node.ino).is_some() {
        return true;
    }
    let mut index = DirIndex::new(node.ino);
    let mut complete = true;
    let outcome = walk(volume, node, 0, |entry, offset| {
        complete = index.add(entry.name, offset);
        complete
    });
    // A damaged directory is searched without an index: what is before the damage is found.
    let usable = complete && outcome.is_ok();
    if usable {
        volume.indexes.put(index);
    }
    usable
}

fn find_by_index<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    name: &[u8],
) -> Result<Option<Found>> {
    let index = volume.indexes.get(node.ino);
    let Some(offset) = index.and_then(|index| index.get(name)).map(u64::from) else {
        return Ok(None);
    };
    let bits = volume.block_bits();
    let (block, _) = dir_block(volume, node, (offset >> bits) as u32)?;
    let at = (offset & ((1 << bits) - 1)) as usize;
    let entry = parse(volume.cache.get(block)?, at, block)?;
    if entry.inode == 0 || entry.name != name {
        return Ok(None);
    }
    let ino = usable(&volume.superblock, Ino(entry.inode))?;
    Ok(Some(Found {
        ino,
        position: Position { block, at, offset },
    }))
}

/// What a walk is after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The name, and room on the way.
    Name,
    /// Room only, from a block on: the index knows that the name is not there.
    RoomFrom(u32),
}

/// Walks the directory until the goal is reached.
fn scan<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    name: &[u8],
    goal: Goal,
) -> Result<Search> {
    let first = if let Goal::RoomFrom(first) = goal {
        first
    } else {
        0
    };
    let needed = rec_len_for(name.len());
    let mut room = None;
    for logical in first..blocks_of(volume, node) {
        let (block, ahead) = dir_block(volume, node, logical)?;
        let start = u64::from(logical) << volume.block_bits();
        let raw = volume.cache.get_ahead(block, ahead)?;
        let mut at = 0;
        while at < raw.len() {
            let entry = parse(raw, at, block)?;
            let position = Position {
                block,
                at,
                offset: start + at as u64,
            };
            if entry.inode != 0 && entry.name == name {
                let ino = usable(&volume.superblock, Ino(entry.inode))?;
                return Ok(Search {
                    found: Some(Found { ino, position }),
                    room,
                });
            }
            if room.is_none() && entry.rec_len - entry.used() >= needed {
                room = Some(position);
            }
            at += entry.rec_len;
        }
        if goal != Goal::Name && room.is_some() {
            break;
        }
    }
    Ok(Search { found: None, room })
}

fn usable(superblock: &Superblock, ino: Ino) -> Result<Ino> {
    if superblock.is_usable_inode(ino) {
        Ok(ino)
    } else {
        Err(Error::corrupt(
            "directory entry with an invalid inode number",
            ino.0,
        ))
    }
}
