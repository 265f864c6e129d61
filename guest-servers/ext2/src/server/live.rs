//! Files that programs map: a paged object for each, whose pages this server supplies when they are touched.
//!
//! A page that is present in the object is the truth: `read` looks there first, `write` goes to the block cache and
//! to the page, and what programs wrote through mappings goes to the block cache when it is written back: by
//! `fsync`, `msync`, `sync`, every few seconds, and when nobody maps the file any more. An absent page is the
//! block cache's.

use super::convert::{errno, now};
use super::disk::Disk;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::PAGES_MAX;
use ferrix_ext2::{Ext2, Ino};
use ferrix_rt::log;
use ferrix_rt::pager::Staging;
use ferrix_rt::service::Errno;
use ferrix_rt::sys::{ipc, memory, system};
use ferrix_rt::views::Views;
use linux_raw_sys::errno::ENOMEM;

/// Pages supplied at once.
const SUPPLY: u64 = 16;
/// Pages that supplying leaves to the rest of the machine.
const RESERVE: u64 = 64;

/// What somebody maps a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To look.
    Read,
    /// To write.
    Write,
}

/// A mapped file.
struct File {
    mount: usize,
    ino: Ino,
    object: Handle,
    /// The kernel's number of the object.
    id: u64,
    size: u64,
    present: BTreeSet<u64>,
    /// Pages written by programs whose writing back failed.
    unwritten: BTreeSet<u64>,
    purpose: Purpose,
}

/// All mapped files. Index + 1 is the badge of an object's requests.
pub struct Live {
    port: Handle,
    files: Vec<Option<File>>,
    views: Views,
    staging: Option<Staging>,
}

fn pages_of(at: u64, end: u64) -> Range<u64> {
    at / PAGE_SIZE..end.div_ceil(PAGE_SIZE)
}

impl Live {
    /// None yet.
    pub const fn new(port: Handle) -> Live {
        Live {
            port,
            files: Vec::new(),
            views: Views::new(),
            staging: None,
        }
    }

    fn find(&self, mount: usize, ino: Ino) -> Option<usize> {
        let same = |file: &File| file.mount == mount && file.ino == ino;
        self.files
            .iter()
            .position(|slot| slot.as_ref().is_some_and(same))
    }

    fn file(&mut self, index: usize) -> Option<(&mut File, &mut Views)> {
        let file = self.files.get_mut(index)?.as_mut()?;
        Some((file, &mut self.views))
    }

    fn found(&mut self, mount: usize, ino: Ino) -> Option<(&mut File, &mut Views)> {
        let index = self.find(mount, ino)?;
        self.file(index)
    }

    /// The object of a file and the file's size.
    pub fn object(
        &mut self,
        (mount, ino): (usize, Ino),
        mounted: &mut Ext2<Disk>,
        purpose: Purpose,
    ) -> Result<(Handle, u64), Errno> {
        let index = match self.find(mount, ino) {
            Some(index) => index,
            None => self.make(mount, ino, mounted)?,
        };
        let (file, _) = self.file(index).ok_or(ENOMEM as Errno)?;
        file.purpose = file.purpose.max(purpose);
        Ok((file.object, file.size))
    }

