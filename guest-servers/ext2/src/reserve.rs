//! Runs of blocks set aside for files that grow, so that files written in turns do not
//! interleave. Reserved blocks are marked in the bitmap but belong to no file yet; they are
//! given back when the file is closed or truncated, at every sync, and when space is short.

use crate::hash::NumberMap;
use crate::types::{Ino, Run};

/// Blocks set aside behind each growing file.
pub(crate) const AHEAD: u32 = 8;
/// Files with reserved blocks at one time.
const FILES_MAX: usize = 64;

/// Whether the caller may use the blocks that the superblock reserves (`s_r_blocks_count`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// May use the last block.
    Privileged,
    /// Meets `NoSpace` when only the reserved blocks are left.
    Unprivileged,
}

/// The reserved runs, one a file at most.
pub(crate) struct Reservations {
    runs: NumberMap<Ino, Run>,
    blocks: u32,
}

impl Reservations {
    pub fn new(runs: NumberMap<Ino, Run>) -> Self {
        Reservations { runs, blocks: 0 }
    }

    /// All reserved blocks.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    pub fn is_full(&self) -> bool {
        self.runs.len() >= FILES_MAX
    }

    /// Some file that has a reservation.
    pub fn any(&self) -> Option<Ino> {
        self.runs.keys().next().copied()
    }

    pub fn put(&mut self, ino: Ino, run: Run) {
        if run.len > 0 {
            self.blocks += run.len;
            self.runs.insert(ino, run);
        }
    }

    pub fn take(&mut self, ino: Ino) -> Option<Run> {
        let run = self.runs.remove(&ino)?;
        self.blocks -= run.len;
        Some(run)
    }
}
