//! One file's bytes: the object that holds them, the pages that take room.

use super::inode::{File, Sharing};
use super::store::{PAGE, Store};
use crate::errno::{EINVAL, ENOMEM, ENOSPC, Result};
use alloc::vec::Vec;
use core::ops::Range;
use ferrix_abi::handle::Handle;

/// Largest file, in bytes: that of a memory object.
pub const FILE_MAX: u64 = 1 << 46;
/// Pages that files leave to the rest of the machine: fewer than others that keep pages leave.
const RESERVE: u64 = 512;
/// Pages that an object grows by at least, while nobody maps it.
const GROWTH: u64 = 16;
/// Bytes copied at once.
const PIECE: usize = 64 * 1024;

/// The pages that a range of bytes touches.
pub(super) const fn pages_of(at: u64, end: u64) -> Range<u64> {
    at / PAGE..end.div_ceil(PAGE)
}

/// A part of a file.
pub(super) enum Piece {
    Hole(Range<u64>),
    Data(Range<u64>),
}

/// The parts of `at..end` (bytes), by what is known of its pages.
pub(super) fn pieces<O>(file: &File<O>, at: u64, end: u64) -> impl Iterator<Item = Piece> {
    let mut from = at;
    core::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let (start, page) = (from, from / PAGE);
        let is_data = file.present.contains(page);
        let next = if is_data {
            Some(file.present.next_absent(page))
        } else {
            file.present.next(page)
        };
        from = next.map_or(end, |page| (page * PAGE).min(end));
        Some(if is_data {
            Piece::Data(start..from)
        } else {
            Piece::Hole(start..from)
        })
    })
}

/// What work on one file's bytes needs.
pub(super) struct Parts<'a, S: Store> {
    pub(super) file: &'a mut File<S::Object>,
    pub(super) size: &'a mut u64,
    pub(super) store: &'a mut S,
    pub(super) used: &'a mut u64,
    pub(super) limit: u64,
}

