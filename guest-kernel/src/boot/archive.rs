//! A module that is an archive of modules: for loaders that pass only one file (QEMU's `-initrd`).
//!
//! The format is cpio's "newc" (the one of Linux's initramfs): for every entry a header of 110 ASCII
//! bytes, the name, the data, each padded to 4 bytes. For modules to be mapped and not copied, the
//! archive's maker pads each name with NULs until the data begins on a page.

/// Bytes of a header: a magic number and 13 fields of 8 hexadecimal digits.
const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
/// Position of `c_filesize` and `c_namesize` among the fields.
const FILE_SIZE: usize = 6;
const NAME_SIZE: usize = 11;
/// The name of the entry that ends an archive.
const END: &[u8] = b"TRAILER!!!";

/// One file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, without padding.
    pub name: &'a [u8],
    /// Where its data begins in the archive.
    pub offset: usize,
    /// Bytes of data.
    pub length: usize,
}

/// Whether these are the first bytes of an archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The entries; stops at the end mark, or at the first header that is damaged or cut short.
pub fn entries(archive: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let header = archive.get(at..at.checked_add(HEADER)?)?;
        if !is_archive(header) {
            return None;
        }
        let (name_size, length) = (field(header, NAME_SIZE)?, field(header, FILE_SIZE)?);
        let name_begin = at + HEADER;
        let padded = archive.get(name_begin..name_begin.checked_add(name_size)?)?;
        let name = padded.split(|&byte| byte == 0).next()?;
        let offset = (name_begin + name_size).next_multiple_of(4);
        archive.get(offset..offset.checked_add(length)?)?;
        at = (offset + length).next_multiple_of(4);
        (name != END).then_some(Entry { name, offset, length })
    })
}

/// Field number `index` of a header.
fn field(header: &[u8], index: usize) -> Option<usize> {
    let digits = header.get(MAGIC.len() + index * 8..)?.get(..8)?;
    usize::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, padding: usize, data: &[u8]) -> Vec<u8> {
        let mut fields = [0; 13];
        fields[FILE_SIZE] = data.len();
        fields[NAME_SIZE] = name.len() + 1 + padding;
        let mut bytes = MAGIC.to_vec();
        for value in fields {
            bytes.extend(format!("{value:08X}").bytes());
        }
        bytes.extend(name.bytes());
        bytes.resize(bytes.len() + 1 + padding, 0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn finds_names_and_data_up_to_the_end_mark() {
        let archive =
            [entry("init", 9, b"abc"), entry("vfs", 0, b""), entry("TRAILER!!!", 0, b""), entry("x", 0, b"y")].concat();
        let found: Vec<_> = entries(&archive).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name, &archive[found[0].offset..][..found[0].length]), (&b"init"[..], &b"abc"[..]));
        assert_eq!((found[1].name, found[1].length), (&b"vfs"[..], 0));
    }

    #[test]
    fn damage_ends_the_list() {
        let mut archive = [entry("a", 0, b"1"), entry("b", 0, b"2")].concat();
        let second = entry("a", 0, b"1").len();
        for cut in second..archive.len() {
            assert!(entries(&archive[..cut]).count() <= 2);
        }
        archive[second + MAGIC.len() + FILE_SIZE * 8] = b'F';
        assert_eq!(entries(&archive).count(), 1);
        archive[second] = b'1';
        assert_eq!(entries(&archive).count(), 1);
        assert!(!is_archive(b"\x7fELF"));
    }
}