    fn make(&mut self, mount: usize, ino: Ino, mounted: &mut Ext2<Disk>) -> Result<usize, Errno> {
        let size = mounted.getattr(ino).map_err(errno)?.size;
        let free = self.files.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.files.push(None);
            self.files.len() - 1
        });
        let object = memory::paged_create(self.port, index as u32 + 1, size.max(1), 0)?;
        if size == 0 {
            memory::object_resize(object, 0)?;
        }
        let id = self.identify(object).inspect_err(|_| {
            let _ = ipc::close(object);
        })?;
        // The mapping keeps the file, also without a name.
        mounted.open(ino).map_err(errno)?;
        self.files[index] = Some(File {
            mount,
            ino,
            object,
            id,
            size,
            present: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            purpose: Purpose::Read,
        });
        Ok(index)
    }

    /// The kernel's number of an object, which a mapping of it tells.
    fn identify(&mut self, object: Handle) -> Result<u64, Errno> {
        let mut id = 0;
        self.views.each(object, 0, 1, |window, _, _| {
            id = memory::query(memory::SELF, window.address())?.object;
            Ok(())
        })?;
        Ok(id)
    }

    /// The mount of the file behind a badge.
    pub fn mount_of(&self, badge: u32) -> Option<usize> {
        let index = (badge as usize).checked_sub(1)?;
        Some(self.files.get(index)?.as_ref()?.mount)
    }

    /// Supplies pages that somebody waits for; what cannot be read is SIGBUS.
    pub fn supply(&mut self, badge: u32, page: u64, count: u64, mounted: &mut Ext2<Disk>) {
        let Some(Some(file)) = self.files.get_mut(badge as usize - 1) else {
            return;
        };
        let count = count.clamp(1, SUPPLY);
        if let Err(errno) = supply(&mut self.staging, file, page, count, mounted) {
            log!("ext2", "inode {}, page {page}: errno {errno}", file.ino.0);
            let _ = memory::fail(file.object, page, count);
        }
    }

    /// Lays the pages that programs may have written over bytes read from the block cache.
    pub fn overlay(
        &mut self,
        (mount, ino): (usize, Ino),
        at: u64,
        bytes: &mut [u8],
    ) -> Result<(), Errno> {
        let Some((file, views)) = self.found(mount, ino) else {
            return Ok(());
        };
        let end = at + bytes.len() as u64;
        for &page in file.present.range(pages_of(at, end)) {
            let range = at.max(page * PAGE_SIZE)..end.min((page + 1) * PAGE_SIZE);
            let part = &mut bytes[(range.start - at) as usize..(range.end - at) as usize];
            views.read(file.object, range.start, part)?;
        }
        Ok(())
    }

    /// The file got other bytes by `write`; its size is now `size`.
    pub fn written(
        &mut self,
        (mount, ino): (usize, Ino),
        at: u64,
        bytes: &[u8],
        size: u64,
    ) -> Result<(), Errno> {
        self.resized((mount, ino), size)?;
        let Some((file, views)) = self.found(mount, ino) else {
            return Ok(());
        };
        let end = at + bytes.len() as u64;
        for &page in file.present.range(pages_of(at, end)) {
            let range = at.max(page * PAGE_SIZE)..end.min((page + 1) * PAGE_SIZE);
            let part = &bytes[(range.start - at) as usize..(range.end - at) as usize];
            views.write(file.object, range.start, part)?;
        }
        Ok(())
    }

    /// The file's size changed.
    pub fn resized(&mut self, (mount, ino): (usize, Ino), size: u64) -> Result<(), Errno> {
        let Some((file, views)) = self.found(mount, ino) else {
            return Ok(());
        };
        if size == file.size {
            return Ok(());
        }
        let pages = size.div_ceil(PAGE_SIZE);
        if pages != file.size.div_ceil(PAGE_SIZE) {
            memory::object_resize(file.object, size)?;
        }
        file.present.split_off(&pages);
        file.unwritten.split_off(&pages);
        // Behind the smaller of the two ends nothing may show what mappings left in the last page.
        let end = size.min(file.size);
        if !end.is_multiple_of(PAGE_SIZE) && file.present.contains(&(end / PAGE_SIZE)) {
            views.zero(file.object, end, PAGE_SIZE - end % PAGE_SIZE)?;
        }
        file.size = size;
        Ok(())
    }

    /// Writes back what programs wrote through mappings of a file; whether there was anything.
    pub fn flush(
        &mut self,
        (mount, ino): (usize, Ino),
        mounted: &mut Ext2<Disk>,
    ) -> Result<bool, Errno> {
        match self.find(mount, ino) {
            Some(index) => self.flush_index(index, mounted),
            None => Ok(false),
        }
    }

    fn flush_index(&mut self, index: usize, mounted: &mut Ext2<Disk>) -> Result<bool, Errno> {
        let Some((file, views)) = self.file(index) else {
            return Ok(false);
        };
        if file.purpose == Purpose::Read {
            return Ok(false);
        }
        note_written(file)?;
        let mut buffer = alloc::vec![0; PAGE_SIZE as usize];
        let any = !file.unwritten.is_empty();
        while let Some(&page) = file.unwritten.first() {
            let at = page * PAGE_SIZE;
            let length = file.size.saturating_sub(at).min(PAGE_SIZE) as usize;
            let bytes = &mut buffer[..length];
            views.read(file.object, at, bytes)?;
            let written = mounted.write(file.ino, at, bytes, now()).map_err(errno)?;
            if written < length {
                return Err(linux_raw_sys::errno::ENOSPC as Errno);
            }
            file.unwritten.pop_first();
        }
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
            let Some(file) = self.files[index]
                .as_ref()
                .filter(|file| file.mount == mount)
            else {
                continue;
            };
            let ino = file.ino;
            match self.flush_index(index, mounted) {
                Ok(true) => changed.push(ino),
                Ok(false) => {}
                Err(errno) => {
                    log!("ext2", "writing back inode {}: errno {errno}", ino.0);
                    result = result.and(Err(errno));
                }
            }
        }
        (changed, result)
    }

    /// Whether programs may be writing through mappings.
    pub fn may_change(&self) -> bool {
        let writes = |file: &File| file.purpose == Purpose::Write;
        self.files.iter().flatten().any(writes)
    }

    /// Whether files of a mount are mapped.
    pub fn is_mapped(&self, mount: usize) -> bool {
        self.files.iter().flatten().any(|file| file.mount == mount)
    }

    /// The file whose object has this number.
    pub fn by_id(&self, id: u64) -> Option<(usize, Ino)> {
        let file = self.files.iter().flatten().find(|file| file.id == id)?;
        Some((file.mount, file.ino))
    }

    /// Nobody maps the file any more: it is written back and forgotten; its inode. What cannot be written is lost, as
    /// with a `close` that nobody followed by `fsync`.
    pub fn unused(&mut self, badge: u32, mounted: &mut Ext2<Disk>) -> Option<Ino> {
        let index = badge as usize - 1;
        let flushed = self.flush_index(index, mounted);
        let file = self.files.get_mut(index)?;
        if let Err(errno) = flushed {
            let ino = file.as_ref()?.ino.0;
            log!("ext2", "writing back inode {ino}: errno {errno}");
        }
        let file = file.take()?;
        self.drop_file(&file, mounted);
        Some(file.ino)
    }

    /// Lets go of all files of a mount that is about to end.
    pub fn forget_mount(&mut self, mount: usize, mounted: &mut Ext2<Disk>) {
        for index in 0..self.files.len() {
            if let Some(file) = self.files[index].take_if(|file| file.mount == mount) {
                self.drop_file(&file, mounted);
            }
        }
    }

    fn drop_file(&mut self, file: &File, mounted: &mut Ext2<Disk>) {
        self.views.forget(file.object);
        let _ = ipc::close(file.object);
        if let Err(error) = mounted.close(file.ino, now()) {
            log!("ext2", "closing inode {}: {error}", file.ino.0);
        }
    }
}

