//! Who maps an object: the reverse map.
//!
//! An object whose pages can go while it is mapped (paged, or resizable) lists the address spaces that
//! map it, once for each of their entries. An entry holds its place in the list as a [`Mapped`], so
//! splitting, joining, `fork` and unmapping keep the list true without knowing of it. The list does not
//! say *where* an address space shows the object: its own entries do.
//!
//! Lock order: address space → list. A walk over the list therefore takes each address space out of
//! it, with a reference, before it locks that.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Deref;

use ferrix_abi::error::{Error, Result};

use super::VmObject;
use crate::mm::space::AddressSpace;

/// An address space, as the objects that it maps know it.
#[derive(Debug)]
pub struct Home {
    /// Its [`AddressSpace::id`].
    pub id: u64,
    /// Itself.
    pub space: Weak<AddressSpace>,
}

#[derive(Debug)]
enum Slot {
    /// The next free place, plus 1 (0: none).
    Free(u32),
    Used(Weak<AddressSpace>),
}

/// The list.
#[derive(Debug, Default)]
pub struct Users {
    slots: Vec<Slot>,
    /// The first free place, plus 1 (0: none).
    free: u32,
    /// Places ever taken.
    added: u64,
}

/// The place of an object that has no list.
const UNLISTED: u32 = u32::MAX;

impl Users {
    /// An empty list.
    pub const fn new() -> Users {
        Users {
            slots: Vec::new(),
            free: 0,
            added: 0,
        }
    }

    fn add(&mut self, space: Weak<AddressSpace>) -> Result<u32> {
        if self.free == 0 {
            self.slots.try_reserve(1).map_err(|_| Error::NoMemory)?;
            self.added += 1;
            self.slots.push(Slot::Used(space));
            return Ok(self.slots.len() as u32 - 1);
        }
        self.added += 1;
        let place = self.free - 1;
        if let Slot::Free(next) =
            core::mem::replace(&mut self.slots[place as usize], Slot::Used(space))
        {
            self.free = next;
        }
        Ok(place)
    }

    fn remove(&mut self, place: u32) -> Slot {
        let free = Slot::Free(self.free);
        self.free = place + 1;
        core::mem::replace(&mut self.slots[place as usize], free)
    }

    fn space(&self, place: usize) -> Option<Weak<AddressSpace>> {
        match self.slots.get(place) {
            Some(Slot::Used(space)) => Some(space.clone()),
            _ => None,
        }
    }
}

/// An object as an entry maps it.
#[derive(Debug)]
pub struct Mapped {
    object: Arc<VmObject>,
    place: u32,
    /// Not by its pager: writes are tracked, and it counts as a use.
    foreign: bool,
}

impl Mapped {
    /// For an entry of an address space.
    #[inline]
    pub fn new(object: Arc<VmObject>, home: &Home) -> Result<Mapped> {
        if !object.is_listed() {
            return Ok(Mapped {
                object,
                place: UNLISTED,
                foreign: false,
            });
        }
        let foreign = object.maker().is_some_and(|maker| maker != home.id);
        let place = object.users.lock().add(home.space.clone())?;
        Ok(Self::listed(object, place, foreign))
    }

    fn listed(object: Arc<VmObject>, place: u32, foreign: bool) -> Mapped {
        if foreign && let Some(pager) = object.pager() {
            pager.begin_use();
        }
        Mapped {
            object,
            place,
            foreign,
        }
    }

    /// The same for an entry of another address space.
    #[inline]
    pub fn for_space(&self, home: &Home) -> Result<Mapped> {
        Self::new(self.object.clone(), home)
    }

    /// The same for another entry of the same address space.
    pub fn another(&self) -> Result<Mapped> {
        let object = self.object.clone();
        if self.place == UNLISTED {
            return Ok(Mapped { object, ..*self });
        }
        let mut users = object.users.lock();
        let place = match users.space(self.place as usize) {
            Some(space) => users.add(space)?,
            None => unreachable!("an entry holds its place in the object's list"),
        };
        drop(users);
        Ok(Self::listed(object, place, self.foreign))
    }

    /// Whether writes to shared pages are to be noted.
    #[inline]
    pub fn tracks_writes(&self) -> bool {
        self.foreign
    }

    /// The object.
    pub fn object(&self) -> &Arc<VmObject> {
        &self.object
    }

    /// Whether both show the same object.
    pub fn is_same(&self, other: &VmObject) -> bool {
        core::ptr::eq(Arc::as_ptr(&self.object), other)
    }
}

impl Drop for Mapped {
    #[inline]
    fn drop(&mut self) {
        if self.place == UNLISTED {
            return;
        }
        let removed = self.object.users.lock().remove(self.place);
        drop(removed);
        if self.foreign
            && let Some(pager) = self.object.pager()
        {
            pager.end_use();
        }
    }
}

impl Deref for Mapped {
    type Target = VmObject;

    #[inline]
    fn deref(&self) -> &VmObject {
        &self.object
    }
}

impl VmObject {
    /// Calls `f` with every address space that maps the object, some more than once, also with those that
    /// began to while it ran: a child copies page-table entries while its parent is locked, so
    /// it is listed before the parent's turn ends. No address space is locked by the caller.
    pub(super) fn each_user(&self, mut f: impl FnMut(&AddressSpace)) {
        loop {
            let before = self.users.lock().added;
            let mut last: Option<Arc<AddressSpace>> = None;
            let mut place = 0;
            while place < self.users.lock().slots.len() {
                let next = self.users.lock().space(place);
                place += 1;
                let Some(space) = next.and_then(|space| space.upgrade()) else {
                    continue;
                };
                if !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &space)) {
                    f(&space);
                    last = Some(space);
                }
            }
            if self.users.lock().added == before {
                return;
            }
        }
    }
}
