//! One initrd for all modules, at the top of RAM, as Firecracker passes it: a cpio archive ("newc")
//! whose entries' data begin on pages (`guest-kernel/src/boot/archive.rs`).

use std::io::Write;

/// Bytes of an entry's header.
const HEADER: usize = 110;
const PAGE: usize = 4096;

/// An archive of modules: name and content.
pub fn archive(modules: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in modules {
        entry(&mut bytes, name, content, PAGE);
    }
    entry(&mut bytes, "TRAILER!!!", &[], 4);
    bytes
}

fn entry(archive: &mut Vec<u8>, name: &str, content: &[u8], alignment: usize) {
    let begin = archive.len();
    let data = (begin + HEADER + name.len() + 1).next_multiple_of(alignment);
    let name_size = data - begin - HEADER;
    archive.extend_from_slice(b"070701");
    // Inode, mode, owner, group, links, time, size, four device numbers, name size, checksum.
    let size = content.len();
    for field in [0, 0o100_644, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        // Writing to a vector cannot fail.
        let _ = write!(archive, "{field:08X}");
    }
    archive.extend_from_slice(name.as_bytes());
    archive.resize(data, 0);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_begin_on_pages() {
        let modules = [("init".into(), vec![7; 5000]), ("x y".into(), vec![8; 3])];
        let bytes = archive(&modules);
        assert_eq!(bytes[PAGE..][..5000], [7; 5000]);
        let second = bytes.windows(4).position(|w| w == b"x y\0").unwrap() - HEADER;
        assert_eq!(bytes[second..][..6], *b"070701");
        assert_eq!(bytes[3 * PAGE..][..3], [8; 3]);
        assert!(bytes.windows(10).any(|w| w == b"TRAILER!!!"));
    }
}
