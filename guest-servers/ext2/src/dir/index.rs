//! Name indexes of big directories, kept in memory only.
//!
//! A directory is a list; asking it for a name that is not there, as every creation does,
//! reads all of it. The first search of a directory of some size therefore notes where every
//! name is, and later ones look there. Entries never move while they live, so an index stays
//! right as entries come and go; it is dropped when the directory is deleted.

use alloc::vec::Vec;

use crate::hash::NumberMap;
use crate::types::Ino;

/// Fewest blocks of a directory that gets an index.
pub(crate) const BLOCKS_MIN: u32 = 2;
/// Most entries of a directory that gets an index (16 bytes each).
pub(crate) const ENTRIES_MAX: usize = 1 << 16;
/// Directories indexed at one time.
const DIRECTORIES_MAX: usize = 8;

/// Where each name of one directory is.
pub(crate) struct DirIndex {
    dir: Ino,
    /// Hash of a name → byte offset of its entry. No two names here share a hash.
    offsets: NumberMap<u64, u32>,
    /// The first block worth a look for room.
    pub room_block: u32,
}

impl DirIndex {
    pub fn new(dir: Ino) -> Self {
        DirIndex {
            dir,
            offsets: NumberMap::default(),
            room_block: 0,
        }
    }

    /// Adds a name; false if that would break the index.
    #[must_use]
    pub fn add(&mut self, name: &[u8], offset: u64) -> bool {
        let Ok(offset) = u32::try_from(offset) else {
            return false;
        };
        self.offsets.len() < ENTRIES_MAX && self.offsets.insert(hash(name), offset).is_none()
    }

    /// Where the name is if it is anywhere; another name of the same hash may be there.
    pub fn get(&self, name: &[u8]) -> Option<u32> {
        self.offsets.get(&hash(name)).copied()
    }
}

/// The indexes, most recently used last.
#[derive(Default)]
pub(crate) struct DirIndexes {
    list: Vec<DirIndex>,
}

impl DirIndexes {
    pub fn get(&mut self, dir: Ino) -> Option<&mut DirIndex> {
        let place = self.list.iter().rposition(|index| index.dir == dir)?;
        self.list[place..].rotate_left(1);
        self.list.last_mut()
    }

    pub fn put(&mut self, index: DirIndex) {
        if self.list.len() >= DIRECTORIES_MAX {
            self.list.remove(0);
        }
        self.list.push(index);
    }

    /// Drops what is known of a directory.
    pub fn forget(&mut self, dir: Ino) {
        self.list.retain(|index| index.dir != dir);
    }

    /// Notes an entry that was added.
    pub fn added(&mut self, dir: Ino, name: &[u8], offset: u64) {
        if self.get(dir).is_some_and(|index| !index.add(name, offset)) {
            self.forget(dir);
        }
    }

    /// Notes an entry that was removed from block `block` of the directory.
    pub fn removed(&mut self, dir: Ino, name: &[u8], block: u32) {
        if let Some(index) = self.get(dir) {
            index.offsets.remove(&hash(name));
            index.room_block = index.room_block.min(block);
        }
    }
}

/// FNV-1a, 64 bits.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_and_go() {
        let mut indexes = DirIndexes::default();
        indexes.put(DirIndex::new(Ino(12)));
        indexes.added(Ino(12), b"a", 24);
        indexes.added(Ino(13), b"b", 24);
        assert_eq!(indexes.get(Ino(12)).unwrap().get(b"a"), Some(24));
        assert!(indexes.get(Ino(13)).is_none());
        indexes.removed(Ino(12), b"a", 0);
        assert_eq!(indexes.get(Ino(12)).unwrap().get(b"a"), None);
    }

    #[test]
    fn a_second_name_of_one_hash_drops_the_index() {
        let mut indexes = DirIndexes::default();
        indexes.put(DirIndex::new(Ino(12)));
        indexes.added(Ino(12), b"a", 24);
        indexes.added(Ino(12), b"a", 48);
        assert!(indexes.get(Ino(12)).is_none());
    }

    #[test]
    fn the_oldest_directory_goes_first() {
        let mut indexes = DirIndexes::default();
        for ino in 20..28 {
            indexes.put(DirIndex::new(Ino(ino)));
        }
        indexes.get(Ino(20));
        indexes.put(DirIndex::new(Ino(30)));
        assert!(indexes.get(Ino(20)).is_some());
        assert!(indexes.get(Ino(21)).is_none());
    }
}
