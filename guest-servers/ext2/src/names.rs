//! Where names were seen last: a hint that saves the walk through a directory.

use crate::hash::NumberMap;
use crate::types::Ino;

/// Entries kept; when full, all are dropped.
const CAPACITY: usize = 4096;

/// Hints (directory, name) → byte offset of the entry. A hint may be wrong (another name of
/// the same hash, an entry removed since): the user compares the name in the directory.
#[derive(Default)]
pub(crate) struct NameHints {
    offsets: NumberMap<u64, u32>,
}

impl NameHints {
    pub fn get(&self, dir: Ino, name: &[u8]) -> Option<u32> {
        self.offsets.get(&key(dir, name)).copied()
    }

    pub fn set(&mut self, dir: Ino, name: &[u8], offset: u64) {
        if self.offsets.len() >= CAPACITY {
            self.offsets.clear();
        }
        if let Ok(offset) = u32::try_from(offset) {
            self.offsets.insert(key(dir, name), offset);
        }
    }

    pub fn remove(&mut self, dir: Ino, name: &[u8]) {
        self.offsets.remove(&key(dir, name));
    }
}

/// FNV-1a of the name under the directory's number.
fn key(dir: Ino, name: &[u8]) -> u64 {
    let hash = name.iter().fold(0x811c_9dc5u32, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    u64::from(dir.0) << 32 | u64::from(hash)
}
