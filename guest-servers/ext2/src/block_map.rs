//! From a file's block to the disk's: 12 direct pointers, then trees of one to three levels
//! of indirect blocks. Mappings are found and made in runs.

use crate::bytes::{put_u32, u32_at};
use crate::cache::{Class, Tag};
use crate::node::Node;
use crate::types::{BlockNr, FileType, Ino, Run};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// Direct pointers in an inode.
pub(crate) const DIRECT: u32 = 12;

/// Blocks of a file that follow one another on the disk, or a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First block of the file.
    pub logical: u32,
    /// First block on the disk; `None`: a hole.
    pub physical: Option<BlockNr>,
    /// Blocks.
    pub len: u32,
}

impl Extent {
    pub const NONE: Extent = Extent {
        logical: 0,
        physical: None,
        len: 0,
    };

    /// The part from block `logical` on, if it lies in here.
    #[inline]
    fn from(&self, logical: u32) -> Option<Extent> {
        let skip = logical.wrapping_sub(self.logical);
        (skip < self.len).then(|| Extent {
            logical,
            physical: self.physical.map(|first| first.plus(skip)),
            len: self.len - skip,
        })
    }
}

/// The way to a block's pointer: a slot of `i_block`, then one index a level.
struct Path {
    slot: usize,
    depth: u32,
    /// Block number within the tree under the slot.
    relative: u32,
    /// log2 of the pointers in a block.
    bits: u32,
}

impl Path {
    fn to(logical: u32, block_bits: u32) -> Result<Self> {
        let bits = block_bits - 2;
        if logical < DIRECT {
            return Ok(Path {
                slot: logical as usize,
                depth: 0,
                relative: 0,
                bits,
            });
        }
        let mut relative = logical - DIRECT;
        for depth in 1..=3 {
            let span = 1u64 << (bits * depth);
            if u64::from(relative) < span {
                return Ok(Path {
                    slot: (DIRECT + depth - 1) as usize,
                    depth,
                    relative,
                    bits,
                });
            }
            relative -= span as u32;
        }
        Err(Error::FileTooLarge)
    }

    /// Index into the indirect block of a level; level 1 is what the inode points to.
    fn index(&self, level: u32) -> usize {
        let shift = self.bits * (self.depth - level);
        ((self.relative >> shift) & ((1 << self.bits) - 1)) as usize
    }

    /// Blocks from here to the end of the subtree under a pointer of a level.
    fn rest_of_subtree(&self, level: u32) -> u32 {
        let span = 1u64 << (self.bits * (self.depth - level));
        let rest = span - (u64::from(self.relative) & (span - 1));
        rest.min(u64::from(u32::MAX)) as u32
    }
}

/// Finds where block `logical` of the file is. The extent starts there and is as long as one
/// indirect block can tell.
#[inline]
pub(crate) fn map<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    logical: u32,
) -> Result<Extent> {
    match node.extent.from(logical) {
        Some(extent) => Ok(extent),
        None => look_up(volume, node, logical),
    }
}

#[cold]
fn look_up<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    logical: u32,
) -> Result<Extent> {
    let path = Path::to(logical, volume.block_bits())?;
    let mut pointer = node.inode.block[path.slot];
    let mut run = if path.depth == 0 {
        run_of(node.inode.block[path.slot..DIRECT as usize].iter().copied())
    } else {
        Run {
            start: pointer,
            len: 0,
        }
    };
    for level in 1..=path.depth {
        if pointer == 0 {
            run = Run {
                start: 0,
                len: path.rest_of_subtree(level - 1),
            };
            break;
        }
        let block = volume.file_blocks(pointer, 1)?;
        let pointers = &volume.cache.get(block)?[path.index(level) * 4..];
        pointer = u32_at(pointers, 0);
        if level == path.depth {
            run = run_of(pointers.chunks_exact(4).map(|raw| u32_at(raw, 0)));
        }
    }
    let physical = match run.start {
        0 => None,
        start => Some(volume.file_blocks(start, run.len)?),
    };
    node.extent = Extent {
        logical,
        physical,
        len: run.len,
    };
    Ok(node.extent)
}

/// The longest run at the start of a list of pointers: all zero, or each one more.
fn run_of(mut pointers: impl Iterator<Item = u32>) -> Run {
    let Some(start) = pointers.next() else {
        return Run { start: 0, len: 0 };
    };
    let len = (1u32..)
        .zip(pointers)
        .take_while(|&(i, pointer)| {
            if start == 0 {
                pointer == 0
            } else {
                Some(pointer) == start.checked_add(i)
            }
        })
        .count();
    Run {
        start,
        len: len as u32 + 1,
    }
}

/// Where a pointer is kept.
#[derive(Clone, Copy)]
enum PointerHome {
    Inode(usize),
    Indirect(BlockNr, usize),
}

