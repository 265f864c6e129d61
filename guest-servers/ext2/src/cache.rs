//! The write-back block cache: every byte of the file system passes through it.
//!
//! Blocks live in slots that are allocated as they are first needed, up to the capacity; then
//! the least recently used one is replaced. A dirty block is never written alone: when the
//! oldest slot is dirty, everything dirty is written in the order of [`Class`], neighbours in
//! one device request, so that what a block points to reaches the disk before the pointer.

mod lru;
mod slot;
#[cfg(test)]
mod tests;
mod writeback;

use alloc::vec;
use alloc::vec::Vec;

use crate::hash::NumberMap;
use crate::types::{BlockNr, Ino};
use crate::{BlockDevice, Result};
use lru::Lru;
use slot::{Memory, Slot};

/// Most blocks in one device request.
const RUN_MAX: usize = 64;
/// Fewest blocks that a cache has: a run, and what one operation has in hands.
const CAPACITY_MIN: usize = 32;

/// What a dirty block holds; also the order in which dirty blocks are written.
///
/// Bitmaps go before the pointers to the blocks that they mark. Directories go before inodes:
/// if the machine stops in between, a deleted file has lost its name but not its inode, and a
/// new name may lead to an inode that is not there yet but taken in the bitmap. Space may be
/// lost, nothing is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Data,
    Bitmap,
    Indirect,
    Directory,
    Inode,
    Super,
}

/// What a dirty block holds, and of which file (for fsync).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub class: Class,
    pub owner: Option<Ino>,
}

impl Tag {
    pub const BITMAP: Tag = Tag {
        class: Class::Bitmap,
        owner: None,
    };
    pub const INODE: Tag = Tag {
        class: Class::Inode,
        owner: None,
    };
    pub const SUPER: Tag = Tag {
        class: Class::Super,
        owner: None,
    };

    pub fn of(class: Class, owner: Ino) -> Self {
        Tag {
            class,
            owner: Some(owner),
        }
    }
}

/// Counters since mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Blocks found in the cache.
    pub hits: u64,
    /// Blocks that had to be read.
    pub misses: u64,
    /// Read requests to the device.
    pub device_reads: u64,
    /// Blocks read by these.
    pub blocks_read: u64,
    /// Write requests to the device.
    pub device_writes: u64,
    /// Blocks written by these.
    pub blocks_written: u64,
    /// Blocks replaced by others.
    pub evictions: u64,
    /// Blocks cached now.
    pub cached: u64,
    /// Of these, blocks not yet written.
    pub dirty: u64,
}

/// The cache and the device under it.
pub(crate) struct Cache<D> {
    device: D,
    block_size: usize,
    sectors_per_block: u64,
    capacity: usize,
    run_max: usize,
    slots: Vec<Slot>,
    memory: Memory,
    index: NumberMap<BlockNr, u32>,
    lru: Lru,
    dirty: usize,
    /// Where requests of several blocks are put together.
    scratch: Vec<u8>,
    stats: CacheStats,
}

impl<D: BlockDevice> Cache<D> {
    /// A cache of at most `capacity` blocks of `block_size` bytes.
    pub fn new(device: D, block_size: usize, capacity: usize) -> Self {
        let capacity = capacity.max(CAPACITY_MIN);
        Cache {
            sectors_per_block: block_size as u64 / u64::from(device.sector_size()),
            device,
            block_size,
            capacity,
            run_max: RUN_MAX.min(capacity / 4),
            slots: Vec::new(),
            memory: Memory::new(block_size),
            index: NumberMap::default(),
            lru: Lru::new(),
            dirty: 0,
            scratch: Vec::new(),
            stats: CacheStats::default(),
        }
    }

    /// The device, without writing anything.
    pub fn into_device(self) -> D {
        self.device
    }

    pub fn stats(&self) -> CacheStats {
        CacheStats {
            cached: self.index.len() as u64,
            dirty: self.dirty as u64,
            ..self.stats
        }
    }

    /// A block's content.
    pub fn get(&mut self, block: BlockNr) -> Result<&[u8]> {
        let slot = self.slot_for(block, 1)?;
        Ok(self.memory.block(slot))
    }

    /// As [`get`](Self::get); if it must be read, up to `ahead` blocks that follow are read
    /// in the same request.
    #[inline]
    pub fn get_ahead(&mut self, block: BlockNr, ahead: u32) -> Result<&[u8]> {
        let slot = self.slot_for(block, ahead)?;
        Ok(self.memory.block(slot))
    }

    /// A block's content to change part of it.
    pub fn modify(&mut self, block: BlockNr, tag: Tag) -> Result<&mut [u8]> {
        let slot = self.slot_for(block, 1)?;
        Ok(self.dirty_slot(slot, tag))
    }

    /// A block to be overwritten whole; its old content is not read. What the slice holds
    /// is undefined: the caller writes all of it.
    pub fn replace(&mut self, block: BlockNr, tag: Tag) -> Result<&mut [u8]> {
        let slot = match self.find(block) {
            Some(slot) => slot,
            None => {
                let slot = self.take_slot()?;
                self.install(slot, block);
                slot as usize
            }
        };
        Ok(self.dirty_slot(slot, tag))
    }

    /// A block that becomes all zero; its old content is not read.
    pub fn zeroed(&mut self, block: BlockNr, tag: Tag) -> Result<&mut [u8]> {
        let data = self.replace(block, tag)?;
        data.fill(0);
        Ok(data)
    }

