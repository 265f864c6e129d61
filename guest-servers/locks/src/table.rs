//! The locks of all files of a server, and who waits for one.

use crate::range::Range;
use crate::records::{Held, Mode, Owner, Records};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

#[cfg(test)]
mod tests;

/// Most locks on one file: what a program can make a server remember.
pub const LOCKS_MAX: usize = 4096;

/// What is asked: a lock on the file `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock<K> {
    /// Which file.
    pub key: K,
    /// By whom, where and how.
    pub held: Held,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lock is the owner's.
    Granted,
    /// Somebody stands against it (`EAGAIN`).
    Refused,
    /// The ticket waits: [`Table::grant`] or [`Table::cancel`] will name it.
    Waits,
    /// Waiting would never end: whom it waits for waits for the owner (`EDEADLK`).
    Deadlock,
    /// The file has as many locks as it can have (`ENOLCK`).
    Full,
}

#[derive(Debug)]
struct Waiting<K, T> {
    lock: Lock<K>,
    ticket: T,
}

/// Locks by file; who waits holds a ticket of type `T`.
#[derive(Debug)]
pub struct Table<K, T> {
    files: BTreeMap<K, Records>,
    waiting: Vec<Waiting<K, T>>,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Table<K, T> {
        Table {
            files: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }
}

impl<K: Ord + Copy, T: PartialEq> Table<K, T> {
    /// The first lock that stands against one.
    pub fn conflict(&self, wanted: &Lock<K>) -> Option<Held> {
        self.against(wanted).next().copied()
    }

    /// Locks, or waits if there is a ticket.
    pub fn lock(&mut self, wanted: &Lock<K>, ticket: Option<T>) -> Answer {
        if self.conflict(wanted).is_none() {
            return self.take(wanted);
        }
        let Some(ticket) = ticket else {
            return Answer::Refused;
        };
        if self.is_deadlock(wanted) {
            return Answer::Deadlock;
        }
        let lock = *wanted;
        self.waiting.push(Waiting { lock, ticket });
        Answer::Waits
    }

    /// Unlocks a range. It fails, and changes nothing, only where it would split a lock of a file that can have no more.
    pub fn unlock(&mut self, key: K, owner: Owner, range: Range) -> Answer {
        let Some(records) = self.files.get_mut(&key) else {
            return Answer::Granted;
        };
        if records.len() >= LOCKS_MAX && range != Range::ALL {
            return Answer::Full;
        }
        records.unlock(owner, range);
        if records.is_empty() {
            self.files.remove(&key);
        }
        Answer::Granted
    }

    /// Takes away all that an owner has on any file, and its place among those who wait.
    pub fn release(&mut self, owner: Owner) {
        self.waiting
            .retain(|waiting| waiting.lock.held.owner != owner);
        self.files.retain(|_, records| {
            records.unlock(owner, Range::ALL);
            !records.is_empty()
        });
    }

    /// Forgets files that are no more; the tickets of those who waited for them.
    pub fn forget(&mut self, gone: impl Fn(&K) -> bool) -> Vec<T> {
        self.files.retain(|key, _| !gone(key));
        let hit = |waiting: &mut Waiting<K, T>| gone(&waiting.lock.key);
        let lost = self.waiting.extract_if(.., hit);
        lost.map(|waiting| waiting.ticket).collect()
    }

    /// Gives locks to those who waited and need no longer, first come first served; their tickets. To be called after
    /// whatever takes or weakens locks.
    pub fn grant(&mut self) -> Vec<T> {
        let mut granted = Vec::new();
        let mut index = 0;
        while let Some(waiting) = self.waiting.get(index) {
            let lock = waiting.lock;
            if self.conflict(&lock).is_none() && self.take(&lock) == Answer::Granted {
                granted.push(self.waiting.remove(index).ticket);
                // It may have weakened what its owner had, which others waited for.
                index = 0;
            } else {
                index += 1;
            }
        }
        granted
    }

    /// Ends the wait of a ticket, if it waits.
    pub fn cancel(&mut self, ticket: &T) -> Option<T> {
        let at = self
            .waiting
            .iter()
            .position(|waiting| waiting.ticket == *ticket)?;
        Some(self.waiting.remove(at).ticket)
    }

    /// How `owner` has locked the whole file (`flock`).
    pub fn mode(&self, key: K, owner: Owner) -> Option<Mode> {
        let mut records = self.files.get(&key)?.iter();
        records
            .find(|held| held.owner == owner)
            .map(|held| held.mode)
    }

    /// Whether a file is locked or waited for.
    pub fn is_used(&self, key: &K) -> bool {
        self.files.contains_key(key) || self.waiting.iter().any(|waiting| waiting.lock.key == *key)
    }

    /// The locks of a file.
    pub fn locks(&self, key: &K) -> impl Iterator<Item = &Held> {
        self.files.get(key).into_iter().flat_map(Records::iter)
    }

    fn against(&self, wanted: &Lock<K>) -> impl Iterator<Item = &Held> {
        let records = self.files.get(&wanted.key).into_iter();
        records.flat_map(|records| records.against(wanted.held))
    }

    fn take(&mut self, wanted: &Lock<K>) -> Answer {
        let records = self.files.entry(wanted.key).or_default();
        // A lock may split one that its owner has.
        if records.len() + 2 > LOCKS_MAX {
            return Answer::Full;
        }
        records.lock(wanted.held);
        Answer::Granted
    }

    /// Whether the owner would wait for itself: it has a lock that somebody waits for, for whom, perhaps by way of more,
    /// it is about to wait. Only processes are followed: a description has no thread that could wait.
    fn is_deadlock(&self, wanted: &Lock<K>) -> bool {
        let owner = wanted.held.owner;
        if matches!(owner, Owner::Description(_)) {
            return false;
        }
        let mut seen = BTreeSet::new();
        let mut next: Vec<Owner> = self.against(wanted).map(|held| held.owner).collect();
        while let Some(holder) = next.pop() {
            if holder == owner {
                return true;
            }
            if seen.insert(holder) {
                let waits = self
                    .waiting
                    .iter()
                    .filter(|waiting| waiting.lock.held.owner == holder);
                next.extend(
                    waits.flat_map(|waiting| self.against(&waiting.lock).map(|held| held.owner)),
                );
            }
        }
        false
    }
}
