//! cpio archives ("newc"): all boot modules in one file, for loaders that pass only one (QEMU's
//! `-initrd`), and the initramfs of `hardware-kvm`.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const PAGE: usize = 4096;
const HEADER: usize = 110;

/// An archive of ordinary files, in memory.
pub struct Archive {
    bytes: Vec<u8>,
    alignment: usize,
}

/// Writes `archive` with one entry per file, named as the file is. Its entries' data begin on pages
/// (`guest-kernel/src/boot/archive.rs` says how).
pub fn write(files: &[&Path], archive: &Path) -> Result<()> {
    let mut modules = Archive::aligned(PAGE);
    for file in files {
        let name = file
            .file_name()
            .context("a module needs a name")?
            .to_string_lossy();
        modules.add_file(&name, file)?;
    }
    modules.finish(archive)
}

impl Archive {
    /// An empty archive; each file's data will begin at a multiple of `alignment`, which 4 divides.
    pub fn aligned(alignment: usize) -> Self {
        Self {
            bytes: Vec::new(),
            alignment,
        }
    }

    /// Adds a copy of a file of the host.
    pub fn add_file(&mut self, name: &str, file: &Path) -> Result<()> {
        let data = fs::read(file).with_context(|| file.display().to_string())?;
        self.add(name, &data);
        Ok(())
    }

    /// Adds a file that everyone may run.
    pub fn add(&mut self, name: &str, data: &[u8]) {
        self.entry(name, 0o100_755, data);
    }

    /// Adds an empty folder.
    pub fn add_folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn entry(&mut self, name: &str, mode: usize, data: &[u8]) {
        let archive = &mut self.bytes;
        let name_begin = archive.len() + HEADER;
        let data_begin = (name_begin + name.len() + 1).next_multiple_of(self.alignment);
        let name_size = data_begin - name_begin;
        archive.extend_from_slice(b"070701");
        // Inode, mode, owner, group, links, time, size, four device numbers, name size, checksum.
        let fields = [0, mode, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name_size, 0];
        for field in fields {
            archive.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        archive.extend_from_slice(name.as_bytes());
        archive.resize(data_begin, 0);
        archive.extend_from_slice(data);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }

    /// Ends the archive and writes it.
    pub fn finish(mut self, file: &Path) -> Result<()> {
        self.add("TRAILER!!!", &[]);
        fs::write(file, self.bytes).with_context(|| file.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_begins_on_pages() {
        let mut archive = Archive::aligned(PAGE);
        archive.add("init", &[1; 5000]);
        archive.add("vfs", &[2; 3]);
        let archive = archive.bytes;
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

    #[test]
    fn data_can_begin_on_words() {
        let mut archive = Archive::aligned(4);
        archive.add("init", &[1; 3]);
        archive.add("b", &[2]);
        let second = (HEADER + 5).next_multiple_of(4) + 4;
        assert!(archive.bytes[second..].starts_with(b"070701"));
    }
}
