//! Directory records: Linux's `struct linux_dirent64` (getdents64(2)).

use crate::errno::{EINVAL, Result};
use alloc::vec::Vec;

/// Bytes before the name: inode (8), offset (8), record length (2), type (1).
const HEADER: usize = 19;

/// A buffer of records with a limit.
pub struct Records {
    bytes: Vec<u8>,
    room: usize,
    is_full: bool,
}

impl Records {
    /// Room for `room` bytes.
    pub fn new(room: usize) -> Records {
        Records {
            bytes: Vec::new(),
            room,
            is_full: false,
        }
    }

    /// Adds a record; false when it does not fit. `next` is the cookie after this entry, `kind` a `DT_*`.
    pub fn push(&mut self, inode: u64, next: u64, kind: u8, name: &[u8]) -> bool {
        let length = (HEADER + name.len() + 1).next_multiple_of(8);
        if self.bytes.len() + length > self.room {
            self.is_full = true;
            return false;
        }
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(&inode.to_le_bytes());
        self.bytes.extend_from_slice(&next.to_le_bytes());
        self.bytes.extend_from_slice(&(length as u16).to_le_bytes());
        self.bytes.push(kind);
        self.bytes.extend_from_slice(name);
        self.bytes.resize(end, 0);
        true
    }

    /// The records.
    ///
    /// # Errors
    /// `EINVAL` if there is a record, and no room for it.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        if self.is_full && self.bytes.is_empty() {
            return Err(EINVAL);
        }
        Ok(self.bytes)
    }
}

/// One record, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Inode number.
    pub inode: u64,
    /// Cookie of the next entry.
    pub next: u64,
    /// Name without NUL.
    pub name: &'a [u8],
}

/// Goes through records; stops at the first that is cut short.
pub fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    core::iter::from_fn(move || {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (inode, next) = (word(0)?, word(8)?);
        let length = usize::from(u16::from_le_bytes([*bytes.get(16)?, *bytes.get(17)?]));
        let padded = bytes.get(HEADER..length)?;
        let name = padded.split(|&byte| byte == 0).next()?;
        bytes = bytes.get(length..)?;
        Some(Record { inode, next, name })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_until_the_room_ends() {
        let mut buffer = Records::new(56);
        assert!(buffer.push(2, 1, 4, b"."));
        assert!(buffer.push(11, 2, 8, b"motd12345"));
        assert!(!buffer.push(12, 3, 8, b"x"));
        let bytes = buffer.into_bytes().unwrap();
        assert_eq!(bytes.len(), 24 + 32);
        let all: Vec<_> = records(&bytes).collect();
        assert_eq!(
            all[0],
            Record {
                inode: 2,
                next: 1,
                name: b"."
            }
        );
        assert_eq!(
            all[1],
            Record {
                inode: 11,
                next: 2,
                name: b"motd12345"
            }
        );
        assert_eq!(records(&bytes[..30]).count(), 1);
    }

    #[test]
    fn no_room_for_one_is_an_error_and_no_end() {
        let mut buffer = Records::new(31);
        assert!(!buffer.push(2, 1, 4, b"motd12345"));
        assert_eq!(buffer.into_bytes(), Err(EINVAL));
        assert_eq!(Records::new(0).into_bytes(), Ok(Vec::new()));
    }
}
