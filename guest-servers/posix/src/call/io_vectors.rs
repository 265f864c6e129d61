//! The program's buffers of one read or write, in order.

use crate::user;
use crate::window::Slot;
use ferrix_abi::ipc::LONG_MAX;
use ferrix_posix::{Errno, Result};
use linux_raw_sys::general::iovec;

/// `IOV_MAX`.
const VECTORS_MAX: u64 = 1024;
/// Most bytes of one call (Linux's `MAX_RW_COUNT`).
const BYTES_MAX: u64 = 0x7fff_f000;

/// What is left of the buffers.
#[derive(Clone, Copy, Debug)]
pub struct Vectors {
    /// Where the next buffer's description is.
    next: u64,
    /// How many descriptions are left.
    left: u64,
    /// The current buffer.
    address: u64,
    length: u64,
    /// Bytes left in all.
    pub total: u64,
}

impl Vectors {
    /// One buffer.
    pub fn one(address: u64, length: u64) -> Result<Vectors> {
        user::check(address, length)?;
        let length = length.min(BYTES_MAX);
        Ok(Vectors {
            next: 0,
            left: 0,
            address,
            length,
            total: length,
        })
    }

    /// The buffers of `readv`.
    pub fn many(list: u64, count: u64) -> Result<Vectors> {
        if count > VECTORS_MAX {
            return Err(Errno::EINVAL);
        }
        let mut total = 0u64;
        for index in 0..count {
            let vector: iovec = user::read(list + index * size_of::<iovec>() as u64)?;
            if vector.iov_len > i64::MAX as u64 {
                return Err(Errno::EINVAL);
            }
            user::check(vector.iov_base as u64, vector.iov_len)?;
            total = total.checked_add(vector.iov_len).ok_or(Errno::EINVAL)?;
        }
        let total = total.min(BYTES_MAX);
        Ok(Vectors {
            next: list,
            left: count,
            address: 0,
            length: 0,
            total,
        })
    }

    /// The next contiguous piece of at most `most` bytes.
    fn piece(&mut self, most: u64) -> Result<(u64, u64)> {
        while self.length == 0 {
            if self.left == 0 {
                return Err(Errno::EFAULT);
            }
            let vector: iovec = user::read(self.next)?;
            (self.address, self.length) = (vector.iov_base as u64, vector.iov_len);
            self.next += size_of::<iovec>() as u64;
            self.left -= 1;
        }
        let taken = self.length.min(most);
        let address = self.address;
        self.address += taken;
        self.length -= taken;
        self.total -= taken.min(self.total);
        Ok((address, taken))
    }

    /// How many of the next bytes, at most `most`, can be stored in the program.
    pub fn writable(mut self, most: u64) -> u64 {
        let mut fits = 0;
        while fits < most {
            let Ok((address, length)) = self.piece(most - fits) else {
                break;
            };
            let part = user::writable(address, length);
            fits += part;
            if part < length {
                break;
            }
        }
        fits
    }

    /// Passes over `length` bytes.
    pub fn skip(&mut self, length: u64) -> Result<()> {
        self.each(length, |_, _, _| Ok(()))
    }

    fn each(
        &mut self,
        length: u64,
        mut copy: impl FnMut(u64, u64, u64) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < length {
            let (address, taken) = self.piece(length - done)?;
            copy(done, address, taken)?;
            done += taken;
        }
        Ok(())
    }

    /// Moves `length` bytes from a slot to the program.
    pub fn take_from_slot(&mut self, slot: &Slot, length: u64) -> Result<()> {
        self.each(length, |at, address, taken| {
            slot.copy_to_program(at, address, taken)
        })
    }

    /// Moves `length` bytes from the program to a slot.
    pub fn give_to_slot(&mut self, slot: &Slot, length: u64) -> Result<()> {
        self.each(length, |at, address, taken| {
            slot.fill_from_program(at, address, taken)
        })
    }

    /// Stores bytes in the program.
    pub fn take_from(&mut self, bytes: &[u8]) -> Result<()> {
        self.each(bytes.len() as u64, |at, address, taken| {
            user::write_bytes(address, &bytes[at as usize..][..taken as usize])
        })
    }

    /// Fetches bytes from the program (at most [`LONG_MAX`]).
    pub fn give_to(&mut self, bytes: &mut [u8]) -> Result<()> {
        debug_assert!(bytes.len() <= LONG_MAX);
        self.each(bytes.len() as u64, |at, address, taken| {
            user::read_bytes(address, &mut bytes[at as usize..][..taken as usize])
        })
    }
}
