//! What tmpfs keeps its files in: anonymous memory objects, seen through a few mapped windows.

use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, memory, system};
use ferrix_rt::window::Window;
use ferrix_vfs::errno::Result;
use ferrix_vfs::tmpfs::store::{PAGE, Store};

/// Bytes of a window, and its alignment in the object.
const VIEW: u64 = 2 << 20;
/// Most windows of one file system.
const VIEWS_MAX: usize = 16;

/// A mapped part of an object.
struct View {
    object: Handle,
    index: u64,
    window: Window,
    used: u64,
}

/// The store of one tmpfs.
#[derive(Default)]
pub struct Objects {
    views: Vec<View>,
    turn: u64,
}

impl Objects {
    /// The window over part `index` of an object; the one not used for longest makes room.
    fn view(&mut self, object: Handle, index: u64) -> Result<&Window> {
        self.turn += 1;
        let known = self
            .views
            .iter()
            .position(|view| view.object == object && view.index == index);
        let at = match known {
            Some(at) => at,
            None => {
                let window = Window::map_part(object, index * VIEW, VIEW)?;
                let oldest = (0..self.views.len()).min_by_key(|&at| self.views[at].used);
                if let Some(oldest) = oldest.filter(|_| self.views.len() == VIEWS_MAX) {
                    self.views.swap_remove(oldest);
                }
                self.views.push(View {
                    object,
                    index,
                    window,
                    used: 0,
                });
                self.views.len() - 1
            }
        };
        self.views[at].used = self.turn;
        Ok(&self.views[at].window)
    }

    /// Calls `each` for every part of `at..at + length` with its window, the offset in it, and what part it is.
    fn each(
        &mut self,
        object: Handle,
        at: u64,
        length: u64,
        mut each: impl FnMut(&Window, u64, core::ops::Range<usize>) -> ferrix_abi::error::Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < length {
            let (index, offset) = ((at + done) / VIEW, (at + done) % VIEW);
            let part = (length - done).min(VIEW - offset);
            let range = done as usize..(done + part) as usize;
            each(self.view(object, index)?, offset, range)?;
            done += part;
        }
        Ok(())
    }

    fn forget(&mut self, object: Handle) {
        self.views.retain(|view| view.object != object);
    }
}

impl Store for Objects {
    type Object = Handle;

    fn create(&mut self, pages: u64) -> Result<Handle> {
        Ok(memory::object_create(pages * PAGE)?)
    }

    fn resize(&mut self, object: &mut Handle, pages: u64) -> Result<()> {
        Ok(memory::object_resize(*object, pages * PAGE)?)
    }

    fn read(&mut self, object: &Handle, at: u64, into: &mut [u8]) -> Result<()> {
        self.each(*object, at, into.len() as u64, |window, offset, part| {
            window.read(offset, &mut into[part])
        })
    }

    fn write(&mut self, object: &Handle, at: u64, from: &[u8]) -> Result<()> {
        self.each(*object, at, from.len() as u64, |window, offset, part| {
            window.write(offset, &from[part])
        })
    }

    fn zero(&mut self, object: &Handle, at: u64, length: u64) -> Result<()> {
        self.each(*object, at, length, |window, offset, part| {
            window.fill(offset, part.len(), 0)
        })
    }

    fn present(&mut self, object: &Handle, first: u64, present: &mut [u8]) -> Result<u64> {
        let pages = memory::object_usage(*object)?.pages;
        if present.is_empty() {
            return Ok(pages);
        }
        self.each(
            *object,
            first * PAGE,
            present.len() as u64 * PAGE,
            |window, offset, part| {
                let part = part.start / PAGE as usize..part.end / PAGE as usize;
                memory::resident(window.address() + offset, &mut present[part])
            },
        )?;
        Ok(pages)
    }

    fn is_shared(&mut self, object: &Handle) -> bool {
        let mine = 1 + self
            .views
            .iter()
            .filter(|view| view.object == *object)
            .count() as u64;
        memory::object_usage(*object).is_ok_and(|found| found.users > mine)
    }

    fn give(&mut self, object: Handle) -> Handle {
        self.forget(object);
        object
    }

    fn delete(&mut self, object: Handle) {
        self.forget(object);
        let _ = ipc::close(object);
    }

    fn handle(&self, object: &Handle) -> Handle {
        *object
    }

    fn free_pages(&self) -> u64 {
        system::statistics().map_or(0, |stats| stats.free_pages)
    }

    fn now(&self) -> i64 {
        i64::try_from(clock::realtime_ns()).unwrap_or(i64::MAX)
    }
}