/// Reads pages of a file and moves them into its object.
fn supply(
    staging: &mut Option<Staging>,
    file: &mut File,
    page: u64,
    count: u64,
    mounted: &mut Ext2<Disk>,
) -> Result<(), Errno> {
    if system::statistics()?.free_pages < RESERVE + count {
        return Err(ENOMEM as Errno);
    }
    let staging = match staging {
        Some(staging) => staging,
        None => staging.insert(Staging::new(SUPPLY)?),
    };
    let count = count
        .min(file.size.div_ceil(PAGE_SIZE).saturating_sub(page))
        .max(1);
    let bytes = &mut staging.bytes()[..(count * PAGE_SIZE) as usize];
    let read = mounted
        .read(file.ino, page * PAGE_SIZE, bytes)
        .map_err(errno)?;
    bytes[read..].fill(0);
    staging.supply(file.object, page, count)?;
    file.present.extend(page..page + count);
    Ok(())
}

/// Learns which pages programs have written since the last time.
fn note_written(file: &mut File) -> Result<(), Errno> {
    let mut bitmap = [0; PAGES_MAX as usize / 64];
    let pages = file.size.div_ceil(PAGE_SIZE);
    for first in (0..pages).step_by(PAGES_MAX as usize) {
        let count = PAGES_MAX.min(pages - first);
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
