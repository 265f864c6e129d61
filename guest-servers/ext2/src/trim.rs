//! Giving back the blocks of a file behind a new end.

use crate::block_map::{DIRECT, Extent, indirect_tag};
use crate::bytes::u32_at;
use crate::node::Node;
use crate::types::{Ino, Run};
use crate::volume::Volume;
use crate::{BlockDevice, Result};

/// Collects freed blocks into runs, so that neighbours cost one change of the bitmap.
struct Freeing {
    run: Run,
    total: u32,
    owner: Ino,
}

impl Freeing {
    fn push<D: BlockDevice>(&mut self, volume: &mut Volume<D>, block: u32) -> Result<()> {
        if self.run.len > 0 && Some(block) == self.run.start.checked_add(self.run.len) {
            self.run.len += 1;
            return Ok(());
        }
        self.flush(volume)?;
        self.run = Run {
            start: block,
            len: 1,
        };
        Ok(())
    }

    fn flush<D: BlockDevice>(&mut self, volume: &mut Volume<D>) -> Result<()> {
        let run = core::mem::replace(&mut self.run, Run { start: 0, len: 0 });
        volume.free_run(run)?;
        self.total += run.len;
        Ok(())
    }
}

/// Frees all blocks of the file from block `keep` on and adjusts `i_blocks`; the node is
/// stored before and after, so that the disk never points to freed blocks.
///
/// A pointer is cleared before what is under it is freed: an error in between loses blocks,
/// which e2fsck finds, and shares none.
pub(crate) fn trim<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    keep: u64,
) -> Result<()> {
    volume.release_reservation(node.ino)?;
    node.extent = Extent::NONE;
    let mut freeing = Freeing {
        run: Run { start: 0, len: 0 },
        total: 0,
        owner: node.ino,
    };
    let outcome = trim_slots(volume, node, keep, &mut freeing).and_then(|()| freeing.flush(volume));
    let sectors = freeing
        .total
        .saturating_mul(volume.superblock.sectors_per_block());
    node.inode.sectors = node.inode.sectors.saturating_sub(sectors);
    node.store(volume)?;
    outcome
}

fn trim_slots<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    keep: u64,
    freeing: &mut Freeing,
) -> Result<()> {
    let pointers_bits = volume.block_bits() - 2;
    let mut base = 0u64;
    for slot in 0..node.inode.block.len() {
        let depth = (slot as u32 + 1).saturating_sub(DIRECT);
        let span = 1u64 << (pointers_bits * depth);
        let pointer = node.inode.block[slot];
        if pointer != 0 && keep < base + span {
            if keep <= base {
                node.inode.block[slot] = 0;
                node.store(volume)?;
            }
            trim_tree(volume, pointer, depth, keep.saturating_sub(base), freeing)?;
        }
        base += span;
    }
    Ok(())
}

/// Frees what lies from block `keep` of a subtree on; all of it and its root if that is 0.
fn trim_tree<D: BlockDevice>(
    volume: &mut Volume<D>,
    root: u32,
    depth: u32,
    keep: u64,
    freeing: &mut Freeing,
) -> Result<()> {
    if depth > 0 {
        trim_children(volume, root, depth, keep, freeing)?;
    }
    if keep == 0 {
        freeing.push(volume, root)
    } else {
        Ok(())
    }
}

fn trim_children<D: BlockDevice>(
    volume: &mut Volume<D>,
    root: u32,
    depth: u32,
    keep: u64,
    freeing: &mut Freeing,
) -> Result<()> {
    let bits = (volume.block_bits() - 2) * (depth - 1);
    let block = volume.file_blocks(root, 1)?;
    let pointers = volume.cache.get(block)?.to_vec();
    let first = (keep >> bits) as usize;
    let first_rest = keep & ((1 << bits) - 1);
    if keep > 0 {
        let cut = first + usize::from(first_rest > 0);
        let raw = volume.cache.modify(block, indirect_tag(freeing.owner))?;
        raw[cut * 4..].fill(0);
    }
    for (index, raw) in pointers.chunks_exact(4).enumerate().skip(first) {
        let pointer = u32_at(raw, 0);
        if pointer != 0 {
            let rest = if index == first { first_rest } else { 0 };
            trim_tree(volume, pointer, depth - 1, rest, freeing)?;
        }
    }
    Ok(())
}
