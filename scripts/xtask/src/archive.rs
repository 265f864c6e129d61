//! All boot modules in one file, for loaders that pass only one (QEMU's `-initrd`): a cpio archive whose
//! entries' data begin on pages (`guest-kernel/src/boot/archive.rs` says how).

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const PAGE: usize = 4096;
const HEADER: usize = 110;

/// Writes `archive` with one entry per file, named as the file is.
pub fn write(files: &[&Path], archive: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .context("a module needs a name")?
            .to_string_lossy();
        let data = fs::read(file).with_context(|| file.display().to_string())?;
        push(&mut bytes, &name, &data);
    }
    push(&mut bytes, "TRAILER!!!", &[]);
    fs::write(archive, bytes).with_context(|| archive.display().to_string())
}

fn push(archive: &mut Vec<u8>, name: &str, data: &[u8]) {
    let name_begin = archive.len() + HEADER;
    let data_begin = (name_begin + name.len() + 1).next_multiple_of(PAGE);
    let name_size = data_begin - name_begin;
    archive.extend_from_slice(b"070701");
    // Inode, mode, owner, group, links, time, size, four device numbers, name size, checksum.
    let fields = [
        0,
        0o100_644,
        0,
        0,
        1,
        0,
        data.len(),
        0,
        0,
        0,
        0,
        name_size,
        0,
    ];
    for field in fields {
        archive.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.resize(data_begin, 0);
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_begins_on_pages() {
        let mut archive = Vec::new();
        push(&mut archive, "init", &[1; 5000]);
        push(&mut archive, "vfs", &[2; 3]);
        assert!(archive[..PAGE].starts_with(b"070701"));
        assert_eq!(
            (archive[PAGE - 1], archive[PAGE], archive[PAGE + 4999]),
            (0, 1, 1)
        );
        let second = 3 * PAGE;
        assert_eq!(
            (archive[second - 1], &archive[second..second + 3]),
            (0, &[2, 2, 2][..])
        );
    }
}
