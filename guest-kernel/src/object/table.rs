//! Handle tables: a process's names for kernel objects.
//!
//! A handle is an index into the table (low 16 bits) and the generation of that place (high 16
//! bits), which changes each time the place is vacated: a handle used after it was closed names nothing,
//! not something else. Place 0 is never used.
//!
//! The first [`NEAR`] places, which are all that most processes ever have, lie side by side; those beyond lie in
//! pieces of a page, so that a table grows under the core lock without being copied.

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::mem::offset_of;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::limit::HANDLES_MAX;

use crate::mm::heap::try_box;

/// Places that a table starts with.
const INITIAL: usize = 24;
/// Places that lie side by side. (Tests have few.)
const NEAR: usize = if cfg!(test) { 40 } else { 128 };
/// Places of each piece beyond them.
const FAR: usize = if cfg!(test) { 8 } else { 128 };

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

/// The places beyond the first [`NEAR`], in pieces of [`FAR`].
#[derive(Debug)]
struct Far<T> {
    pieces: Vec<Vec<Place<T>>>,
    /// How many there are, in use or free.
    length: usize,
}

impl<T> Far<T> {
    /// The one with this index.
    fn at(&self, index: usize) -> Option<&Place<T>> {
        self.pieces.get(index / FAR)?.get(index % FAR)
    }

    /// Makes room for so many.
    fn make_room(&mut self, total: usize) -> core::result::Result<(), TryReserveError> {
        while self.pieces.len() * FAR < total {
            let mut piece = Vec::new();
            piece.try_reserve_exact(FAR)?;
            self.pieces.try_reserve(1)?;
            self.pieces.push(piece);
        }
        Ok(())
    }
}

/// The name of free places: no handle has this index.
const VACANT: u32 = u32::MAX;

