//! Where the bytes of files are: memory objects in the guest, plain vectors in tests.

use crate::errno::Result;
use core::ops::Range;
use ferrix_abi::handle::Handle;

/// Bytes of a page, the unit in which room is counted.
pub const PAGE: u64 = ferrix_abi::layout::PAGE_SIZE;

/// Makes and fills the objects that hold files' bytes.
pub trait Store {
    /// What holds the bytes of one file: zeroes until written.
    type Object;

    /// A new object of so many pages (at least one).
    ///
    /// # Errors
    /// `ENOMEM`, and what the kernel says.
    fn create(&mut self, pages: u64) -> Result<Self::Object>;

    /// Changes the size; pages cut off are gone everywhere, also where they are mapped.
    ///
    /// # Errors
    /// What the kernel says.
    fn resize(&mut self, object: &mut Self::Object, pages: u64) -> Result<()>;

    /// Copies out; the range lies in the object.
    ///
    /// # Errors
    /// What mapping the object says.
    fn read(&mut self, object: &Self::Object, at: u64, into: &mut [u8]) -> Result<()>;

    /// Copies in; the range lies in the object.
    ///
    /// # Errors
    /// What mapping the object says.
    fn write(&mut self, object: &Self::Object, at: u64, from: &[u8]) -> Result<()>;

    /// Zeroes a range inside one page.
    ///
    /// # Errors
    /// What mapping the object says.
    fn zero(&mut self, object: &Self::Object, at: u64, length: u64) -> Result<()>;

    /// Takes pages away: they read as zero, and take no room.
    ///
    /// # Errors
    /// What the kernel says.
    fn discard(&mut self, object: &Self::Object, pages: Range<u64>) -> Result<()>;

    /// Sets `present[i]` to 1 if page `first + i` holds memory, 0 otherwise; how many pages of the
    /// whole object do.
    ///
    /// # Errors
    /// What the kernel says.
    fn present(&mut self, object: &Self::Object, first: u64, present: &mut [u8]) -> Result<u64>;

    /// Whether somebody else still has the object or a mapping of it.
    fn is_shared(&mut self, object: &Self::Object) -> bool;

    /// Gives the object away: the only handle, for whoever gets it.
    fn give(&mut self, object: Self::Object) -> Handle;

    /// Lets the object go.
    fn delete(&mut self, object: Self::Object);

    /// The object as others can map it.
    fn handle(&self, object: &Self::Object) -> Handle;

    /// Pages that all objects together have now, if that can be told: others may touch them at any time.
    fn used(&self) -> Option<u64> {
        None
    }

    /// Pages that the machine can still give.
    fn free_pages(&self) -> u64;

    /// The same when so many are wanted, after others have made room for them as far as they can.
    fn wait_for_pages(&self, _wanted: u64) -> u64 {
        self.free_pages()
    }

    /// Nanoseconds since 1970.
    fn now(&self) -> i64;
}
