//! Several modules in one: a cpio archive in the "new ASCII" format (`cpio -H newc`), as QEMU's
//! `-initrd` passes it.
//!
//! A file's name is its module's command line. Modules are mapped page by page, so each file's
//! data must begin on a page boundary of the archive; whoever packs it pads the name with NULs to that end.

/// Bytes of an entry's header, all hexadecimal digits.
const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
/// Offsets of header fields of eight digits.
const FILE_SIZE: usize = 54;
const NAME_SIZE: usize = 94;
/// The name of the last entry.
const TRAILER: &[u8] = b"TRAILER!!!";

/// A file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name, without the padding.
    pub name: &'a [u8],
    /// Where its data begin in the archive.
    pub offset: usize,
    /// Bytes of data.
    pub size: usize,
}

/// Whether `bytes` begin an archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The files of an archive, up to its trailer or the first entry that is not one.
pub fn files(archive: &[u8]) -> impl Iterator<Item = File<'_>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let entry = archive.get(at..)?;
        if !is_archive(entry) {
            return None;
        }
        let size = field(entry, FILE_SIZE)?;
        let name_size = field(entry, NAME_SIZE)?;
        let name = entry.get(HEADER..HEADER.checked_add(name_size)?)?;
        let name = name.split(|&byte| byte == 0).next()?;
        let offset = at + (HEADER + name_size).next_multiple_of(4);
        let end = offset.checked_add(size)?;
        at = end.checked_next_multiple_of(4)?;
        (name != TRAILER && end <= archive.len()).then_some(File { name, offset, size })
    })
}

fn field(entry: &[u8], offset: usize) -> Option<usize> {
    let digits = core::str::from_utf8(entry.get(offset..offset + 8)?).ok()?;
    usize::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, name_size: usize, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"070701".to_vec();
        for index in 0..13 {
            let value = match index {
                6 => data.len(),
                11 => name_size,
                _ => 0,
            };
            bytes.extend(format!("{value:08X}").bytes());
        }
        bytes.extend(name.bytes());
        bytes.resize((HEADER + name_size).next_multiple_of(4), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn names_are_command_lines_and_padding_aligns_data() {
        let mut archive = entry("init --verbose", 4096 - HEADER, b"abcde");
        archive.extend(entry("blk", 4, b"xy"));
        archive.extend(entry("TRAILER!!!", 11, b""));
        archive.extend(entry("after", 6, b""));
        let found: Vec<_> = files(&archive).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            File {
                name: b"init --verbose",
                offset: 4096,
                size: 5
            }
        );
        assert_eq!((found[1].name, found[1].size), (&b"blk"[..], 2));
        assert_eq!(&archive[found[1].offset..][..2], b"xy");
    }

    #[test]
    fn a_cut_archive_ends_early() {
        let archive = entry("a", 2, &[7; 100]);
        for length in 0..archive.len() {
            assert_eq!(files(&archive[..length]).count(), 0, "{length}");
        }
        assert_eq!(files(&archive).count(), 1);
        assert!(!is_archive(b"\x7fELF"));
    }
}
