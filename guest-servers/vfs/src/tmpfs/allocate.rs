//! Room ahead of writing, and holes: `fallocate(2)`.
//!
//! Behind the end of a file nothing is kept: what its object has there would be seen by who maps it.

use super::Tmpfs;
use super::inode::{Inode, Sharing};
use super::room::{FILE_MAX, Parts, pages_of};
use super::store::{PAGE, Store};
use crate::errno::{EFBIG, ENOSPC, EOPNOTSUPP, EPERM, Result};
use crate::filesystem::Allocation;
use alloc::vec::Vec;
use ferrix_proto::file::seal;

impl<S: Store> Tmpfs<S> {
    pub(super) fn allocate_data(
        &mut self,
        inode: u64,
        at: u64,
        length: u64,
        how: Allocation,
    ) -> Result<()> {
        let end = at.checked_add(length).filter(|&end| end <= FILE_MAX);
        let end = end.ok_or(EFBIG)?;
        let mut parts = self.parts(inode)?;
        let forbidden = match how {
            Allocation::Punch => seal::WRITE | seal::FUTURE_WRITE,
            Allocation::Grow if end > *parts.size => seal::GROW,
            _ => 0,
        };
        if parts.file.seals & forbidden != 0 {
            return Err(EPERM);
        }
        match how {
            Allocation::Punch => parts.punch(at, end)?,
            Allocation::KeepSize if end > parts.size.next_multiple_of(PAGE) => {
                return Err(EOPNOTSUPP);
            }
            Allocation::KeepSize => parts.reserve(at, end)?,
            Allocation::Grow => {
                parts.reserve(at, end)?;
                *parts.size = end.max(*parts.size);
            }
        }
        self.stamp(inode, Inode::touch);
        Ok(())
    }
}

impl<S: Store> Parts<'_, S> {
    /// Makes all pages of the bytes present, or none.
    fn reserve(&mut self, at: u64, end: u64) -> Result<()> {
        if self.make_room(at, end)? < end {
            // The object may have become larger than the file.
            self.extend()?;
            return Err(ENOSPC);
        }
        if end > *self.size {
            self.clear_tail()?;
        }
        let present = &self.file.present;
        let absent: Vec<u64> = pages_of(at, end)
            .filter(|&page| !present.contains(page))
            .collect();
        let object = self.file.object.as_ref().ok_or(ENOSPC)?;
        for page in absent {
            // Looking at a page makes it present, and disturbs nobody who writes to it.
            self.store.read(object, page * PAGE, &mut [0])?;
        }
        self.note_present(pages_of(at, end));
        Ok(())
    }

    /// Takes the bytes away, as far as the file goes.
    fn punch(&mut self, at: u64, end: u64) -> Result<()> {
        let end = end.min(*self.size);
        if at >= end {
            return Ok(());
        }
        self.refresh(pages_of(at, end))?;
        // The last page has nothing behind the end of the file.
        let last = if end == *self.size {
            end.div_ceil(PAGE)
        } else {
            end / PAGE
        };
        let whole = at.div_ceil(PAGE)..last;
        if whole.start > last {
            return self.zero_present(at, end);
        }
        self.zero_present(at, whole.start * PAGE)?;
        self.zero_present(whole.end * PAGE, end)?;
        let known = whole.start..whole.end.min(self.file.capacity);
        if let Some(object) = self.file.object.as_ref().filter(|_| !known.is_empty()) {
            self.store.discard(object, known.clone())?;
            self.file.present.remove(known);
        }
        if self.file.sharing == Sharing::Own {
            self.charge(self.file.present.count());
        } else {
            self.refresh(0..0)?;
        }
        Ok(())
    }

    /// Zeroes bytes of one page, if it is there.
    fn zero_present(&mut self, at: u64, end: u64) -> Result<()> {
        match &self.file.object {
            Some(object) if at < end && self.file.present.contains(at / PAGE) => {
                self.store.zero(object, at, end - at)
            }
            _ => Ok(()),
        }
    }
}
