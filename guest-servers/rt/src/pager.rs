//! Memory from which a pager supplies pages (see [`ferrix_abi::vm`], paged objects).

use crate::sys::memory::{self, Mapping};
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};

/// Gives the whole pages of a private range back to the kernel; they are zero when they are used again.
///
/// # Errors
/// What the kernel says.
pub fn discard_pages(memory: &mut [u8]) -> Result<()> {
    let start = (memory.as_ptr() as u64).next_multiple_of(PAGE_SIZE);
    let end = (memory.as_ptr_range().end as u64) & !(PAGE_SIZE - 1);
    if start >= end {
        return Ok(());
    }
    // SAFETY: the pages lie in `memory`, which is borrowed for writing; any bytes are valid there.
    unsafe { memory::discard(start, end - start) }
}

/// Private pages to be filled and moved into an object; afterwards they are zero and can be filled again.
#[derive(Debug)]
pub struct Staging {
    address: u64,
    pages: u64,
}

impl Staging {
    /// So many pages.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn new(pages: u64) -> Result<Staging> {
        let mut mapping = Mapping::anonymous(pages * PAGE_SIZE, Prot::READ | Prot::WRITE);
        mapping.flags |= MapFlags::INHERIT_NONE;
        let address = memory::map_anywhere(&mapping)?;
        Ok(Staging { address, pages })
    }

    /// How many pages.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        let length = (self.pages * PAGE_SIZE) as usize;
        // SAFETY: the mapping has these bytes while `self` lives, and nobody else has it.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, length) }
    }

    /// Moves the first `count` pages into a paged object, from page `first` on; how many were absent there.
    ///
    /// # Errors
    /// What the kernel says.
    ///
    /// # Panics
    /// If there are fewer pages.
    pub fn supply(&mut self, object: Handle, first: u64, count: u64) -> Result<u64> {
        assert!(count <= self.pages);
        // SAFETY: no reference into the pages is left: `bytes` borrows `self`.
        unsafe { memory::supply(object, first, count, self.address) }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // SAFETY: no reference into the pages is left.
        let _ = unsafe { memory::unmap(memory::SELF, self.address, self.pages * PAGE_SIZE) };
    }
}
