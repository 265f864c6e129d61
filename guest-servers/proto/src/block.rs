//! Block devices: what is asked of `blk`.
//!
//! Data travels through a window that `blk` makes (it must be contiguous for the device).
//! Sectors are 512 bytes.

use crate::request::BLOCK_BASE;

/// On the port: payload = device name (`vda`) → handle 0 = device session, word 1 = sectors,
/// word 2 = [`flags`]. `ENOENT` if there is none; `EBUSY`, `EROFS` as it says.
pub const OPEN: u16 = BLOCK_BASE;
/// On the port: word 1 = n → LONG bytes = name of device n, word 1 = sectors, word 2 = flags; `ENOENT`
/// beyond the last.
pub const LIST: u16 = BLOCK_BASE + 1;
/// Word 1 = bytes wanted → handle 0 = window (`READ | WRITE`), word 1 = its size.
pub const MAKE_WINDOW: u16 = BLOCK_BASE + 2;
/// Word 1 = first sector, word 2 = bytes, word 3 = window offset. Status = bytes.
pub const READ: u16 = BLOCK_BASE + 3;
/// The same.
pub const WRITE: u16 = BLOCK_BASE + 4;
/// Makes all completed writes durable.
pub const FLUSH: u16 = BLOCK_BASE + 5;
/// Word 1 = first sector, word 2 = sectors: their contents no longer matter.
pub const DISCARD: u16 = BLOCK_BASE + 6;

/// On a device session: → word 1 = sectors, word 2 = [`flags`].
pub const INFO: u16 = BLOCK_BASE + 7;

/// Properties of a device.
pub mod flags {
    /// Writes fail with `EROFS`.
    pub const READ_ONLY: u64 = 1;
    /// [`DISCARD`](super::DISCARD) does something.
    pub const DISCARD: u64 = 2;
}
