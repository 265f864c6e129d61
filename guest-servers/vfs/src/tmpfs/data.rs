//! Reading, writing, truncating and sharing the bytes of regular files.

use super::Tmpfs;
use super::inode::{Content, File, Inode, Sharing};
use super::store::{PAGE, Store};
use crate::errno::{EBUSY, EFBIG, EINVAL, EISDIR, ENOENT, ENOSPC, ENXIO, EPERM, Result};
use crate::filesystem::{Exported, Seek, Share};
use alloc::vec::Vec;
use core::ops::Range;
use ferrix_proto::file::seal;

/// Largest file, in bytes: that of a memory object.
pub const FILE_MAX: u64 = 1 << 46;
/// Pages that files leave to the rest of the machine.
const RESERVE: u64 = 1024;
/// Pages that an object grows by at least, while nobody maps it.
const GROWTH: u64 = 16;
/// Bytes copied at once.
const PIECE: usize = 64 * 1024;

/// The pages that a range of bytes touches.
const fn pages_of(at: u64, end: u64) -> Range<u64> {
    at / PAGE..end.div_ceil(PAGE)
}

/// A part of a file.
enum Piece {
    Hole(Range<u64>),
    Data(Range<u64>),
}

/// The parts of `at..end` (bytes), by what is known of its pages.
fn pieces<O>(file: &File<O>, at: u64, end: u64) -> impl Iterator<Item = Piece> {
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

impl<S: Store> Tmpfs<S> {
    /// An inode with its file, and what is needed to work on it.
    fn parts(&mut self, inode: u64) -> Result<Parts<'_, S>> {
        let Inode {
            content,
            attributes,
            ..
        } = self.inodes.get_mut(&inode).ok_or(ENOENT)?;
        match content {
            Content::Regular(file) => Ok(Parts {
                file,
                size: &mut attributes.size,
                store: &mut self.store,
                used: &mut self.used,
                limit: self.options.pages,
            }),
            Content::Directory(_) => Err(EISDIR),
            _ => Err(EINVAL),
        }
    }

    pub(super) fn read_data(&mut self, inode: u64, at: u64, into: &mut [u8]) -> Result<usize> {
        let mut parts = self.parts(inode)?;
        let end = at.saturating_add(into.len() as u64).min(*parts.size);
        if at >= end {
            return Ok(0);
        }
        parts.refresh(pages_of(at, end))?;
        let Parts { file, store, .. } = parts;
        for piece in pieces(file, at, end) {
            match (piece, &file.object) {
                (Piece::Data(range), Some(object)) => {
                    let slice = &mut into[(range.start - at) as usize..(range.end - at) as usize];
                    store.read(object, range.start, slice)?;
                }
                (Piece::Hole(range) | Piece::Data(range), _) => {
                    into[(range.start - at) as usize..(range.end - at) as usize].fill(0);
                }
            }
        }
        self.stamp(inode, Inode::touch_read);
        Ok((end - at) as usize)
    }

    pub(super) fn write_data(&mut self, inode: u64, at: u64, from: &[u8]) -> Result<usize> {
        if from.is_empty() {
            return Ok(0);
        }
        if at >= FILE_MAX {
            return Err(EFBIG);
        }
        let mut parts = self.parts(inode)?;
        let end = (at + from.len() as u64).min(FILE_MAX);
        let grows = end > *parts.size;
        let forbidden = seal::WRITE | seal::FUTURE_WRITE | if grows { seal::GROW } else { 0 };
        if parts.file.seals & forbidden != 0 {
            return Err(EPERM);
        }
        let end = parts.make_room(at, end)?;
        if end > *parts.size {
            parts.clear_tail()?;
        }
        let length = (end - at) as usize;
        parts.fill(at, &from[..length])?;
        *parts.size = end.max(*parts.size);
        self.stamp(inode, Inode::touch);
        Ok(length)
    }

    pub(super) fn truncate(&mut self, inode: u64, size: u64) -> Result<()> {
        if size > FILE_MAX {
            return Err(EFBIG);
        }
        let mut parts = self.parts(inode)?;
        let sealed = match size.cmp(parts.size) {
            core::cmp::Ordering::Less => seal::SHRINK,
            core::cmp::Ordering::Greater => seal::GROW,
            core::cmp::Ordering::Equal => 0,
        };
        if parts.file.seals & sealed != 0 {
            return Err(EPERM);
        }
        if size > *parts.size {
            parts.clear_tail()?;
            *parts.size = size;
            parts.extend()?;
        } else {
            parts.shrink(size)?;
        }
        self.stamp(inode, Inode::touch);
        Ok(())
    }

    pub(super) fn seek_data(&mut self, inode: u64, at: u64, what: Seek) -> Result<u64> {
        let mut parts = self.parts(inode)?;
        let size = *parts.size;
        if at >= size {
            return Err(ENXIO);
        }
        parts.refresh(pages_of(at, size))?;
        let (file, page) = (&*parts.file, at / PAGE);
        let found = match what {
            Seek::Data => file.present.next(page).ok_or(ENXIO)? * PAGE,
            Seek::Hole => file.present.next_absent(page) * PAGE,
        };
        match what {
            Seek::Data if found >= size => Err(ENXIO),
            _ => Ok(found.clamp(at, size)),
        }
    }

    pub(super) fn export(&mut self, inode: u64, share: Share) -> Result<Exported> {
        let mut parts = self.parts(inode)?;
        let size = *parts.size;
        if share == Share::Snapshot {
            let handle = parts.copy()?;
            return Ok(Exported {
                handle,
                size,
                share,
            });
        }
        let sharing = if share == Share::Write {
            if parts.file.seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
                return Err(EPERM);
            }
            Sharing::Write
        } else {
            Sharing::Read
        };
        parts.file.sharing = parts.file.sharing.max(sharing);
        parts.extend()?;
        let object = parts.file.object.as_ref().ok_or(EINVAL)?;
        let handle = parts.store.handle(object);
        Ok(Exported {
            handle,
            size,
            share,
        })
    }

    pub(super) fn file_seals(&mut self, inode: u64) -> Result<u32> {
        self.parts(inode)
            .map(|parts| parts.file.seals)
            .or(Err(EINVAL))
    }

    pub(super) fn seal(&mut self, inode: u64, seals: u32) -> Result<()> {
        let Parts { file, store, .. } = self.parts(inode).or(Err(EINVAL))?;
        if seals & !seal::ALL != 0 {
            return Err(EINVAL);
        }
        if file.seals & seal::SEAL != 0 {
            return Err(EPERM);
        }
        let new = seals & !file.seals;
        if new & seal::WRITE != 0 && file.sharing == Sharing::Write {
            let mapped = file
                .object
                .as_ref()
                .is_some_and(|object| store.is_shared(object));
            if mapped {
                return Err(EBUSY);
            }
        }
        file.seals |= seals;
        Ok(())
    }

    /// Counts the pages of a file anew, if others can touch them.
    pub(super) fn recount(&mut self, inode: u64) {
        if let Ok(mut parts) = self.parts(inode) {
            // A kernel that cannot tell leaves the count as it was.
            let _ = parts.refresh(0..0);
        }
    }
}

