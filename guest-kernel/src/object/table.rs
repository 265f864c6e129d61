//! Handle tables: a process's names for kernel objects.
//!
//! A handle is an index into the table (low 16 bits) and the generation of that place (high 16
//! bits), which changes each time the place is vacated: a handle used after it was closed names nothing,
//! not something else. Place 0 is never used.

use alloc::vec::Vec;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};

/// Most handles of one process.
pub const HANDLES_MAX: usize = 4096;
/// Places that a table starts with.
const INITIAL: usize = 24;

#[derive(Debug)]
struct Place<T> {
    object: Option<T>,
    rights: Rights,
    generation: u16,
    /// The next free place, while this one is free (0: none).
    next_free: u16,
}

/// A handle table.
#[derive(Debug)]
pub struct HandleTable<T> {
    places: Vec<Place<T>>,
    /// The first free place (0: none).
    free: u16,
    used: u32,
}

impl<T> HandleTable<T> {
    /// An empty table.
    pub const fn new() -> HandleTable<T> {
        HandleTable { places: Vec::new(), free: 0, used: 0 }
    }

    /// Handles in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// What a handle names, and what it allows.
    #[inline(always)]
    pub fn get(&self, handle: Handle) -> Option<(&T, Rights)> {
        let place = self.places.get((handle.0 & 0xffff) as usize)?;
        let object = place.object.as_ref()?;
        (place.generation as u32 == handle.0 >> 16).then_some((object, place.rights))
    }

    /// Makes sure that `count` insertions cannot fail.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        if self.used as usize + count > HANDLES_MAX {
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
        self.places.try_reserve_exact(more).map_err(|_| Error::NoMemory)
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
        Handle(index as u32 | (place.generation as u32) << 16)
    }

    fn push(&mut self, object: Option<T>, rights: Rights) -> Handle {
        self.places.push(Place { object, rights, generation: 0, next_free: 0 });
        Handle(self.places.len() as u32 - 1)
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

    /// The child's table: the same numbers for the same objects, but those that are not inherited.
    pub fn fork(&self, mut copy: impl FnMut(&T, Rights) -> T) -> Result<HandleTable<T>> {
        let mut child = HandleTable::new();
        child.places.try_reserve_exact(self.places.len()).map_err(|_| Error::NoMemory)?;
        for (index, place) in self.places.iter().enumerate() {
            let inherited = !place.rights.contains(Rights::NO_INHERIT);
            let object = place.object.as_ref().filter(|_| inherited);
            let mut copied = Place {
                object: object.map(|object| copy(object, place.rights)),
                rights: place.rights,
                generation: place.generation,
                next_free: 0,
            };
            if copied.object.is_some() {
                child.used += 1;
            } else if index != 0 {
                copied.next_free = child.free;
                copied.generation = place.generation.wrapping_add(1);
                child.free = index as u16;
            }
            child.places.push(copied);
        }
        Ok(child)
    }
}

impl<T> Default for HandleTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
