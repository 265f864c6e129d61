//! Block allocation: near the goal, in runs.

use crate::bitmap;
use crate::cache::Tag;
use crate::group;
use crate::reserve::{AHEAD, Privilege};
use crate::types::{BlockNr, Ino, Run};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

impl<D: BlockDevice> Volume<D> {
    /// Takes 1 to `want` blocks that follow one another for the data of a growing file: from
    /// its reservation if that continues at `goal`, and renews the reservation otherwise.
    pub fn allocate_for_file(&mut self, ino: Ino, goal: u32, want: u32) -> Result<Run> {
        if let Some(reserved) = self.reservations.take(ino) {
            if reserved.start == goal {
                return Ok(self.split_reservation(ino, reserved, want));
            }
            self.free_run(reserved)?;
        }
        if self.reservations.is_full() {
            self.release_all_reservations()?;
        }
        let run = self.allocate_run(goal, want.saturating_add(AHEAD))?;
        Ok(self.split_reservation(ino, run, want))
    }

    fn split_reservation(&mut self, ino: Ino, run: Run, want: u32) -> Run {
        let len = run.len.min(want);
        self.reservations.put(
            ino,
            Run {
                start: run.start + len,
                len: run.len - len,
            },
        );
        Run {
            start: run.start,
            len,
        }
    }

    /// Gives back what is reserved for a file.
    pub fn release_reservation(&mut self, ino: Ino) -> Result<()> {
        match self.reservations.take(ino) {
            Some(run) => self.free_run(run),
            None => Ok(()),
        }
    }

    /// Gives back everything reserved.
    pub fn release_all_reservations(&mut self) -> Result<()> {
        while let Some(ino) = self.reservations.any() {
            self.release_reservation(ino)?;
        }
        Ok(())
    }

    /// Takes 1 to `want` blocks that follow one another, at `goal` or as near behind as can be.
    pub fn allocate_run(&mut self, goal: u32, want: u32) -> Result<Run> {
        let mut available = self.available_blocks();
        if available < want && self.reservations.blocks() > 0 {
            self.release_all_reservations()?;
            available = self.available_blocks();
        }
        if available == 0 {
            return Err(Error::NoSpace);
        }
        let want = want.min(available);
        let superblock = &self.superblock;
        let goal = goal.clamp(superblock.first_data_block, superblock.blocks_count - 1);
        let (home, groups) = (superblock.group_of_block(goal), superblock.groups);
        let home_bit = goal - superblock.group_start(home);
        // The home group comes again at the end, for the part before the goal.
        for step in 0..=groups {
            let number = (home + step) % groups;
            let from = if step == 0 { home_bit } else { 0 };
            if let Some(run) = self.allocate_in_group(number, from, want)? {
                return Ok(run);
            }
        }
        Err(Error::NoSpace)
    }

    fn available_blocks(&self) -> u32 {
        let kept = match self.privilege {
            Privilege::Privileged => 0,
            Privilege::Unprivileged => self.superblock.r_blocks_count,
        };
        self.superblock.free_blocks_count.saturating_sub(kept)
    }

    fn allocate_in_group(&mut self, number: u32, from: u32, want: u32) -> Result<Option<Run>> {
        let group = &mut self.groups[number as usize];
        if group.free_blocks_count == 0 {
            return Ok(None);
        }
        let end = self.superblock.group_blocks(number);
        let map = self.cache.get(group.block_bitmap)?;
        let Some(bit) = find_bit(map, from, end) else {
            return Ok(None);
        };
        let len = bitmap::clear_run(map, bit, end, want.min(u32::from(group.free_blocks_count)));
        let start = self.superblock.group_start(number) + bit;
        if group::overlaps_system(&self.superblock, &self.groups, start, len) {
            return Err(Error::corrupt(
                "block bitmap has metadata free in group",
                number,
            ));
        }
        let group = &mut self.groups[number as usize];
        bitmap::set(
            self.cache.modify(group.block_bitmap, Tag::BITMAP)?,
            bit,
            len,
        );
        group.free_blocks_count -= len as u16;
        group.dirty = true;
        self.superblock.free_blocks_count = self.superblock.free_blocks_count.saturating_sub(len);
        self.superblock_dirty = true;
        Ok(Some(Run { start, len }))
    }

    /// Gives blocks of a file back. The whole run must be inside the file system and taken.
    pub fn free_run(&mut self, run: Run) -> Result<()> {
        if run.len == 0 {
            return Ok(());
        }
        self.file_blocks(run.start, run.len)?;
        let (mut start, end) = (run.start, run.start + run.len);
        while start < end {
            let number = self.superblock.group_of_block(start);
            let first = self.superblock.group_start(number);
            let stop = end.min(first + self.superblock.group_blocks(number));
            self.free_in_group(number, start - first, stop - start)?;
            for block in start..stop {
                self.cache.discard(BlockNr(block));
            }
            start = stop;
        }
        Ok(())
    }

    fn free_in_group(&mut self, number: u32, bit: u32, len: u32) -> Result<()> {
        let group = &mut self.groups[number as usize];
        let map = self.cache.get(group.block_bitmap)?;
        if let Some(free) = bitmap::first_clear(map, bit, bit + len) {
            let block = self.superblock.group_start(number) + free;
            return Err(Error::corrupt(
                "block is used by a file but free in the bitmap",
                block,
            ));
        }
        bitmap::clear(
            self.cache.modify(group.block_bitmap, Tag::BITMAP)?,
            bit,
            len,
        );
        let free = u32::from(group.free_blocks_count) + len;
        group.free_blocks_count = free.min(self.superblock.group_blocks(number)) as u16;
        group.dirty = true;
        let total = self.superblock.free_blocks_count.saturating_add(len);
        self.superblock.free_blocks_count = total.min(self.superblock.blocks_count);
        self.superblock_dirty = true;
        Ok(())
    }
}

/// The goal itself if free, else the first free byte behind it, else the first free bit.
fn find_bit(map: &[u8], from: u32, end: u32) -> Option<u32> {
    let first = bitmap::first_clear(map, from, end)?;
    if first == from {
        return Some(first);
    }
    Some(bitmap::first_clear_byte(map, first, end).unwrap_or(first))
}
