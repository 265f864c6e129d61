//! System V message queues and semaphores (XSI `msgget`, `semget` and their relatives): what has keys, ids, owners and modes.
//!
//! | file | what |
//! |---|---|
//! | `messages.rs` | one message queue |
//! | `semaphores.rs` | one set of semaphores |

pub mod messages;
pub mod semaphores;

use crate::errno::{EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOSPC, EPERM, Result};
use crate::names::Who;
use alloc::collections::BTreeMap;
use ferrix_proto::sysv::{CREATE, EXCLUSIVE, Owned, PRIVATE};

/// May read.
pub const READ: u32 = 4;
/// May write.
pub const WRITE: u32 = 2;

/// Bits of an id that are the index; above them is a sequence number.
const INDEX_BITS: u32 = 15;
const SEQUENCES: u32 = 1 << (31 - INDEX_BITS);

/// Something with a key.
#[derive(Debug)]
pub struct Entry<T> {
    /// Key, owner, mode.
    pub owned: Owned,
    /// The thing.
    pub what: T,
}

/// All things of a kind.
#[derive(Debug)]
pub struct Registry<T> {
    entries: BTreeMap<u32, Entry<T>>,
    sequence: u32,
    most: usize,
}

fn may(owned: &Owned, who: Who, asked: u32) -> bool {
    let class = if who.uid == owned.uid || who.uid == owned.creator_uid {
        owned.mode >> 6
    } else if who.gid == owned.gid || who.gid == owned.creator_gid {
        owned.mode >> 3
    } else {
        owned.mode
    };
    who.uid == 0 || class & asked == asked
}

fn owns(owned: &Owned, who: Who) -> bool {
    who.uid == 0 || who.uid == owned.uid || who.uid == owned.creator_uid
}

impl<T> Registry<T> {
    /// None yet; there can be so many.
    pub const fn new(most: usize) -> Registry<T> {
        Registry {
            entries: BTreeMap::new(),
            sequence: 0,
            most,
        }
    }

    /// `…get`: the id. `fits` checks what is there against what is asked for, `make` makes a new one.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT`, `EACCES`, `ENOSPC`; what the two say.
    pub fn get(
        &mut self,
        key: u32,
        flags: u32,
        who: Who,
        fits: impl FnOnce(&T) -> Result<()>,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<u32> {
        let named = |entry: &&Entry<T>| key != PRIVATE && entry.owned.key == key;
        if let Some(entry) = self.entries.values().find(named) {
            if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE {
                return Err(EEXIST);
            }
            // All classes' bits are asked of the class that the caller is in.
            let asked = (flags >> 6 | flags >> 3 | flags) & 7;
            if !may(&entry.owned, who, asked) {
                return Err(EACCES);
            }
            return fits(&entry.what).map(|()| entry.owned.id);
        }
        if key != PRIVATE && flags & CREATE == 0 {
            return Err(ENOENT);
        }
        let what = make()?;
        if self.entries.len() >= self.most {
            return Err(ENOSPC);
        }
        let free = (0..).find(|index| !self.entries.contains_key(index));
        let index = free.unwrap_or_default();
        let sequence = self.sequence;
        self.sequence = (self.sequence + 1) % SEQUENCES;
        let id = sequence << INDEX_BITS | index;
        let owned = Owned {
            id,
            key,
            uid: who.uid,
            gid: who.gid,
            creator_uid: who.uid,
            creator_gid: who.gid,
            mode: flags & 0o777,
            sequence,
        };
        self.entries.insert(index, Entry { owned, what });
        Ok(id)
    }

    /// The entry with an id, for who may do what is asked (0: anybody).
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`; `EIDRM` if another one is in its place.
    pub fn find(&mut self, id: u32, who: Who, asked: u32) -> Result<&mut Entry<T>> {
        let index = id & ((1 << INDEX_BITS) - 1);
        let entry = self.entries.get_mut(&index).ok_or(EINVAL)?;
        if entry.owned.id != id {
            return Err(EIDRM);
        }
        if !may(&entry.owned, who, asked) {
            return Err(EACCES);
        }
        Ok(entry)
    }

    /// The same for its owner.
    ///
    /// # Errors
    /// `EINVAL`, `EIDRM`, `EPERM`.
    pub fn find_owned(&mut self, id: u32, who: Who) -> Result<&mut Entry<T>> {
        let entry = self.find(id, Who { uid: 0, gid: 0 }, 0)?;
        if owns(&entry.owned, who) {
            Ok(entry)
        } else {
            Err(EPERM)
        }
    }

    /// Changes owner and mode.
    ///
    /// # Errors
    /// As [`find_owned`](Self::find_owned).
    pub fn set_owner(&mut self, id: u32, who: Who, new: Who, mode: u32) -> Result<()> {
        let owned = &mut self.find_owned(id, who)?.owned;
        (owned.uid, owned.gid) = (new.uid, new.gid);
        owned.mode = mode & 0o777;
        Ok(())
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// As [`find_owned`](Self::find_owned).
    pub fn remove(&mut self, id: u32, who: Who) -> Result<T> {
        self.find_owned(id, who)?;
        let index = id & ((1 << INDEX_BITS) - 1);
        self.entries
            .remove(&index)
            .map(|entry| entry.what)
            .ok_or(EINVAL)
    }

    /// The entry at an index (`…_STAT`).
    ///
    /// # Errors
    /// `EINVAL`: there is none.
    pub fn id_at(&self, index: u32) -> Result<u32> {
        self.entries
            .get(&index)
            .map(|entry| entry.owned.id)
            .ok_or(EINVAL)
    }

    /// All entries.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.entries.values_mut()
    }

    /// How many there are, and the highest index.
    pub fn count(&self) -> (usize, u32) {
        let highest = self.entries.last_key_value().map_or(0, |(index, _)| *index);
        (self.entries.len(), highest)
    }
}

#[cfg(test)]
mod tests;
