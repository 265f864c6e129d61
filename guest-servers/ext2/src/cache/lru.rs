//! The order of use: a doubly linked list over slot numbers.

use alloc::vec::Vec;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// Front: most recently used. A slot is either in the list or detached.
pub(super) struct Lru {
    links: Vec<Link>,
    front: u32,
    back: u32,
}

impl Lru {
    pub fn new() -> Self {
        Lru {
            links: Vec::new(),
            front: NONE,
            back: NONE,
        }
    }

    /// Makes the next slot number; it is detached.
    pub fn add_detached(&mut self) -> u32 {
        self.links.push(Link {
            before: NONE,
            after: NONE,
        });
        self.links.len() as u32 - 1
    }

    pub fn back(&self) -> Option<u32> {
        (self.back != NONE).then_some(self.back)
    }

    pub fn pop_back(&mut self) -> Option<u32> {
        let slot = self.back()?;
        self.detach(slot);
        Some(slot)
    }

    #[inline]
    pub fn move_to_front(&mut self, slot: u32) {
        if self.front != slot {
            self.detach(slot);
            self.push_front(slot);
        }
    }

    pub fn move_to_back(&mut self, slot: u32) {
        self.detach(slot);
        self.push_back(slot);
    }

    pub fn push_front(&mut self, slot: u32) {
        let old = self.front;
        self.links[slot as usize] = Link {
            before: NONE,
            after: old,
        };
        match old {
            NONE => self.back = slot,
            _ => self.links[old as usize].before = slot,
        }
        self.front = slot;
    }

    pub fn push_back(&mut self, slot: u32) {
        let old = self.back;
        self.links[slot as usize] = Link {
            before: old,
            after: NONE,
        };
        match old {
            NONE => self.front = slot,
            _ => self.links[old as usize].after = slot,
        }
        self.back = slot;
    }

    fn detach(&mut self, slot: u32) {
        let Link { before, after } = self.links[slot as usize];
        match before {
            NONE => self.front = after,
            _ => self.links[before as usize].after = after,
        }
        match after {
            NONE => self.back = before,
            _ => self.links[after as usize].before = before,
        }
    }
}
