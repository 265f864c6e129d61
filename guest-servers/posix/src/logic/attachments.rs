//! System V segments that a process has attached.
//!
//! The count lies with its lock among what every process writes; the long table lies apart and is touched only by
//! who uses it, so its entries are atomics: the lock's owner reads and writes them.

use crate::errno::{Errno, Result};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Most at once (`SHMSEG`).
pub const ATTACHMENTS_MAX: usize = 128;

/// A segment at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// First address.
    pub address: u64,
    /// Bytes, whole pages.
    pub length: u64,
    /// The session that counts it.
    pub session: u32,
    /// The segment.
    pub id: u32,
}

#[derive(Debug)]
struct Slot {
    address: AtomicU64,
    length: AtomicU64,
    session: AtomicU32,
    id: AtomicU32,
}

impl Slot {
    fn get(&self) -> Attachment {
        Attachment {
            address: self.address.load(Relaxed),
            length: self.length.load(Relaxed),
            session: self.session.load(Relaxed),
            id: self.id.load(Relaxed),
        }
    }

    fn set(&self, to: &Attachment) {
        self.address.store(to.address, Relaxed);
        self.length.store(to.length, Relaxed);
        self.session.store(to.session, Relaxed);
        self.id.store(to.id, Relaxed);
    }
}

/// Where attachments are kept; all zero at the start.
#[derive(Debug)]
pub struct Table([Slot; ATTACHMENTS_MAX]);

impl Table {
    /// Without attachments.
    pub const fn new() -> Table {
        Table(
            [const {
                Slot {
                    address: AtomicU64::new(0),
                    length: AtomicU64::new(0),
                    session: AtomicU32::new(0),
                    id: AtomicU32::new(0),
                }
            }; ATTACHMENTS_MAX],
        )
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

/// How many entries of a table are in use: the first ones.
#[derive(Debug, Default)]
pub struct Attachments {
    used: usize,
}

impl Attachments {
    /// None.
    pub const fn new() -> Attachments {
        Attachments { used: 0 }
    }

    /// Adds one.
    ///
    /// # Errors
    /// `EMFILE`: no room.
    pub fn add(&mut self, table: &Table, attachment: &Attachment) -> Result<()> {
        self.check_room()?;
        table.0[self.used].set(attachment);
        self.used += 1;
        Ok(())
    }

    /// Whether there is room for one more.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn check_room(&self) -> Result<()> {
        if self.used == ATTACHMENTS_MAX {
            return Err(Errno::EMFILE);
        }
        Ok(())
    }

    /// Takes out the one that begins at an address.
    ///
    /// # Errors
    /// `EINVAL`: there is none.
    pub fn take(&mut self, table: &Table, address: u64) -> Result<Attachment> {
        self.take_where(table, |one| one.address == address)
            .ok_or(Errno::EINVAL)
    }

    /// Takes out one that lies wholly in a range, if there is any.
    pub fn take_inside(&mut self, table: &Table, range: &Range<u64>) -> Option<Attachment> {
        self.take_where(table, |one| {
            range.start <= one.address && one.address + one.length <= range.end
        })
    }

    fn take_where(
        &mut self,
        table: &Table,
        wanted: impl Fn(&Attachment) -> bool,
    ) -> Option<Attachment> {
        let used = &table.0[..self.used];
        let at = used.iter().position(|slot| wanted(&slot.get()))?;
        let taken = used[at].get();
        self.used -= 1;
        used[at].set(&used[self.used].get());
        Some(taken)
    }

    /// Gives each a new session, where `new` has one for it.
    pub fn replace_sessions(&self, table: &Table, new: impl Fn(&Attachment) -> Option<u32>) {
        for slot in &table.0[..self.used] {
            if let Some(session) = new(&slot.get()) {
                slot.session.store(session, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: u64, id: u32) -> Attachment {
        Attachment {
            address,
            length: 0x2000,
            session: id,
            id,
        }
    }

    #[test]
    fn found_by_address_and_by_range() {
        let (table, mut all) = (Table::new(), Attachments::new());
        for id in 0..3 {
            let one = at(0x1_0000 + u64::from(id) * 0x2000, id);
            all.add(&table, &one).unwrap();
        }
        assert_eq!(all.take(&table, 0x1_1000), Err(Errno::EINVAL));
        assert_eq!(all.take(&table, 0x1_2000), Ok(at(0x1_2000, 1)));
        assert_eq!(all.take_inside(&table, &(0x1_1000..0x1_5000)), None);
        let last = all.take_inside(&table, &(0x1_1000..0x1_6000));
        assert_eq!(last, Some(at(0x1_4000, 2)));
        all.replace_sessions(&table, |one| Some(one.id + 7));
        let first = all.take_inside(&table, &(0..u64::MAX)).unwrap();
        assert_eq!((first.address, first.session), (0x1_0000, 7));
        assert_eq!(all.take_inside(&table, &(0..u64::MAX)), None);
    }

    #[test]
    fn there_is_an_end() {
        let (table, mut all) = (Table::new(), Attachments::new());
        for id in 0..ATTACHMENTS_MAX as u32 {
            all.check_room().unwrap();
            all.add(&table, &at(0x1_0000, id)).unwrap();
        }
        assert_eq!(all.check_room(), Err(Errno::EMFILE));
        assert_eq!(all.add(&table, &at(0, 0)), Err(Errno::EMFILE));
    }
}
