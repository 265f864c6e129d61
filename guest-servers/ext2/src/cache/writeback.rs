//! Writing dirty blocks: in the order of their class, neighbours together.

use alloc::vec::Vec;

use super::{Cache, Class};
use crate::types::{BlockNr, Ino};
use crate::{BlockDevice, Result};

/// A dirty slot in writing order.
type Pending = (Class, BlockNr, u32);

impl<D: BlockDevice> Cache<D> {
    /// Writes all dirty blocks to the device.
    pub fn write_back(&mut self) -> Result<()> {
        self.write_back_where(|_, _| true)
    }

    /// Writes what a file needs to be found again: its own dirty blocks, its inode's table
    /// block, and all bitmaps (so that its blocks stay taken after a crash).
    pub fn write_back_file(&mut self, owner: Ino, inode_block: BlockNr) -> Result<()> {
        self.write_back_where(|slot_tag, block| {
            slot_tag.owner == Some(owner) || slot_tag.class == Class::Bitmap || block == inode_block
        })
    }

    /// Waits until the device has everything on stable storage.
    pub fn flush_device(&mut self) -> Result<()> {
        Ok(self.device.flush()?)
    }

    fn write_back_where(&mut self, wanted: impl Fn(super::Tag, BlockNr) -> bool) -> Result<()> {
        if self.dirty == 0 {
            return Ok(());
        }
        let mut pending: Vec<Pending> = Vec::with_capacity(self.dirty);
        for (number, slot) in self.slots.iter().enumerate() {
            if let (true, Some(block)) = (slot.dirty, slot.block)
                && wanted(slot.tag, block)
            {
                pending.push((slot.tag.class, block, number as u32));
            }
        }
        pending.sort_unstable();
        let mut rest = pending.as_slice();
        while !rest.is_empty() {
            let (run, after) = rest.split_at(self.run_length(rest));
            self.write_run(run)?;
            rest = after;
        }
        Ok(())
    }

    fn run_length(&self, pending: &[Pending]) -> usize {
        let first = pending[0].1;
        pending
            .iter()
            .take(self.run_max)
            .enumerate()
            .take_while(|(index, entry)| entry.1 == first.plus(*index as u32))
            .count()
    }

    fn write_run(&mut self, run: &[Pending]) -> Result<()> {
        let sector = u64::from(run[0].1.0) * self.sectors_per_block;
        self.stats.device_writes += 1;
        if let [(_, _, slot)] = run {
            self.device
                .write(sector, self.memory.block(*slot as usize))?;
        } else {
            self.prepare_scratch();
            let size = self.block_size;
            for ((_, _, slot), part) in run.iter().zip(self.scratch.chunks_exact_mut(size)) {
                part.copy_from_slice(self.memory.block(*slot as usize));
            }
            self.device
                .write(sector, &self.scratch[..run.len() * size])?;
        }
        self.stats.blocks_written += run.len() as u64;
        for (_, _, slot) in run {
            self.slots[*slot as usize].dirty = false;
        }
        self.dirty -= run.len();
        Ok(())
    }
}
