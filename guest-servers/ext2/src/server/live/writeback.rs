//! What programs wrote through mappings, to the block cache.
//!
//! Writing to a hole takes a block only here, as in Linux: a full disk is an error of `msync` or `fsync`. Pages that
//! could not be written stay, and are tried again, also when nobody maps the file any more.

use super::{File, Live, Purpose, errno, now};
use crate::disk::Disk;
use alloc::vec::Vec;
use core::ops::Range;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::PAGES_MAX;
use ferrix_ext2::{Ext2, Ino};
use ferrix_rt::log;
use ferrix_rt::service::Errno;
use ferrix_rt::sys::memory;
use ferrix_rt::views::Views;
use linux_raw_sys::errno::ENOSPC;

impl Live {
    /// Writes back what programs wrote through mappings of a file; whether there was anything. What was lost of
    /// the file before is reported here, once.
    pub fn flush(
        &mut self,
        (mount, ino): (usize, Ino),
        mounted: &mut Ext2<Disk>,
    ) -> Result<bool, Errno> {
        let flushed = match self.find(mount, ino) {
            Some(index) => self.flush_index(index, mounted),
            None => Ok(false),
        };
        match self.lost.remove(&(mount, ino)) {
            Some(errno) => Err(errno),
            None => flushed,
        }
    }

    fn flush_index(&mut self, index: usize, mounted: &mut Ext2<Disk>) -> Result<bool, Errno> {
        let Some((file, views)) = self.file(index) else {
            return Ok(false);
        };
        if file.purpose == Purpose::Read {
            return Ok(false);
        }
        note_written(file, 0..file.size.div_ceil(PAGE_SIZE))?;
        let any = !file.unwritten.is_empty();
        write_pages(file, views, mounted, 0..u64::MAX)?;
        Ok(any)
    }

    /// The same for all files of a mount; the files that had something, and the first error.
    pub fn flush_mount(
        &mut self,
        mount: usize,
        mounted: &mut Ext2<Disk>,
    ) -> (Vec<Ino>, Result<(), Errno>) {
        let (mut changed, mut result) = (Vec::new(), Ok(()));
        for index in 0..self.files.len() {
            let of_mount = |file: &&File| file.mount == mount;
            let Some(file) = self.files[index].as_ref().filter(of_mount) else {
                continue;
            };
            let (ino, left) = (file.ino, file.left);
            match self.flush_index(index, mounted) {
                Ok(true) => changed.push(ino),
                Ok(false) => {}
                Err(errno) => {
                    log!("ext2", "writing back inode {}: errno {errno}", ino.0);
                    result = result.and(Err(errno));
                    continue;
                }
            }
            if left {
                self.drop_index(index, mounted);
            }
        }
        (changed, result)
    }

    /// Nobody maps the file any more: it is written back and forgotten. What cannot be written stays
    /// until it can. The file's inode.
    pub fn unused(&mut self, badge: u32, mounted: &mut Ext2<Disk>) -> Option<Ino> {
        let index = badge as usize - 1;
        let ino = self.files.get(index)?.as_ref()?.ino;
        if mounted.is_last_use(ino) {
            self.drop_index(index, mounted);
            return Some(ino);
        }
        let flushed = self.flush_index(index, mounted);
        let file = self.files.get_mut(index)?.as_mut()?;
        match flushed {
            Ok(_) => self.drop_index(index, mounted),
            Err(errno) => {
                log!("ext2", "writing back inode {}: errno {errno}", ino.0);
                file.left = true;
            }
        }
        Some(ino)
    }

    /// Lets go of files that could not be written back, and nobody can open any more.
    pub fn drop_dead(&mut self, mount: usize, mounted: &mut Ext2<Disk>) {
        for index in 0..self.files.len() {
            let left = |file: &&File| file.mount == mount && file.left;
            let dead = self.files[index].as_ref().filter(left);
            if dead.is_some_and(|file| mounted.is_last_use(file.ino)) {
                self.drop_index(index, mounted);
            }
        }
    }

    /// Lets go of a file.
    pub(super) fn drop_index(&mut self, index: usize, mounted: &mut Ext2<Disk>) {
        if let Some(file) = self.files[index].take() {
            self.drop_file(&file, mounted);
        }
    }

    /// Lets go of what cannot be written of files that nobody maps; how many pages. The next `fsync` of each tells.
    pub(super) fn give_up(&mut self, mounts: &mut [Option<Ext2<Disk>>]) -> u64 {
        let mut pages = 0;
        for index in 0..self.files.len() {
            let Some(file) = self.files[index].as_ref().filter(|file| file.left) else {
                continue;
            };
            let (mount, ino) = (file.mount, file.ino);
            if let Some(Some(mounted)) = mounts.get_mut(mount) {
                pages += file.present.len() as u64;
                log!(
                    "ext2",
                    "memory is short: what could not be written of inode {} is lost",
                    ino.0
                );
                self.lost.insert((mount, ino), ENOSPC as Errno);
                self.drop_index(index, mounted);
            }
        }
        pages
    }
}

/// Learns which pages of a range programs have written since the last time.
pub(super) fn note_written(file: &mut File, range: Range<u64>) -> Result<(), Errno> {
    let mut bitmap = [0; PAGES_MAX as usize / 64];
    for first in range.clone().step_by(PAGES_MAX as usize) {
        let count = PAGES_MAX.min(range.end - first);
        bitmap.fill(0);
        if memory::clean(file.object, first, count, &mut bitmap)? == 0 {
            continue;
        }
        let is_set = |page: &u64| bitmap[*page as usize / 64] >> (page % 64) & 1 != 0;
        file.unwritten
            .extend((0..count).filter(is_set).map(|page| first + page));
    }
    Ok(())
}

/// Writes those of a range of pages that were written by programs; stops at the first that cannot be.
pub(super) fn write_pages(
    file: &mut File,
    views: &mut Views,
    mounted: &mut Ext2<Disk>,
    range: Range<u64>,
) -> Result<(), Errno> {
    let mut buffer = alloc::vec![0; PAGE_SIZE as usize];
    while let Some(&page) = file.unwritten.range(range.clone()).next() {
        let at = page * PAGE_SIZE;
        let length = file.size.saturating_sub(at).min(PAGE_SIZE) as usize;
        let bytes = &mut buffer[..length];
        views.read(file.object, at, bytes)?;
        let mut done = 0;
        // Less than all means that the next call has the error.
        while done < length {
            let written = mounted.write(file.ino, at + done as u64, &bytes[done..], now());
            done += written.map_err(errno)?;
        }
        file.unwritten.remove(&page);
    }
    Ok(())
}
