//! Bytes between files and their readers and writers: through the block cache, and to the pages that are mapped.

use super::convert::{errno, now};
use super::disk::Disk;
use super::live::Live;
use super::service::{OpenFile, Server, mounted};
use ferrix_ext2::Ext2;
use ferrix_rt::service::{Errno, Request};

impl Server {
    /// Reads a file straight into the caller's window.
    pub fn read_into_window(
        &mut self,
        request: &Request,
        file: &OpenFile,
        at: u64,
        length: usize,
    ) -> Result<usize, Errno> {
        let window = self.windows.window(request.caller.pid)?;
        let mounted = mounted(&mut self.mounts, file.mount)?;
        let live = &mut self.live;
        window.with(request.words[2], length, |buffer| {
            let read = mounted.read(file.ino, at, buffer).map_err(errno)?;
            live.overlay((file.mount, file.ino), at, &mut buffer[..read])?;
            Ok(read)
        })?
    }

    /// Writes a file straight from the caller's window.
    pub fn write_from_window(
        &mut self,
        request: &Request,
        file: &OpenFile,
        at: u64,
        length: usize,
    ) -> Result<usize, Errno> {
        let window = self.windows.window(request.caller.pid)?;
        let mounted = mounted(&mut self.mounts, file.mount)?;
        let live = &mut self.live;
        window.with(request.words[2], length, |bytes| {
            write(mounted, live, file, at, bytes)
        })?
    }
}

/// Writes to a file, and to those of its pages that are mapped.
pub fn write(
    mounted: &mut Ext2<Disk>,
    live: &mut Live,
    file: &OpenFile,
    at: u64,
    bytes: &[u8],
) -> Result<usize, Errno> {
    let written = mounted.write(file.ino, at, bytes, now()).map_err(errno)?;
    if live.has_any(file.mount) {
        let size = mounted.getattr(file.ino).map_err(errno)?.size;
        live.written((file.mount, file.ino), at, &bytes[..written], size)?;
    }
    Ok(written)
}
