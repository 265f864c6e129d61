//! The descriptor table: numbers to session handles.
//!
//! Several descriptors (and the root and working directories) may hold one handle: `dup` costs no system call, and
//! whether a handle is closed with its descriptor is found by looking through the table.

use crate::errno::{Errno, Result};
use ferrix_proto::file::kind;

/// Most descriptors of a process.
pub const DESCRIPTORS_MAX: usize = 1024;

/// An open descriptor; all zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Session handle of the open file description; 0: none.
    pub handle: u32,
    /// A [`kind`].
    pub kind: u8,
    /// Window of the server behind it, plus 1; 0: not yet known.
    pub server: u8,
    /// Whether `exec` closes it.
    pub on_exec: OnExec,
}

/// What `exec` does with a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExec {
    /// Leaves it open.
    #[default]
    Keep,
    /// Closes it (`FD_CLOEXEC`).
    Close,
}

impl OnExec {
    /// From a word that has `bit` set or not.
    pub const fn from_bit(word: u64, bit: u32) -> OnExec {
        if word & bit as u64 != 0 {
            OnExec::Close
        } else {
            OnExec::Keep
        }
    }
}

impl Descriptor {
    /// A descriptor for a session that a server gave.
    pub const fn new(handle: u32, file_kind: u64, on_exec: OnExec) -> Descriptor {
        Descriptor {
            handle,
            kind: file_kind as u8,
            server: 0,
            on_exec,
        }
    }

    /// Whether a read of n bytes brings n unless the file ends: worth asking again after a full piece.
    pub const fn is_seekable(&self) -> bool {
        matches!(self.kind as u64, kind::REGULAR | kind::BLOCK)
    }

    /// Whether it is a directory.
    pub const fn is_directory(&self) -> bool {
        self.kind as u64 == kind::DIRECTORY
    }
}

/// The table. What is used most comes first, so that it lies on one page.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    /// No entry from here on is in use.
    end: usize,
    entries: [Descriptor; DESCRIPTORS_MAX],
}

impl Table {
    /// An empty table; all bytes are zero.
    pub const fn new() -> Table {
        let free = Descriptor {
            handle: 0,
            kind: 0,
            server: 0,
            on_exec: OnExec::Keep,
        };
        Table {
            entries: [free; DESCRIPTORS_MAX],
            end: 0,
        }
    }

    /// The descriptor with number `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, fd: u64) -> Result<Descriptor> {
        let used = &self.entries[..self.end];
        let entry = usize::try_from(fd as u32)
            .ok()
            .and_then(|index| used.get(index));
        entry
            .filter(|entry| entry.handle != 0)
            .copied()
            .ok_or(Errno::EBADF)
    }

    /// The same, to change.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get_mut(&mut self, fd: u64) -> Result<&mut Descriptor> {
        self.get(fd)?;
        Ok(&mut self.entries[fd as u32 as usize])
    }

    /// Puts a descriptor at the lowest free number from `least` on and below `limit`.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn insert(&mut self, descriptor: Descriptor, least: u64, limit: u64) -> Result<u64> {
        let limit = (limit as usize).min(DESCRIPTORS_MAX);
        let free = (least as usize..limit).find(|&index| self.entries[index].handle == 0);
        let index = free.ok_or(Errno::EMFILE)?;
        self.entries[index] = descriptor;
        self.end = self.end.max(index + 1);
        Ok(index as u64)
    }

    /// Puts a descriptor at number `fd`; what was there.
    ///
    /// # Errors
    /// `EBADF` beyond `limit`.
    pub fn replace(
        &mut self,
        fd: u64,
        descriptor: Descriptor,
        limit: u64,
    ) -> Result<Option<Descriptor>> {
        if fd >= limit.min(DESCRIPTORS_MAX as u64) {
            return Err(Errno::EBADF);
        }
        let old = self.remove(fd).ok();
        self.insert(descriptor, fd, fd + 1)?;
        Ok(old)
    }

    /// Frees a number; what was there.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&mut self, fd: u64) -> Result<Descriptor> {
        let entry = self.get_mut(fd)?;
        let old = core::mem::take(entry);
        while self.end > 0 && self.entries[self.end - 1].handle == 0 {
            self.end -= 1;
        }
        Ok(old)
    }

    /// Whether a descriptor holds the handle.
    pub fn holds(&self, handle: u32) -> bool {
        self.entries[..self.end]
            .iter()
            .any(|entry| entry.handle == handle)
    }

    /// The first number from `from` on whose descriptor satisfies `wanted`.
    pub fn find(&self, from: u64, wanted: impl Fn(&Descriptor) -> bool) -> Option<u64> {
        (from as usize..self.end)
            .find(|&index| self.entries[index].handle != 0 && wanted(&self.entries[index]))
            .map(|index| index as u64)
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(handle: u32) -> Descriptor {
        Descriptor::new(handle, kind::REGULAR, OnExec::Keep)
    }

    #[test]
    fn the_lowest_free_number_is_taken() {
        let mut table = Table::new();
        for expected in 0..3 {
            assert_eq!(table.insert(file(9), 0, 1024), Ok(expected));
        }
        table.remove(1).unwrap();
        assert_eq!(table.insert(file(9), 0, 1024), Ok(1));
        assert_eq!(table.insert(file(9), 10, 1024), Ok(10));
        assert_eq!(table.get(5), Err(Errno::EBADF));
        assert_eq!(table.get(u64::MAX), Err(Errno::EBADF));
    }

    #[test]
    fn the_limit_holds() {
        let mut table = Table::new();
        assert_eq!(table.insert(file(1), 0, 1), Ok(0));
        assert_eq!(table.insert(file(1), 0, 1), Err(Errno::EMFILE));
        assert_eq!(table.insert(file(1), 5000, 9000), Err(Errno::EMFILE));
        assert_eq!(table.replace(2000, file(1), 9000), Err(Errno::EBADF));
    }

    #[test]
    fn a_shared_handle_is_seen_until_its_last_descriptor_goes() {
        let mut table = Table::new();
        table.insert(file(7), 0, 64).unwrap();
        table.replace(3, file(7), 64).unwrap();
        table.remove(0).unwrap();
        assert!(table.holds(7));
        table.remove(3).unwrap();
        assert!(!table.holds(7));
    }

    #[test]
    fn find_skips_free_numbers() {
        let mut table = Table::new();
        table.insert(file(1), 4, 64).unwrap();
        table
            .insert(Descriptor::new(2, 0, OnExec::Close), 9, 64)
            .unwrap();
        assert_eq!(table.find(0, |_| true), Some(4));
        assert_eq!(
            table.find(0, |entry| entry.on_exec == OnExec::Close),
            Some(9)
        );
        assert_eq!(table.find(10, |_| true), None);
    }
}
