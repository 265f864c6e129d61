//! A window: memory that a client and a server both map for bulk data.
//!
//! The other side may write at any time, so nothing here hands out a Rust reference into it: data is
//! copied in and out, with every range checked against the window's size.

use crate::sys::{ipc, memory};
use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Handle;
use ferrix_abi::vm::{MapFlags, Prot};

/// A mapped window; unmapped when dropped.
#[derive(Debug)]
pub struct Window {
    address: u64,
    length: u64,
}

impl Window {
    /// Maps an object that was handed over, whole, and closes the handle.
    pub fn from_object(object: Handle) -> Result<Window> {
        let window = Self::map(object, MapFlags::INHERIT_NONE);
        ipc::close(object)?;
        window
    }

    /// Maps an object whose handle the caller keeps.
    pub fn map(object: Handle, flags: MapFlags) -> Result<Window> {
        let length = memory::object_size(object)?;
        let mut mapping = memory::Mapping::shared(object, length, Prot::READ | Prot::WRITE);
        mapping.flags = flags;
        Ok(Window {
            address: memory::map_anywhere(&mapping)?,
            length,
        })
    }

    /// Maps a part of an object: offset and length in bytes, multiples of the page size. The part may end behind the
    /// object's end, where it must not be touched.
    pub fn map_part(object: Handle, offset: u64, length: u64) -> Result<Window> {
        let mut mapping = memory::Mapping::shared(object, length, Prot::READ | Prot::WRITE);
        (mapping.flags, mapping.offset) = (MapFlags::INHERIT_NONE, offset);
        Ok(Window {
            address: memory::map_anywhere(&mapping)?,
            length,
        })
    }

    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where it is mapped here.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Copies out of the window.
    ///
    /// # Errors
    /// `Invalid` if the range leaves the window.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let source = self.range(offset, into.len())?;
        // SAFETY: the range lies in the mapping, which lives as long as `self`; the destination is a
        // Rust slice elsewhere. A concurrent writer yields unspecified bytes, never undefined ones,
        // as the copy is a plain byte copy of integers.
        unsafe {
            core::ptr::copy_nonoverlapping(source as *const u8, into.as_mut_ptr(), into.len())
        };
        Ok(())
    }

    /// Copies into the window.
    ///
    /// # Errors
    /// `Invalid` if the range leaves the window.
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<()> {
        let target = self.range(offset, from.len())?;
        // SAFETY: as in `read`, the other way.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), target as *mut u8, from.len()) };
        Ok(())
    }

    /// Fills a range with one byte.
    ///
    /// # Errors
    /// `Invalid` if the range leaves the window.
    pub fn fill(&self, offset: u64, length: usize, byte: u8) -> Result<()> {
        let target = self.range(offset, length)?;
        // SAFETY: the range lies in the mapping.
        unsafe { core::ptr::write_bytes(target as *mut u8, byte, length) };
        Ok(())
    }

    /// Lends a range as a slice to code that reads or writes it in place.
    ///
    /// The other side may change the bytes meanwhile: `use_it` must treat them as untrusted at every
    /// look (copy what it decides on), which is what moving file data does.
    ///
    /// # Errors
    /// `Invalid` if the range leaves the window.
    pub fn with<R>(
        &self,
        offset: u64,
        length: usize,
        use_it: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R> {
        let start = self.range(offset, length)?;
        // SAFETY: the range lies in the mapping, `&mut` is not aliased inside this process because the
        // server is the only user of its mapping and handles one request of a slot at a time.
        Ok(use_it(unsafe {
            core::slice::from_raw_parts_mut(start as *mut u8, length)
        }))
    }

    fn range(&self, offset: u64, length: usize) -> Result<u64> {
        let end = offset.checked_add(length as u64).ok_or(Error::Invalid)?;
        if end > self.length {
            return Err(Error::Invalid);
        }
        Ok(self.address + offset)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping after the drop: no references are handed out.
        let _ = unsafe { memory::unmap(memory::SELF, self.address, self.length) };
    }
}