/// Gives 1 to `want` blocks to the hole at block `logical`. Only the map changes: what the
/// new blocks contain is up to the caller, and so is storing the node.
pub(crate) fn allocate<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    logical: u32,
    want: u32,
) -> Result<Extent> {
    let hole = map(volume, node, logical)?;
    let path = Path::to(logical, volume.block_bits())?;
    let (home, missing) = find_missing(volume, node, &path)?;
    let to_end = if path.depth == 0 {
        DIRECT - logical
    } else {
        (1 << path.bits) - path.index(path.depth) as u32
    };
    let want = want.min(hole.len).min(to_end).max(1);
    let goal = goal(volume, node, logical)?;
    let sectors = volume.superblock.sectors_per_block();
    node.inode
        .sectors
        .checked_add((missing + want) * sectors)
        .ok_or(Error::FileTooLarge)?;
    let (indirect, data) = take_blocks(volume, node, goal, missing, want)?;
    let indirect = &indirect[..missing as usize];
    connect(volume, node, &path, home, indirect, data)?;
    node.inode.sectors += (missing + data.len) * sectors;
    node.extent = Extent {
        logical,
        physical: Some(BlockNr(data.start)),
        len: data.len,
    };
    Ok(node.extent)
}

/// Follows the existing part of the path: where the first missing pointer belongs, and how
/// many indirect blocks are missing.
fn find_missing<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &Node,
    path: &Path,
) -> Result<(PointerHome, u32)> {
    let mut home = PointerHome::Inode(path.slot);
    let mut pointer = node.inode.block[path.slot];
    for level in 1..=path.depth {
        if pointer == 0 {
            return Ok((home, path.depth - level + 1));
        }
        let block = volume.file_blocks(pointer, 1)?;
        let index = path.index(level);
        pointer = u32_at(volume.cache.get(block)?, index * 4);
        home = PointerHome::Indirect(block, index);
    }
    Ok((home, 0))
}

/// The block after the previous block of the file, else the start of the inode's group.
fn goal<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node, logical: u32) -> Result<u32> {
    if let Some(before) = logical.checked_sub(1)
        && let Some(block) = map(volume, node, before)?.physical
    {
        return Ok(block.0.saturating_add(1));
    }
    Ok(volume
        .superblock
        .group_start(volume.superblock.group_of_inode(node.ino)))
}

/// Takes all blocks that a new branch needs, or none. Data comes first at the goal unless
/// indirect blocks are needed: these lie before the data they lead to.
fn take_blocks<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &Node,
    mut goal: u32,
    missing: u32,
    want: u32,
) -> Result<([u32; 3], Run)> {
    let mut indirect = [0; 3];
    for taken in 0..missing as usize {
        if taken == 0 {
            // The reservation continues at the goal: let the indirect block have its start.
            volume.release_reservation(node.ino)?;
        }
        match volume.allocate_run(goal, 1) {
            Ok(run) => indirect[taken] = run.start,
            Err(error) => {
                give_back(volume, &indirect[..taken])?;
                return Err(error);
            }
        }
        goal = indirect[taken] + 1;
    }
    let data = if node.inode.file_type() == Some(FileType::Regular) {
        volume.allocate_for_file(node.ino, goal, want)
    } else {
        volume.allocate_run(goal, want)
    };
    match data {
        Ok(run) => Ok((indirect, run)),
        Err(error) => {
            give_back(volume, &indirect[..missing as usize])?;
            Err(error)
        }
    }
}

fn give_back<D: BlockDevice>(volume: &mut Volume<D>, blocks: &[u32]) -> Result<()> {
    blocks
        .iter()
        .try_for_each(|&start| volume.free_run(Run { start, len: 1 }))
}

/// Writes the pointers of a new branch, from the leaf up, and last the one that links it in.
fn connect<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    path: &Path,
    home: PointerHome,
    indirect: &[u32],
    data: Run,
) -> Result<()> {
    let mut below = data;
    for (step, &block) in indirect.iter().rev().enumerate() {
        let level = path.depth - step as u32;
        let raw = volume
            .cache
            .zeroed(BlockNr(block), indirect_tag(node.ino))?;
        put_pointers(raw, path.index(level), below);
        below = Run {
            start: block,
            len: 1,
        };
    }
    match home {
        PointerHome::Inode(slot) => {
            let slots = node.inode.block[slot..].iter_mut().zip(below.start..);
            slots
                .take(below.len as usize)
                .for_each(|(slot, block)| *slot = block);
        }
        PointerHome::Indirect(block, index) => {
            let raw = volume.cache.modify(block, indirect_tag(node.ino))?;
            put_pointers(raw, index, below);
        }
    }
    Ok(())
}

/// How changed indirect blocks of a file are tagged.
pub(crate) fn indirect_tag(ino: Ino) -> Tag {
    Tag::of(Class::Indirect, ino)
}

fn put_pointers(raw: &mut [u8], index: usize, run: Run) {
    for step in 0..run.len {
        put_u32(raw, (index + step as usize) * 4, run.start + step);
    }
}
