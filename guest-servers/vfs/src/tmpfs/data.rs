//! Reading, writing, truncating and sharing the bytes of regular files.

use super::Tmpfs;
use super::inode::{Content, Inode, Sharing};
use super::room::{FILE_MAX, Parts, Piece, pages_of, pieces};
use super::store::{PAGE, Store};
use crate::errno::{EBUSY, EFBIG, EINVAL, EISDIR, ENOENT, ENXIO, EPERM, Result};
use crate::filesystem::{Exported, Seek, Share};
use ferrix_proto::file::seal;

impl<S: Store> Tmpfs<S> {
    /// An inode with its file, and what is needed to work on it.
    pub(super) fn parts(&mut self, inode: u64) -> Result<Parts<'_, S>> {
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
