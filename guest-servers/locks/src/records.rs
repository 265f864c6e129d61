//! The locks of one file.
//!
//! An owner's own locks never conflict: a new one replaces what it covers. So the ranges of one owner are disjoint,
//! and no two of the same mode touch.

use crate::range::Range;
use alloc::vec::Vec;

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A process (by pid): `F_SETLK`.
    Process(u32),
    /// An open file description (by its session's badge): `F_OFD_SETLK` and `flock`.
    Description(u32),
}

/// Against whom it protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Against exclusive locks of others (`F_RDLCK`, `LOCK_SH`).
    Shared,
    /// Against all locks of others (`F_WRLCK`, `LOCK_EX`).
    Exclusive,
}

/// A lock that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub owner: Owner,
    /// Where.
    pub range: Range,
    /// How.
    pub mode: Mode,
}

impl Held {
    /// Whether both cannot be.
    pub fn conflicts(&self, other: &Held) -> bool {
        self.owner != other.owner
            && self.range.overlaps(other.range)
            && (self.mode == Mode::Exclusive || other.mode == Mode::Exclusive)
    }
}

/// All locks of a file, by first byte.
#[derive(Debug, Default)]
pub struct Records {
    held: Vec<Held>,
}

impl Records {
    /// Those that stand against a lock, by first byte.
    pub fn against(&self, wanted: Held) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.conflicts(&wanted))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether the file is not locked.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Locks a range, which nobody stands against; what the owner had there is replaced.
    pub fn lock(&mut self, new: Held) {
        let mut joined = new;
        let same = |held: &Held| held.owner == new.owner && held.mode == new.mode;
        self.held.retain(|held| {
            let joins = same(held) && held.range.joins(new.range);
            if joins {
                joined.range = joined.range.union(held.range);
            }
            !joins
        });
        self.unlock(new.owner, new.range);
        self.insert(joined);
    }

    /// Takes an owner's locks away from a range.
    pub fn unlock(&mut self, owner: Owner, range: Range) {
        let hit = |held: &mut Held| held.owner == owner && held.range.overlaps(range);
        let cut: Vec<Held> = self.held.extract_if(.., hit).collect();
        for held in cut {
            for rest in held.range.without(range).into_iter().flatten() {
                self.insert(Held {
                    range: rest,
                    ..held
                });
            }
        }
    }

    fn insert(&mut self, new: Held) {
        let at = self
            .held
            .partition_point(|held| held.range.first() <= new.range.first());
        self.held.insert(at, new);
    }
}
