//! What a guest writes to a disk that is attached as a snapshot: a file without a name, in the host's folder
//! for temporary files, that is gone when the monitor ends, however it ends.
//!
//! A block is in the overlay as a whole or not at all; one that is written in part is copied first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use super::io::{Direction, Vectors, write_zeroes};
use crate::nameless;

/// Bytes of a block.
const BLOCK: u64 = 4096;

/// The blocks that are in the overlay, a bit each.
#[derive(Debug)]
struct Present(Vec<u64>);

impl Present {
    fn has(&self, block: u64) -> bool {
        self.0[(block / 64) as usize] >> (block % 64) & 1 != 0
    }

    fn add(&mut self, block: u64) {
        self.0[(block / 64) as usize] |= 1 << (block % 64);
    }

    /// How many of the bytes from `offset`, at most `most`, are in the same file, and whether that is the
    /// overlay.
    fn run(&self, offset: u64, most: u64) -> (u64, bool) {
        let here = self.has(offset / BLOCK);
        let mut end = (offset / BLOCK + 1) * BLOCK;
        while end < offset + most && self.has(end / BLOCK) == here {
            end += BLOCK;
        }
        (most.min(end - offset), here)
    }
}

/// The writes of one guest.
#[derive(Debug)]
pub struct Overlay {
    file: File,
    size: u64,
    present: RwLock<Present>,
}

impl Overlay {
    /// An overlay for a disk of `size` bytes; nothing is in it.
    pub fn new(size: u64) -> io::Result<Self> {
        let name = format!("vmm-{}.snapshot", std::process::id());
        let (file, name) = nameless::create(&std::env::temp_dir(), &name)?;
        // Where it must have a name, it has it for a moment.
        name.map(std::fs::remove_file).transpose()?;
        file.set_len(size)?;
        let words = size.div_ceil(BLOCK).div_ceil(64);
        Ok(Self {
            file,
            size,
            present: RwLock::new(Present(vec![0; words as usize])),
        })
    }

    /// Fills the vectors from the overlay, and from `base` where nothing was written.
    pub fn read(&self, base: &File, mut offset: u64, mut vectors: Vectors) -> io::Result<()> {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        while vectors.length() > 0 {
            let (length, here) = present.run(offset, vectors.length());
            let file = if here { &self.file } else { base };
            let part = vectors.take_front(length);
            part.transfer(file, offset, Direction::FromDisk)?;
            offset += length;
        }
        Ok(())
    }

    /// Writes the vectors to the overlay.
    pub fn write(&self, base: &File, offset: u64, vectors: Vectors) -> io::Result<()> {
        let mut present = self.writing();
        let end = offset + vectors.length();
        self.copy_edges(base, &mut present, [offset, end])?;
        vectors.transfer(&self.file, offset, Direction::ToDisk)?;
        (offset / BLOCK..end.div_ceil(BLOCK)).for_each(|block| present.add(block));
        Ok(())
    }

    /// Makes a range read as zeroes.
    pub fn write_zeroes(&self, base: &File, offset: u64, length: u64) -> io::Result<()> {
        let mut present = self.writing();
        let end = offset + length;
        self.copy_edges(base, &mut present, [offset, end])?;
        write_zeroes(&self.file, offset, length)?;
        (offset / BLOCK..end.div_ceil(BLOCK)).for_each(|block| present.add(block));
        Ok(())
    }

    /// Copies the blocks of which only a part, up to or from one of these edges, is about to be written.
    fn copy_edges(&self, base: &File, present: &mut Present, edges: [u64; 2]) -> io::Result<()> {
        for edge in edges {
            let block = edge / BLOCK;
            if edge.is_multiple_of(BLOCK) || edge >= self.size || present.has(block) {
                continue;
            }
            let at = block * BLOCK;
            let mut bytes = vec![0; BLOCK.min(self.size - at) as usize];
            base.read_exact_at(&mut bytes, at)?;
            self.file.write_all_at(&bytes, at)?;
            present.add(block);
        }
        Ok(())
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Present> {
        self.present.write().unwrap_or_else(PoisonError::into_inner)
    }
}
