//! What a disk does: vectored reads and writes between the file and guest RAM, without a copy.

use std::io::{self, Error, ErrorKind};
use std::os::fd::AsRawFd;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::{Disk, SECTOR};
use crate::memory::Ram;
use crate::virtio::Segment;

/// `IOV_MAX` of Linux.
const MOST_VECTORS: usize = 1024;
/// Zeroes are written in pieces of this size where the file system cannot make holes.
const ZEROES: usize = 64 << 10;

#[derive(Clone, Copy)]
enum Direction {
    FromDisk,
    ToDisk,
}

impl Disk {
    /// Fills the segments with the disk's bytes from `offset`.
    pub fn read(&self, ram: &Ram, offset: u64, segments: &[Segment]) -> io::Result<()> {
        self.transfer(ram, offset, segments, Direction::FromDisk)
    }

    /// Writes the segments to the disk from `offset`.
    pub fn write(&self, ram: &Ram, offset: u64, segments: &[Segment]) -> io::Result<()> {
        self.transfer(ram, offset, segments, Direction::ToDisk)
    }

    /// Waits until everything written is on stable storage.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Gives up the contents of a range; a hint, so that not being able to is no error.
    pub fn discard(&self, sector: u64, count: u64) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, hole, sector * SECTOR, count * SECTOR) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NODEV | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a range read as zeroes.
    pub fn write_zeroes(&self, sector: u64, count: u64) -> io::Result<()> {
        let zero = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (offset, length) = (sector * SECTOR, count * SECTOR);
        for way in [zero, hole] {
            match fallocate(&self.file, way, offset, length) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::NODEV | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.write_zero_bytes(offset, length)
    }

    fn write_zero_bytes(&self, mut offset: u64, mut length: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let zeroes = vec![0; ZEROES];
        while length > 0 {
            let now = length.min(ZEROES as u64);
            self.file.write_all_at(&zeroes[..now as usize], offset)?;
            (offset, length) = (offset + now, length - now);
        }
        Ok(())
    }

    fn transfer(
        &self,
        ram: &Ram,
        mut offset: u64,
        segments: &[Segment],
        direction: Direction,
    ) -> io::Result<()> {
        let mut vectors = vectors(ram, segments)?;
        let mut rest = vectors.as_mut_slice();
        while !rest.is_empty() {
            let done = self.transfer_once(offset, rest, direction)?;
            if done == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            offset += done as u64;
            rest = advance(rest, done);
        }
        Ok(())
    }

    fn transfer_once(
        &self,
        offset: u64,
        vectors: &[libc::iovec],
        direction: Direction,
    ) -> io::Result<usize> {
        let count = vectors.len().min(MOST_VECTORS) as libc::c_int;
        let (fd, at) = (self.file.as_raw_fd(), offset as libc::off_t);
        loop {
            let done = match direction {
                // SAFETY: each vector lies inside guest RAM (see `vectors`), which outlives the
                // call and is reached by the monitor only through volatile accesses.
                Direction::FromDisk => unsafe { libc::preadv(fd, vectors.as_ptr(), count, at) },
                // SAFETY: as above; the kernel only reads from the vectors.
                Direction::ToDisk => unsafe { libc::pwritev(fd, vectors.as_ptr(), count, at) },
            };
            if let Ok(done) = usize::try_from(done) {
                return Ok(done);
            }
            let error = Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// Host addresses of guest segments; an error if one is not RAM.
fn vectors(ram: &Ram, segments: &[Segment]) -> io::Result<Vec<libc::iovec>> {
    let mut vectors = Vec::with_capacity(segments.len());
    for segment in segments.iter().filter(|s| s.length > 0) {
        let slice = ram
            .get_slice(GuestAddress(segment.address), segment.length as usize)
            .map_err(Error::other)?;
        let base = slice.ptr_guard_mut().as_ptr();
        vectors.push(libc::iovec {
            iov_base: base.cast(),
            iov_len: slice.len(),
        });
    }
    Ok(vectors)
}

/// Leaves out the first `done` bytes.
fn advance(mut vectors: &mut [libc::iovec], mut done: usize) -> &mut [libc::iovec] {
    while let Some(first) = vectors.first_mut() {
        if done < first.iov_len {
            first.iov_base = first.iov_base.cast::<u8>().wrapping_add(done).cast();
            first.iov_len -= done;
            break;
        }
        done -= first.iov_len;
        vectors = &mut vectors[1..];
    }
    vectors
}
