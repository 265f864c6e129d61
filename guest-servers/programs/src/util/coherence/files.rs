//! The ways to the file: descriptors and mappings.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::sys::memory;

/// Most bytes that the file may have: mappings show so many.
pub const SIZE_MAX: usize = 192 * 1024;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// A mapping of the whole file, as large as it may become.
#[derive(Debug)]
pub struct View {
    /// Its first address.
    pub address: usize,
}

impl View {
    /// Maps a file.
    pub fn new(file: &File, prot: i32, flags: i32) -> io::Result<View> {
        let address = memory::map(0, SIZE_MAX, (prot, flags), file.as_raw_fd(), 0)?;
        Ok(View { address })
    }

    /// The bytes of a range.
    pub fn read(&self, at: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        memory::copy_out(self.address + at, &mut bytes);
        bytes
    }

    /// Stores bytes.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        memory::copy_in(self.address + at, bytes);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // The range is one that was mapped.
        let _ = memory::unmap(self.address, SIZE_MAX);
    }
}

/// All ways to one file.
#[derive(Debug)]
pub struct Ways {
    /// For reading and writing anywhere.
    pub any: [File; 2],
    /// Every write goes to the end.
    pub append: File,
    /// Shared: the first for reading and writing, the second for reading.
    pub views: [View; 2],
    /// Whose writes are its own.
    pub private: View,
}

impl Ways {
    /// Opens and maps a file.
    pub fn open(path: &Path) -> io::Result<Ways> {
        let any = || OpenOptions::new().read(true).write(true).open(path);
        let any = [any()?, any()?];
        let views = [
            View::new(&any[0], READ_WRITE, libc::MAP_SHARED)?,
            View::new(&any[1], libc::PROT_READ, libc::MAP_SHARED)?,
        ];
        let private = View::new(&any[0], READ_WRITE, libc::MAP_PRIVATE)?;
        let append = OpenOptions::new().read(true).append(true).open(path)?;
        Ok(Ways {
            any,
            append,
            views,
            private,
        })
    }

    /// Opens and maps part of it anew.
    pub fn renew(&mut self, path: &Path, which: usize) -> io::Result<()> {
        match which {
            0 | 1 => {
                self.any[which] = OpenOptions::new().read(true).write(true).open(path)?;
            }
            2 => self.append = OpenOptions::new().read(true).append(true).open(path)?,
            3 => self.views[0] = View::new(&self.any[1], READ_WRITE, libc::MAP_SHARED)?,
            _ => self.views[1] = View::new(&self.any[0], libc::PROT_READ, libc::MAP_SHARED)?,
        }
        Ok(())
    }
}
