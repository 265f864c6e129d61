//! What tmpfs keeps its files in: anonymous memory objects, seen through a few mapped windows.

use core::ops::Range;
use ferrix_abi::handle::Handle;
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, memory};
use ferrix_rt::views::Views;
use ferrix_vfs::errno::Result;
use ferrix_vfs::tmpfs::store::{PAGE, Store};

/// The store of one tmpfs.
pub struct Objects {
    views: Views,
    /// Most pages that the objects may have together.
    limit: u64,
    /// The object whose quota all are under; none without a limit.
    leader: Option<Handle>,
}

impl Objects {
    /// For a file system of so many pages (`u64::MAX`: no limit).
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(limit: u64) -> Result<Objects> {
        let mut leader = None;
        if limit != u64::MAX {
            let object = memory::object_create(PAGE)?;
            memory::object_quota(object, object, limit)?;
            leader = Some(object);
        }
        Ok(Objects {
            views: Views::new(),
            limit,
            leader,
        })
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _ = ipc::close(leader);
        }
    }
}

impl Store for Objects {
    type Object = Handle;

    fn create(&mut self, pages: u64) -> Result<Handle> {
        let object = memory::object_create(pages * PAGE)?;
        if let Some(leader) = self.leader {
            memory::object_quota(object, leader, self.limit)?;
        }
        Ok(object)
    }

    fn resize(&mut self, object: &mut Handle, pages: u64) -> Result<()> {
        Ok(memory::object_resize(*object, pages * PAGE)?)
    }

    fn read(&mut self, object: &Handle, at: u64, into: &mut [u8]) -> Result<()> {
        Ok(self.views.read(*object, at, into)?)
    }

    fn write(&mut self, object: &Handle, at: u64, from: &[u8]) -> Result<()> {
        Ok(self.views.write(*object, at, from)?)
    }

    fn zero(&mut self, object: &Handle, at: u64, length: u64) -> Result<()> {
        Ok(self.views.zero(*object, at, length)?)
    }

    fn discard(&mut self, object: &Handle, pages: Range<u64>) -> Result<()> {
        memory::object_discard(*object, pages.start, pages.end - pages.start)?;
        Ok(())
    }

    fn present(&mut self, object: &Handle, first: u64, present: &mut [u8]) -> Result<u64> {
        let pages = memory::object_usage(*object)?.pages;
        let (at, length) = (first * PAGE, present.len() as u64 * PAGE);
        self.views
            .each(*object, at, length, |window, offset, part| {
                let part = part.start / PAGE as usize..part.end / PAGE as usize;
                memory::resident(window.address() + offset, &mut present[part])
            })?;
        Ok(pages)
    }

    fn is_shared(&mut self, object: &Handle) -> bool {
        let mine = 1 + self.views.count(*object) as u64;
        memory::object_usage(*object).is_ok_and(|found| found.users > mine)
    }

    fn give(&mut self, object: Handle) -> Handle {
        self.views.forget(object);
        // It cannot fail: the object is an anonymous one of this server.
        let _ = memory::object_quota(object, Handle::NONE, 0);
        object
    }

    fn delete(&mut self, object: Handle) {
        self.views.forget(object);
        let _ = ipc::close(object);
    }

    fn handle(&self, object: &Handle) -> Handle {
        *object
    }

    fn used(&self) -> Option<u64> {
        let leader = self.leader?;
        memory::object_quota(leader, leader, self.limit).ok()
    }

    fn free_pages(&self) -> u64 {
        // Nobody is waited for, and nothing else counted.
        memory::wait_for_pages(0)
    }

    fn wait_for_pages(&self, wanted: u64) -> u64 {
        memory::wait_for_pages(wanted)
    }

    fn now(&self) -> i64 {
        i64::try_from(clock::realtime_ns()).unwrap_or(i64::MAX)
    }
}
