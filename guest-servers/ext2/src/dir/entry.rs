//! One directory entry (`ext2_dir_entry_2`): `inode` u32, `rec_len` u16, `name_len` u8,
//! `file_type` u8 (the high byte of `name_len` without the filetype feature, then 0), name.

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::types::{BlockNr, Ino};
use crate::{Error, Result};

const HEADER: usize = 8;

/// A parsed entry; `inode` 0 means unused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub inode: u32,
    pub rec_len: usize,
    pub file_type: u8,
    pub name: &'a [u8],
}

impl Entry<'_> {
    /// Bytes that the entry itself needs.
    pub fn used(&self) -> usize {
        if self.inode == 0 {
            0
        } else {
            rec_len_for(self.name.len())
        }
    }
}

/// Bytes of an entry with a name of that length.
pub(crate) const fn rec_len_for(name_len: usize) -> usize {
    (HEADER + name_len).next_multiple_of(4)
}

/// Parses the entry at byte `at` of a directory block and checks that it stays in the block.
#[inline]
pub(crate) fn parse(raw: &[u8], at: usize, block: BlockNr) -> Result<Entry<'_>> {
    let bad = |what| Err(Error::corrupt(what, block.0));
    if !at.is_multiple_of(4) || raw.len() < at + HEADER {
        return bad("directory entry crosses the end of its block");
    }
    let inode = u32_at(raw, at);
    let rec_len = usize::from(u16_at(raw, at + 4));
    let name_len = usize::from(raw[at + 6]);
    if rec_len < rec_len_for(1) || !rec_len.is_multiple_of(4) || rec_len > raw.len() - at {
        return bad("rec_len of a directory entry");
    }
    if inode != 0 && (name_len == 0 || rec_len_for(name_len) > rec_len) {
        return bad("name_len of a directory entry");
    }
    let name_len = if inode == 0 { 0 } else { name_len };
    Ok(Entry {
        inode,
        rec_len,
        file_type: raw[at + 7],
        name: &raw[at + HEADER..at + HEADER + name_len],
    })
}

/// Writes an entry that fills `space`.
pub(crate) fn write_entry(space: &mut [u8], ino: Ino, file_type: u8, name: &[u8]) {
    put_u32(space, 0, ino.0);
    put_u16(space, 4, space.len() as u16);
    space[6] = name.len() as u8;
    space[7] = file_type;
    space[HEADER..HEADER + name.len()].copy_from_slice(name);
}

pub(crate) fn set_rec_len(raw: &mut [u8], at: usize, rec_len: usize) {
    put_u16(raw, at + 4, rec_len as u16);
}

pub(crate) fn set_target(raw: &mut [u8], at: usize, ino: Ino, file_type: u8) {
    put_u32(raw, at, ino.0);
    raw[at + 7] = file_type;
}

pub(crate) fn clear_target(raw: &mut [u8], at: usize) {
    put_u32(raw, at, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_entries_parse_back() {
        let mut raw = [0xee; 64];
        write_entry(&mut raw[..24], Ino(12), 1, b"hello");
        let entry = parse(&raw, 0, BlockNr(1)).unwrap();
        assert_eq!(
            (entry.inode, entry.rec_len, entry.name),
            (12, 24, &b"hello"[..])
        );
        assert_eq!(entry.used(), 16);
    }

    #[test]
    fn bad_lengths_are_refused() {
        for (rec_len, name_len) in [(0, 1), (8, 1), (14, 1), (68, 1), (12, 5), (12, 0)] {
            let mut raw = [0; 64];
            write_entry(&mut raw[..12], Ino(12), 1, b"a");
            put_u16(&mut raw, 4, rec_len);
            raw[6] = name_len;
            assert!(parse(&raw, 0, BlockNr(1)).is_err(), "{rec_len} {name_len}");
        }
        assert!(parse(&[0; 64], 60, BlockNr(1)).is_err());
    }
}