    /// Forgets a block that was freed, changes included.
    pub fn discard(&mut self, block: BlockNr) {
        if let Some(slot) = self.index.remove(&block) {
            let entry = &mut self.slots[slot as usize];
            self.dirty -= usize::from(entry.dirty);
            entry.dirty = false;
            entry.block = None;
            self.lru.move_to_back(slot);
        }
    }

    /// Writes all changes, forgets all blocks and gives their memory back; how many bytes that are.
    pub fn give_back_memory(&mut self) -> Result<usize> {
        self.write_back()?;
        let used = self.slots.len();
        self.slots.clear();
        self.index.clear();
        self.lru = Lru::new();
        for piece in self.memory.pieces_of(used) {
            self.device.release(piece);
        }
        Ok(used * self.block_size)
    }

    #[inline]
    fn slot_for(&mut self, block: BlockNr, ahead: u32) -> Result<usize> {
        match self.find(block) {
            Some(slot) => {
                self.stats.hits += 1;
                Ok(slot)
            }
            None => self.fetch(block, ahead),
        }
    }

    #[inline]
    fn find(&mut self, block: BlockNr) -> Option<usize> {
        let slot = *self.index.get(&block)?;
        self.lru.move_to_front(slot);
        Some(slot as usize)
    }

    fn dirty_slot(&mut self, slot: usize, tag: Tag) -> &mut [u8] {
        let entry = &mut self.slots[slot];
        self.dirty += usize::from(!entry.dirty);
        entry.dirty = true;
        entry.tag = tag;
        self.memory.block_mut(slot)
    }

    /// Reads `block`, which is not cached, and up to `ahead - 1` missing ones after it.
    #[cold]
    fn fetch(&mut self, block: BlockNr, ahead: u32) -> Result<usize> {
        self.stats.misses += 1;
        let wanted = (ahead as usize).clamp(1, self.run_max) as u32;
        let last = self.last_block();
        let run = (1..wanted)
            .take_while(|&i| block.0 + i <= last && !self.index.contains_key(&block.plus(i)))
            .count()
            + 1;
        if run > 1 && self.fetch_run(block, run).is_ok() {
            return Ok(self.index[&block] as usize);
        }
        // Also after a failed run: what was only read ahead must not fail this read.
        self.fetch_one(block)
    }

    fn fetch_one(&mut self, block: BlockNr) -> Result<usize> {
        let slot = self.take_slot()?;
        let sector = u64::from(block.0) * self.sectors_per_block;
        let read = self
            .device
            .read(sector, self.memory.block_mut(slot as usize));
        self.stats.device_reads += 1;
        if let Err(error) = read {
            self.lru.push_back(slot);
            return Err(error.into());
        }
        self.stats.blocks_read += 1;
        self.install(slot, block);
        Ok(slot as usize)
    }

    fn fetch_run(&mut self, first: BlockNr, run: usize) -> Result<()> {
        let mut taken = [0u32; RUN_MAX];
        for index in 0..run {
            match self.take_slot() {
                Ok(slot) => taken[index] = slot,
                Err(error) => {
                    self.give_back(&taken[..index]);
                    return Err(error);
                }
            }
        }
        self.prepare_scratch();
        let bytes = run * self.block_size;
        let sector = u64::from(first.0) * self.sectors_per_block;
        self.stats.device_reads += 1;
        if let Err(error) = self.device.read(sector, &mut self.scratch[..bytes]) {
            self.give_back(&taken[..run]);
            return Err(error.into());
        }
        self.stats.blocks_read += run as u64;
        // The first block becomes the most recently used one.
        for index in (0..run).rev() {
            let slot = taken[index];
            let from = index * self.block_size;
            let data = self.memory.block_mut(slot as usize);
            data.copy_from_slice(&self.scratch[from..from + self.block_size]);
            self.install(slot, first.plus(index as u32));
        }
        Ok(())
    }

    fn give_back(&mut self, slots: &[u32]) {
        for &slot in slots {
            self.lru.push_back(slot);
        }
    }

    fn prepare_scratch(&mut self) {
        if self.scratch.is_empty() {
            self.scratch = vec![0; self.run_max * self.block_size];
        }
    }

    /// An unused slot, in no list: new, or the least recently used one.
    fn take_slot(&mut self) -> Result<u32> {
        if self.slots.len() < self.capacity {
            self.memory.add(self.slots.len());
            self.slots.push(Slot::new());
            return Ok(self.lru.add_detached());
        }
        if self
            .lru
            .back()
            .is_some_and(|slot| self.slots[slot as usize].dirty)
        {
            self.write_back()?;
        }
        let slot = self.lru.pop_back().ok_or(crate::Error::Io)?;
        if let Some(old) = self.slots[slot as usize].block.take() {
            self.index.remove(&old);
            self.stats.evictions += 1;
        }
        Ok(slot)
    }

    fn install(&mut self, slot: u32, block: BlockNr) {
        self.slots[slot as usize].block = Some(block);
        self.index.insert(block, slot);
        self.lru.push_front(slot);
    }

    fn last_block(&self) -> u32 {
        let blocks = self.device.sector_count() / self.sectors_per_block;
        u32::try_from(blocks).unwrap_or(u32::MAX).saturating_sub(1)
    }
}
