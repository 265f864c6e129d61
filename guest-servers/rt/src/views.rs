//! Memory objects seen through a few mapped windows: for a server that holds the bytes of many files.

use crate::window::Window;
use alloc::vec::Vec;
use core::ops::Range;
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;

/// Bytes of a window, and its alignment in the object.
const VIEW: u64 = 2 << 20;
/// Most windows.
const VIEWS_MAX: usize = 16;

/// A mapped part of an object.
#[derive(Debug)]
struct View {
    object: Handle,
    index: u64,
    window: Window,
    used: u64,
}

/// The windows; the one not used for longest makes room.
#[derive(Debug, Default)]
pub struct Views {
    views: Vec<View>,
    turn: u64,
}

impl Views {
    /// None yet.
    pub const fn new() -> Views {
        Views {
            views: Vec::new(),
            turn: 0,
        }
    }

    /// The window over part `index` of an object.
    fn view(&mut self, object: Handle, index: u64) -> Result<&Window> {
        self.turn += 1;
        let known = self
            .views
            .iter()
            .position(|view| view.object == object && view.index == index);
        let at = match known {
            Some(at) => at,
            None => self.add(object, index)?,
        };
        self.views[at].used = self.turn;
        Ok(&self.views[at].window)
    }

    fn add(&mut self, object: Handle, index: u64) -> Result<usize> {
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
        Ok(self.views.len() - 1)
    }

    /// Calls `each` for every part of `at..at + length` of an object: its window, the offset in it, and which
    /// of the `length` bytes it is. The caller knows that the object has these bytes.
    ///
    /// # Errors
    /// What mapping says, and what `each` says.
    pub fn each(
        &mut self,
        object: Handle,
        at: u64,
        length: u64,
        mut each: impl FnMut(&Window, u64, Range<usize>) -> Result<()>,
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

    /// Copies out of an object.
    ///
    /// # Errors
    /// What mapping says.
    pub fn read(&mut self, object: Handle, at: u64, into: &mut [u8]) -> Result<()> {
        self.each(object, at, into.len() as u64, |window, offset, part| {
            window.read(offset, &mut into[part])
        })
    }

    /// Copies into an object.
    ///
    /// # Errors
    /// What mapping says.
    pub fn write(&mut self, object: Handle, at: u64, from: &[u8]) -> Result<()> {
        self.each(object, at, from.len() as u64, |window, offset, part| {
            window.write(offset, &from[part])
        })
    }

    /// Zeroes a range of an object.
    ///
    /// # Errors
    /// What mapping says.
    pub fn zero(&mut self, object: Handle, at: u64, length: u64) -> Result<()> {
        self.each(object, at, length, |window, offset, part| {
            window.fill(offset, part.len(), 0)
        })
    }

    /// Windows over an object.
    pub fn count(&self, object: Handle) -> usize {
        self.views
            .iter()
            .filter(|view| view.object == object)
            .count()
    }

    /// Unmaps all windows over an object.
    pub fn forget(&mut self, object: Handle) {
        self.views.retain(|view| view.object != object);
    }
}