/// A handle table.
#[derive(Debug)]
pub struct HandleTable<T> {
    places: Vec<Place<T>>,
    /// Those beyond the first [`NEAR`].
    far: Option<Box<Far<T>>>,
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
    pub const LAYOUT: [(&'static str, usize); 7] = [
        ("handles.places", offset_of!(HandleTable<T>, places)),
        ("handles.far", offset_of!(HandleTable<T>, far)),
        ("far.pieces", offset_of!(Far<T>, pieces)),
        ("place.size", size_of::<Place<T>>()),
        ("place.object", offset_of!(Place<T>, object)),
        ("place.rights", offset_of!(Place<T>, rights)),
        ("place.name", offset_of!(Place<T>, name)),
    ];

    /// An empty table.
    pub const fn new() -> HandleTable<T> {
        HandleTable {
            places: Vec::new(),
            far: None,
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
        let place = match self.places.len() > (handle.0 & 0xffff) as usize {
            true => self.near_place(handle)?,
            false => self.far_place(handle)?,
        };
        Some((place.object.as_ref()?, place.rights))
    }

    /// The place of a handle, if it is one of those that lie side by side.
    #[inline(always)]
    pub fn near_place(&self, handle: Handle) -> Option<&Place<T>> {
        let place = self.places.get((handle.0 & 0xffff) as usize)?;
        (place.name == handle.0).then_some(place)
    }

    #[cold]
    #[inline(never)]
    fn far_place(&self, handle: Handle) -> Option<&Place<T>> {
        let index = ((handle.0 & 0xffff) as usize).checked_sub(NEAR)?;
        let place = self.far.as_ref()?.at(index)?;
        (place.name == handle.0).then_some(place)
    }

    fn at_mut(&mut self, index: usize) -> Option<&mut Place<T>> {
        match index.checked_sub(NEAR) {
            None => self.places.get_mut(index),
            Some(index) => {
                let far = self.far.as_mut()?;
                far.pieces.get_mut(index / FAR)?.get_mut(index % FAR)
            }
        }
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
        let length = self.len();
        let more = length.max(INITIAL).min(NEAR.saturating_sub(length));
        self.make_room(length + more.max(count))
    }

    /// Places, in use or free.
    fn len(&self) -> usize {
        self.places.len() + self.far.as_ref().map_or(0, |far| far.length)
    }

    /// Makes room for so many places in all.
    fn make_room(&mut self, total: usize) -> Result<()> {
        let near = total.min(NEAR).saturating_sub(self.places.len());
        let mut room = self.places.try_reserve_exact(near);
        if room.is_ok() && total > NEAR {
            let far = match self.far.take() {
                Some(far) => far,
                None => try_box(Far {
                    pieces: Vec::new(),
                    length: 0,
                })?,
            };
            room = self.far.insert(far).make_room(total - NEAR);
        }
        room.map_err(|_| Error::NoMemory)
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
        let Some(place) = self.at_mut(index as usize) else {
            unreachable!("the free places of a handle table lie in it");
        };
        let next_free = place.next_free;
        place.object = Some(object);
        place.rights = rights;
        place.name = index as u32 | (place.generation as u32) << 16;
        let handle = Handle(place.name);
        self.free = next_free;
        handle
    }

    fn push(&mut self, object: Option<T>, rights: Rights) -> Handle {
        let name = if object.is_some() {
            self.len() as u32
        } else {
            VACANT
        };
        self.put(Place {
            object,
            rights,
            name,
            generation: 0,
            next_free: 0,
        });
        Handle(name)
    }

    /// Adds a place; there is room.
    fn put(&mut self, place: Place<T>) {
        match &mut self.far {
            Some(far) if self.places.len() == NEAR => {
                far.pieces[far.length / FAR].push(place);
                far.length += 1;
            }
            _ => self.places.push(place),
        }
    }

    /// Takes a handle out.
    pub fn remove(&mut self, handle: Handle) -> Option<(T, Rights)> {
        self.get(handle)?;
        self.vacate((handle.0 & 0xffff) as u16)
    }

    fn vacate(&mut self, index: u16) -> Option<(T, Rights)> {
        let next_free = self.free;
        let place = self.at_mut(index as usize)?;
        let object = place.object.take()?;
        place.generation = place.generation.wrapping_add(1);
        place.name = VACANT;
        place.next_free = next_free;
        let rights = place.rights;
        self.free = index;
        self.used -= 1;
        Some((object, rights))
    }

    #[cold]
    fn pop_far(&mut self) -> Option<Place<T>> {
        let pieces = &mut self.far.as_mut()?.pieces;
        while pieces.last()?.is_empty() {
            pieces.pop();
        }
        pieces.last_mut()?.pop()
    }

    /// Takes any handle out: for the end of a process, after which nothing can be inserted any more.
    pub fn pop(&mut self) -> Option<(T, Rights)> {
        loop {
            let place = match self.places.pop() {
                Some(place) => place,
                None => self.pop_far()?,
            };
            if let Some(object) = place.object {
                self.used -= 1;
                return Some((object, place.rights));
            }
        }
    }

    /// What follows in the same piece from a place beyond the first [`NEAR`] on.
    #[cold]
    fn far_rest(&self, first: usize) -> &[Place<T>] {
        let piece = self
            .far
            .as_ref()
            .and_then(|far| far.pieces.get(first / FAR));
        let rest = piece.and_then(|piece| piece.get(first % FAR..));
        rest.unwrap_or_default()
    }

    /// Copies up to `most` more places to the child's table: the same numbers for the same objects, but those that are
    /// not inherited. Between two calls this table may change.
    pub fn fork_some(
        &self,
        child: &mut HandleTable<T>,
        most: usize,
        mut copy: impl FnMut(&T, Rights) -> T,
    ) -> Result<Copied> {
        let done = child.len();
        let rest = match done.checked_sub(NEAR) {
            None => {
                let rest = self.places.get(done..).unwrap_or_default();
                let room = child.places.try_reserve_exact(rest.len());
                room.map_err(|_| Error::NoMemory)?;
                rest
            }
            Some(done) => {
                child.make_room(NEAR + done + 1)?;
                self.far_rest(done)
            }
        };
        let count = rest.len().min(most);
        for (index, place) in (done..).zip(&rest[..count]) {
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
            child.put(copied);
        }
        child.most = self.most;
        match done + count >= self.len() {
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
