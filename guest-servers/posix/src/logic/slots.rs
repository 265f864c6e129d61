//! Which slots of a window are in use: one per thread that moves data at the moment.

/// Slots of a window.
pub const SLOTS: u8 = 4;
/// Bytes of a slot.
pub const SLOT_SIZE: u64 = 64 * 1024;
/// Bytes of a window.
pub const WINDOW_SIZE: u64 = SLOTS as u64 * SLOT_SIZE;

/// A set of slots; all zero when none is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots(u8);

impl Slots {
    /// None in use.
    pub const fn new() -> Slots {
        Slots(0)
    }

    /// Takes the lowest free slot: the same few pages are used again and again.
    pub fn take(&mut self) -> Option<u8> {
        let slot = self.0.trailing_ones() as u8;
        (slot < SLOTS).then(|| {
            self.0 |= 1 << slot;
            slot
        })
    }

    /// The same, but leaves one free.
    pub fn take_but_last(&mut self) -> Option<u8> {
        let free = SLOTS - self.0.count_ones() as u8;
        if free > 1 { self.take() } else { None }
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, slot: u8) {
        self.0 &= !(1 << slot);
    }
}

/// Where a slot begins in the window, in bytes.
pub const fn offset(slot: u8) -> u64 {
    slot as u64 * SLOT_SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_distinct_and_come_back() {
        let mut slots = Slots::new();
        let taken: std::vec::Vec<_> = core::iter::from_fn(|| slots.take()).collect();
        assert_eq!(taken, [0, 1, 2, 3]);
        slots.give_back(2);
        assert_eq!(slots.take_but_last(), None);
        assert_eq!(slots.take(), Some(2));
        assert_eq!(slots.take(), None);
    }
}