/// What work on one file's bytes needs.
struct Parts<'a, S: Store> {
    file: &'a mut File<S::Object>,
    size: &'a mut u64,
    store: &'a mut S,
    used: &'a mut u64,
    limit: u64,
}

impl<S: Store> Parts<'_, S> {
    /// Learns which pages of the range others have made present by touching them.
    fn refresh(&mut self, range: Range<u64>) -> Result<()> {
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

    fn charge(&mut self, pages: u64) {
        *self.used = *self.used - self.file.charged + pages;
        self.file.charged = pages;
    }

    /// How far of `at..end` there is room to write; the object is large enough for it then.
    fn make_room(&mut self, at: u64, end: u64) -> Result<u64> {
        self.refresh(pages_of(at, end))?;
        let range = pages_of(at, end);
        let absent = (range.end - range.start) - self.file.present.count_in(range.clone());
        let mut end = end;
        if absent > 0 {
            let machine = self.store.free_pages().saturating_sub(RESERVE);
            let room = self.limit.saturating_sub(*self.used).min(machine);
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
    fn extend(&mut self) -> Result<()> {
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
    fn clear_tail(&mut self) -> Result<()> {
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

    fn shrink(&mut self, size: u64) -> Result<()> {
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
    fn fill(&mut self, at: u64, from: &[u8]) -> Result<()> {
        let object = self.file.object.as_ref().ok_or(EINVAL)?;
        self.store.write(object, at, from)?;
        let new = self
            .file
            .present
            .insert(pages_of(at, at + from.len() as u64));
        self.charge(self.file.charged + new);
        Ok(())
    }

    /// A copy of the file as it is now, for who wants no change to reach it.
    fn copy(&mut self) -> Result<ferrix_abi::handle::Handle> {
        let size = *self.size;
        self.refresh(pages_of(0, size))?;
        if self.file.charged.saturating_add(RESERVE) > self.store.free_pages() {
            return Err(crate::errno::ENOMEM);
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