impl<S: Store> Parts<'_, S> {
    /// Learns which pages of the range others have made present by touching them.
    pub(super) fn refresh(&mut self, range: Range<u64>) -> Result<()> {
        let Some(object) = &self.file.object else {
            return Ok(());
        };
        if self.file.sharing == Sharing::Own {
            return Ok(());
        }
        let end = range.end.min(self.file.capacity);
        let mut total = self.store.present(object, 0, &mut [])?;
        let mut bytes = [0; 256];
        let mut at = range.start;
        while at < end {
            let part = &mut bytes[..(end - at).min(256) as usize];
            total = self.store.present(object, at, part)?;
            for (page, _) in (at..).zip(part.iter()).filter(|(_, byte)| **byte != 0) {
                self.file.present.insert(page..page + 1);
            }
            at += part.len() as u64;
        }
        self.charge(total);
        Ok(())
    }

    pub(super) fn charge(&mut self, pages: u64) {
        *self.used = *self.used - self.file.charged + pages;
        self.file.charged = pages;
    }

    /// How far of `at..end` there is room to write; the object is large enough for it then.
    pub(super) fn make_room(&mut self, at: u64, end: u64) -> Result<u64> {
        self.refresh(pages_of(at, end))?;
        let range = pages_of(at, end);
        let absent = (range.end - range.start) - self.file.present.count_in(range.clone());
        let mut end = end;
        if absent > 0 {
            let used = self.store.used().unwrap_or(*self.used);
            let mut free = self.store.free_pages();
            if free < absent + RESERVE {
                free = self.store.wait_for_pages(absent + RESERVE);
            }
            let machine = free.saturating_sub(RESERVE);
            let room = self.limit.saturating_sub(used).min(machine);
            if absent > room {
                let present = &self.file.present;
                let mut missing = range.filter(|&page| !present.contains(page));
                let first = usize::try_from(room)
                    .ok()
                    .and_then(|room| missing.nth(room));
                end = first.map_or(end, |page| (page * PAGE).clamp(at, end));
            }
        }
        if end == at {
            return Err(ENOSPC);
        }
        self.grow(end.div_ceil(PAGE))?;
        Ok(end)
    }

    /// Makes the object hold at least `pages`.
    fn grow(&mut self, pages: u64) -> Result<()> {
        if pages <= self.file.capacity {
            return Ok(());
        }
        let target = if self.file.sharing == Sharing::Own {
            pages.next_power_of_two().clamp(GROWTH, FILE_MAX / PAGE)
        } else {
            pages
        };
        self.set_capacity(target)
    }

    /// Once others map the object, it is exactly as large as the file: beyond is SIGBUS.
    pub(super) fn extend(&mut self) -> Result<()> {
        if self.file.sharing == Sharing::Own {
            return Ok(());
        }
        let pages = self.size.div_ceil(PAGE);
        if self.file.object.is_none() || pages != self.file.capacity {
            self.set_capacity(pages)?;
        }
        Ok(())
    }

    fn set_capacity(&mut self, pages: u64) -> Result<()> {
        match &mut self.file.object {
            Some(object) => self.store.resize(object, pages)?,
            None => {
                let mut object = self.store.create(pages.max(1))?;
                if pages == 0 {
                    self.store.resize(&mut object, 0)?;
                }
                self.file.object = Some(object);
            }
        }
        self.file.capacity = pages;
        Ok(())
    }

    /// Zeroes what lies behind the end in the last page: mappings may have written there.
    pub(super) fn clear_tail(&mut self) -> Result<()> {
        let tail = *self.size % PAGE;
        if tail == 0 || self.file.sharing == Sharing::Own {
            return Ok(());
        }
        self.zero_behind(*self.size)
    }

    /// Zeroes from `at` to the end of its page, if the page is there.
    fn zero_behind(&mut self, at: u64) -> Result<()> {
        let page = at / PAGE;
        self.refresh(page..page + 1)?;
        match &self.file.object {
            Some(object) if self.file.present.contains(page) && !at.is_multiple_of(PAGE) => {
                self.store.zero(object, at, PAGE - at % PAGE)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn shrink(&mut self, size: u64) -> Result<()> {
        let pages = size.div_ceil(PAGE);
        if pages == 0 && self.file.sharing == Sharing::Own {
            if let Some(object) = self.file.object.take() {
                self.store.delete(object);
            }
            self.file.capacity = 0;
        } else if pages < self.file.capacity {
            self.set_capacity(pages)?;
        }
        self.file.present.truncate(pages);
        self.zero_behind(size)?;
        if self.file.sharing == Sharing::Own {
            self.charge(self.file.present.count());
        } else {
            self.refresh(0..0)?;
        }
        *self.size = size;
        Ok(())
    }

    /// Copies bytes in; there is room.
    pub(super) fn fill(&mut self, at: u64, from: &[u8]) -> Result<()> {
        let object = self.file.object.as_ref().ok_or(EINVAL)?;
        self.store.write(object, at, from)?;
        self.note_present(pages_of(at, at + from.len() as u64));
        Ok(())
    }

    /// These pages hold something now.
    pub(super) fn note_present(&mut self, range: Range<u64>) {
        let new = self.file.present.insert(range);
        self.charge(self.file.charged + new);
    }

    /// A copy of the file as it is now, for who wants no change to reach it.
    pub(super) fn copy(&mut self) -> Result<Handle> {
        let size = *self.size;
        self.refresh(pages_of(0, size))?;
        if self.file.charged.saturating_add(RESERVE) > self.store.free_pages() {
            return Err(ENOMEM);
        }
        let copy = self.store.create(size.div_ceil(PAGE).max(1))?;
        let mut buffer = Vec::new();
        for piece in pieces(self.file, 0, size) {
            let (Piece::Data(range), Some(object)) = (piece, &self.file.object) else {
                continue;
            };
            for at in range.clone().step_by(PIECE) {
                buffer.resize(PIECE.min((range.end - at) as usize), 0);
                self.store.read(object, at, &mut buffer)?;
                self.store.write(&copy, at, &buffer)?;
            }
        }
        Ok(self.store.give(copy))
    }
}
