//! Handle tables: a process's names for kernel objects.
//!
//! A handle is an index into the table (low 16 bits) and the generation of that place (high 16
//! bits), which changes each time the place is vacated: a handle used after it was closed names nothing,
//! not something else. Place 0 is never used.

use alloc::vec::Vec;
use core::mem::offset_of;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::limit::HANDLES_MAX;

/// Places that a table starts with.
const INITIAL: usize = 24;

/// A place of a table.
#[derive(Debug)]
pub struct Place<T> {
    /// What its handle names; none while it is free.
    pub object: Option<T>,
    /// What the handle allows.
    pub rights: Rights,
    /// The handle, while there is one; else [`VACANT`].
    name: u32,
    generation: u16,
    /// The next free place, while this one is free (0: none).
    next_free: u16,
}

/// The name of free places: no handle has this index.
const VACANT: u32 = u32::MAX;

/// A handle table.
#[derive(Debug)]
pub struct HandleTable<T> {
    places: Vec<Place<T>>,
    /// The first free place (0: none).
    free: u16,
    used: u32,
    /// How many it may have.
    most: u32,
    /// How often more were wanted.
    violations: u32,
}

impl<T> HandleTable<T> {
    /// For debuggers.
    pub const LAYOUT: [(&'static str, usize); 5] = [
        ("handles.places", offset_of!(HandleTable<T>, places)),
        ("place.size", size_of::<Place<T>>()),
        ("place.object", offset_of!(Place<T>, object)),
        ("place.rights", offset_of!(Place<T>, rights)),
        ("place.name", offset_of!(Place<T>, name)),
    ];

    /// An empty table.
    pub const fn new() -> HandleTable<T> {
        HandleTable {
            places: Vec::new(),
            free: 0,
            used: 0,
            most: HANDLES_MAX as u32,
            violations: 0,
        }
    }

    /// Handles in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// What a handle names, and what it allows.
    #[inline(always)]
    pub fn get(&self, handle: Handle) -> Option<(&T, Rights)> {
        let place = self.place(handle)?;
        Some((place.object.as_ref()?, place.rights))
    }

    /// The place of a handle.
    #[inline(always)]
    pub fn place(&self, handle: Handle) -> Option<&Place<T>> {
        let place = self.places.get((handle.0 & 0xffff) as usize)?;
        (place.name == handle.0).then_some(place)
    }

    /// Limits how many there may be: at most [`HANDLES_MAX`]. What there is stays.
    pub fn set_most(&mut self, most: u64) {
        self.most = most.min(HANDLES_MAX) as u32;
    }

    /// How often more were wanted than there may be.
    pub fn violations(&self) -> u32 {
        self.violations
    }

    /// Makes sure that `count` insertions cannot fail.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        if self.used as usize + count > self.most as usize {
            self.violations += 1;
            return Err(Error::TooManyHandles);
        }
        if self.places.len() + count > self.places.capacity() {
            self.grow(count)?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, count: usize) -> Result<()> {
        let more = self.places.len().max(INITIAL).max(count);
        self.places
            .try_reserve_exact(more)
            .map_err(|_| Error::NoMemory)
    }

    /// Adds a handle; a table that [`reserve`](Self::reserve) has prepared has room.
    pub fn insert(&mut self, object: T, rights: Rights) -> Handle {
        if self.places.is_empty() {
            self.push(None, Rights::empty());
        }
        self.used += 1;
        if self.free == 0 {
            return self.push(Some(object), rights);
        }
        let index = self.free;
        let place = &mut self.places[index as usize];
        self.free = place.next_free;
        place.object = Some(object);
        place.rights = rights;
        place.name = index as u32 | (place.generation as u32) << 16;
        Handle(place.name)
    }

    fn push(&mut self, object: Option<T>, rights: Rights) -> Handle {
        let name = if object.is_some() {
            self.places.len() as u32
        } else {
            VACANT
        };
        self.places.push(Place {
            object,
            rights,
            name,
            generation: 0,
            next_free: 0,
        });
        Handle(name)
    }

    /// Takes a handle out.
    pub fn remove(&mut self, handle: Handle) -> Option<(T, Rights)> {
        self.get(handle)?;
        self.vacate((handle.0 & 0xffff) as u16)
    }

    fn vacate(&mut self, index: u16) -> Option<(T, Rights)> {
        let place = self.places.get_mut(index as usize)?;
        let object = place.object.take()?;
        place.generation = place.generation.wrapping_add(1);
        place.name = VACANT;
        place.next_free = self.free;
        self.free = index;
        self.used -= 1;
        Some((object, place.rights))
    }

    /// Takes any handle out: for the end of a process.
    pub fn pop(&mut self) -> Option<(T, Rights)> {
        loop {
            let place = self.places.pop()?;
            if let Some(object) = place.object {
                self.used -= 1;
                return Some((object, place.rights));
            }
        }
    }

    /// Copies up to `most` more places to the child's table: the same numbers for the same objects, but those that are
    /// not inherited. Between two calls this table may change.
    pub fn fork_some(
        &self,
        child: &mut HandleTable<T>,
        most: usize,
        mut copy: impl FnMut(&T, Rights) -> T,
    ) -> Result<Copied> {
        let done = child.places.len();
        let rest = self.places.get(done..).unwrap_or_default();
        child
            .places
            .try_reserve_exact(rest.len())
            .map_err(|_| Error::NoMemory)?;
        child.most = self.most;
        for (index, place) in (done..).zip(rest.iter().take(most)) {
            let inherited = !place.rights.contains(Rights::NO_INHERIT);
            let object = place.object.as_ref().filter(|_| inherited);
            let mut copied = Place {
                object: object.map(|object| copy(object, place.rights)),
                rights: place.rights,
                name: place.name,
                generation: place.generation,
                next_free: 0,
            };
            if copied.object.is_some() {
                child.used += 1;
            } else if index != 0 {
                copied.next_free = child.free;
                copied.name = VACANT;
                copied.generation = place.generation.wrapping_add(1);
                child.free = index as u16;
            }
            child.places.push(copied);
        }
        match rest.len() <= most {
            true => Ok(Copied::All),
            false => Ok(Copied::Some),
        }
    }
}

/// How much of a table has been copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// There is more.
    Some,
    /// All of it.
    All,
}

impl<T> Default for HandleTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
