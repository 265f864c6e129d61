//! Process and thread ids: numbers handed out cyclically, so that one is not reused soon.

use ferrix_abi::error::{Error, Result};

use super::core_lock::{Core, CoreCell};

/// Ids are 1 to this minus 1; a power of two.
pub const IDS: usize = 1 << 15;

/// A name space of ids.
pub struct Ids<T: 'static> {
    slots: [CoreCell<Option<&'static T>>; IDS],
    /// One bit for each slot in use, so that walking the used ones is cheap.
    used: [CoreCell<u64>; IDS / 64],
    /// One bit for each word of those that is not zero.
    used_words: [CoreCell<u64>; IDS / 64 / 64],
    next: CoreCell<u32>,
    wrapped: CoreCell<bool>,
}

impl<T: Sync> Ids<T> {
    /// For debuggers.
    pub const LAYOUT: [(&'static str, usize); 2] = [
        ("ids.slots", core::mem::offset_of!(Ids<T>, slots)),
        ("ids.used", core::mem::offset_of!(Ids<T>, used)),
    ];

    /// All free.
    pub const fn new() -> Ids<T> {
        Ids {
            slots: [const { CoreCell::new(None) }; IDS],
            used: [const { CoreCell::new(0) }; IDS / 64],
            used_words: [const { CoreCell::new(0) }; IDS / 64 / 64],
            next: CoreCell::new(1),
            wrapped: CoreCell::new(false),
        }
    }

    /// Who has the id, if its number is in range.
    #[inline(always)]
    pub fn get(&self, core: &Core, id: u32) -> Option<&'static T> {
        self.slots.get(id as usize)?.get(core)
    }

    /// Gives `object` the next free id that nothing still refers to.
    pub fn allocate(
        &self,
        core: &Core,
        object: &'static T,
        referred: impl Fn(u32) -> bool,
    ) -> Result<u32> {
        for _ in 1..IDS {
            let id = self.next.get(core);
            let last = id as usize == IDS - 1;
            self.next.set(core, if last { 1 } else { id + 1 });
            let wrapped = self.wrapped.get(core);
            self.wrapped.set(core, wrapped || last);
            let free = self.slots[id as usize].get(core).is_none();
            if free && !(wrapped && referred(id)) {
                self.put(core, id as usize, Some(object));
                return Ok(id);
            }
        }
        Err(Error::WouldBlock)
    }

    /// Gives `object` this very id, if it is free.
    pub fn claim(&self, core: &Core, object: &'static T, id: u32) -> bool {
        let free = self
            .slots
            .get(id as usize)
            .is_some_and(|slot| slot.get(core).is_none());
        if free {
            self.put(core, id as usize, Some(object));
        }
        free
    }

    /// Frees an id.
    pub fn release(&self, core: &Core, id: u32) {
        self.put(core, id as usize, None);
    }

    fn put(&self, core: &Core, id: usize, object: Option<&'static T>) {
        let (word, bit) = (&self.used[id / 64], 1 << (id % 64));
        let others = word.get(core) & !bit;
        word.set(
            core,
            if object.is_some() {
                others | bit
            } else {
                others
            },
        );
        if others == 0 {
            // The word was zero, or is.
            let (words, bit) = (&self.used_words[id / 4096], 1 << (id / 64 % 64));
            let others = words.get(core) & !bit;
            words.set(core, others | if object.is_some() { bit } else { 0 });
        }
        self.slots[id].set(core, object);
    }

    /// The used id above `previous`, and who has it.
    pub fn next_used(&self, core: &Core, previous: u32) -> Option<(u32, &'static T)> {
        let first = previous as usize + 1;
        let mut index = first / 64;
        let mut word = self.used.get(index)?.get(core) & (u64::MAX << (first % 64));
        if word == 0 {
            index = self.next_word(core, index + 1)?;
            word = self.used[index].get(core);
        }
        let id = index * 64 + word.trailing_zeros() as usize;
        Some((id as u32, self.slots[id].get(core)?))
    }

    /// The first word from `first` on that is not zero.
    fn next_word(&self, core: &Core, first: usize) -> Option<usize> {
        let mut index = first / 64;
        let mut word = self.used_words.get(index)?.get(core) & (u64::MAX << (first % 64));
        while word == 0 {
            index += 1;
            word = self.used_words.get(index)?.get(core);
        }
        Some(index * 64 + word.trailing_zeros() as usize)
    }
}

impl<T: Sync> Default for Ids<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> core::fmt::Debug for Ids<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ids")
    }
}

#[cfg(test)]
mod tests {
    use super::super::core_lock::lock;
    use super::*;

    static IDS_OF_BYTES: Ids<u8> = Ids::new();

    #[test]
    fn ids_come_back_only_after_a_round() {
        let core = lock();
        let first = IDS_OF_BYTES.allocate(&core, &7, |_| false).unwrap();
        assert_eq!(first, 1);
        IDS_OF_BYTES.release(&core, first);
        assert_eq!(IDS_OF_BYTES.allocate(&core, &8, |_| false), Ok(2));
        for id in 3..IDS as u32 {
            assert_eq!(IDS_OF_BYTES.allocate(&core, &9, |_| false), Ok(id));
        }
        assert_eq!(IDS_OF_BYTES.next_used(&core, 0), Some((2, &8)));
        assert_eq!(IDS_OF_BYTES.next_used(&core, 2), Some((3, &9)));
        assert_eq!(
            IDS_OF_BYTES.next_used(&core, IDS as u32 - 2),
            Some((IDS as u32 - 1, &9))
        );
        assert_eq!(IDS_OF_BYTES.next_used(&core, IDS as u32 - 1), None);
        assert_eq!(IDS_OF_BYTES.next_used(&core, u32::MAX - 1), None);
        assert_eq!(
            IDS_OF_BYTES.allocate(&core, &9, |id| id == 1),
            Err(Error::WouldBlock)
        );
        assert_eq!(IDS_OF_BYTES.allocate(&core, &9, |_| false), Ok(1));
        assert_eq!(IDS_OF_BYTES.get(&core, IDS as u32), None);
        assert!(!IDS_OF_BYTES.claim(&core, &9, 1));
        assert!(!IDS_OF_BYTES.claim(&core, &9, IDS as u32));
        IDS_OF_BYTES.release(&core, 1);
        assert!(IDS_OF_BYTES.claim(&core, &9, 1));
    }
}
