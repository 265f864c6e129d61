//! Files that programs map: a paged object for each, whose pages this server supplies when they are touched.
//!
//! A page that is present in the object is the truth: `read` looks there first, `write` goes to the block cache and
//! to the page, and what programs wrote through mappings goes to the block cache when it is written back: by
//! `fsync`, `msync`, `sync`, every few seconds, and when nobody maps the file any more. An absent page is the
//! block cache's.
//!
//! | file | what |
//! |---|---|
//! | `live.rs` | which files are mapped; keeping their pages and the block cache alike |
//! | `live/supply.rs` | pages for those who touch them |
//! | `live/writeback.rs` | what programs wrote, to the block cache |
//! | `live/reclaim.rs` | pages back to the kernel |

mod reclaim;
mod supply;
mod writeback;

use super::convert::{errno, now};
use super::disk::Disk;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_ext2::{Ext2, Ino};
use ferrix_rt::log;
use ferrix_rt::service::Errno;
use ferrix_rt::sys::{ipc, memory};
use ferrix_rt::views::Views;
use linux_raw_sys::errno::ENOMEM;
use reclaim::Hand;
use supply::Supplier;

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
    /// Whether nobody maps it, though not everything is written back.
    left: bool,
    /// Where a reader in sequence touches the next page that is absent.
    next: u64,
}

/// All mapped files. Index + 1 is the badge of an object's requests.
pub struct Live {
    port: Handle,
    files: Vec<Option<File>>,
    views: Views,
    supplier: Supplier,
    hand: Hand,
    /// Files of which something was lost after nobody mapped them any more, and why.
    lost: BTreeMap<(usize, Ino), Errno>,
}

fn pages_of(at: u64, end: u64) -> Range<u64> {
    at / PAGE_SIZE..end.div_ceil(PAGE_SIZE)
}

impl Live {
    /// None yet.
    pub fn new(port: Handle) -> Live {
        Live {
            port,
            files: Vec::new(),
            views: Views::new(),
            supplier: Supplier::new(),
            hand: Hand::default(),
            lost: BTreeMap::new(),
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
        file.left = false;
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
            left: false,
            next: 0,
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

    /// Whether programs may be writing through mappings.
    pub fn may_change(&self) -> bool {
        let writes = |file: &File| file.purpose == Purpose::Write;
        self.files.iter().flatten().any(writes)
    }

    /// Whether programs map files of a mount.
    pub fn is_used(&self, mount: usize) -> bool {
        let is_used = |file: &File| file.mount == mount && !file.left;
        self.files.iter().flatten().any(is_used)
    }

    /// Whether there are pages of files of a mount.
    pub fn has_any(&self, mount: usize) -> bool {
        self.files.iter().flatten().any(|file| file.mount == mount)
    }

    /// The file whose object has this number.
    pub fn by_id(&self, id: u64) -> Option<(usize, Ino)> {
        let file = self.files.iter().flatten().find(|file| file.id == id)?;
        Some((file.mount, file.ino))
    }

    /// Lets go of all files of a mount that is about to end.
    pub fn forget_mount(&mut self, mount: usize, mounted: &mut Ext2<Disk>) {
        self.lost.retain(|&(of, _), _| of != mount);
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
