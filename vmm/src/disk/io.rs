//! What a disk does: vectored reads and writes between a file and guest RAM, without a copy.

use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

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
/// Gives blocks back to the host's file system: they read as zeroes.
const HOLE: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

/// Which way bytes go.
#[derive(Clone, Copy)]
pub enum Direction {
    /// Into RAM.
    FromDisk,
    /// Out of RAM.
    ToDisk,
}

impl Disk {
    /// Fills the segments with the disk's bytes from `offset`.
    pub fn read(&self, ram: &Ram, offset: u64, segments: &[Segment]) -> io::Result<()> {
        let vectors = Vectors::new(ram, segments)?;
        match &self.overlay {
            None => vectors.transfer(&self.file, offset, Direction::FromDisk),
            Some(overlay) => overlay.read(&self.file, offset, vectors),
        }
    }

    /// Writes the segments to the disk from `offset`.
    pub fn write(&self, ram: &Ram, offset: u64, segments: &[Segment]) -> io::Result<()> {
        let vectors = Vectors::new(ram, segments)?;
        match &self.overlay {
            None => vectors.transfer(&self.file, offset, Direction::ToDisk),
            Some(overlay) => overlay.write(&self.file, offset, vectors),
        }
    }

    /// Waits until everything written is on stable storage. What a snapshot holds is not to last.
    pub fn flush(&self) -> io::Result<()> {
        match &self.overlay {
            None => self.file.sync_data(),
            Some(_) => Ok(()),
        }
    }

    /// Gives up the contents of a range; a hint, so that not being able to is no error.
    pub fn discard(&self, sector: u64, count: u64) -> io::Result<()> {
        if self.overlay.is_some() {
            return Ok(());
        }
        match fallocate(&self.file, HOLE, sector * SECTOR, count * SECTOR) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NODEV | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a range read as zeroes.
    pub fn write_zeroes(&self, sector: u64, count: u64) -> io::Result<()> {
        let (offset, length) = (sector * SECTOR, count * SECTOR);
        match &self.overlay {
            None => write_zeroes(&self.file, offset, length),
            Some(overlay) => overlay.write_zeroes(&self.file, offset, length),
        }
    }
}

/// Makes a range of a file read as zeroes.
pub fn write_zeroes(file: &File, mut offset: u64, mut length: u64) -> io::Result<()> {
    let zero = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    for way in [zero, HOLE] {
        match fallocate(file, way, offset, length) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NODEV | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let zeroes = vec![0; ZEROES];
    while length > 0 {
        let now = length.min(ZEROES as u64);
        file.write_all_at(&zeroes[..now as usize], offset)?;
        (offset, length) = (offset + now, length - now);
    }
    Ok(())
}

/// Host addresses of pieces of guest RAM.
pub struct Vectors<'a> {
    pieces: Vec<libc::iovec>,
    /// Lives as long as the pieces are used.
    _ram: &'a Ram,
}

impl<'a> Vectors<'a> {
    /// Those of guest segments; an error if one is not RAM.
    fn new(ram: &'a Ram, segments: &[Segment]) -> io::Result<Self> {
        let mut pieces = Vec::with_capacity(segments.len());
        for segment in segments.iter().filter(|s| s.length > 0) {
            let slice = ram
                .get_slice(GuestAddress(segment.address), segment.length as usize)
                .map_err(Error::other)?;
            let base = slice.ptr_guard_mut().as_ptr();
            pieces.push(libc::iovec {
                iov_base: base.cast(),
                iov_len: slice.len(),
            });
        }
        Ok(Self { pieces, _ram: ram })
    }

    /// Bytes in all pieces.
    pub fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.iov_len as u64).sum()
    }

    /// Cuts off the first `count` bytes, which there must be.
    pub fn take_front(&mut self, count: u64) -> Self {
        let mut left = count as usize;
        let mut taken = Vec::new();
        for piece in &self.pieces {
            let length = piece.iov_len.min(left);
            if length == 0 {
                break;
            }
            taken.push(libc::iovec {
                iov_len: length,
                ..*piece
            });
            left -= length;
        }
        let rest = advance(&mut self.pieces, count as usize).len();
        self.pieces.drain(..self.pieces.len() - rest);
        Self {
            pieces: taken,
            _ram: self._ram,
        }
    }

    /// Moves all bytes between RAM and the file, from `offset`.
    pub fn transfer(
        mut self,
        file: &File,
        mut offset: u64,
        direction: Direction,
    ) -> io::Result<()> {
        let mut rest = self.pieces.as_mut_slice();
        while !rest.is_empty() {
            let done = transfer_once(file, offset, rest, direction)?;
            if done == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            offset += done as u64;
            rest = advance(rest, done);
        }
        Ok(())
    }
}

fn transfer_once(
    file: &File,
    offset: u64,
    vectors: &[libc::iovec],
    direction: Direction,
) -> io::Result<usize> {
    let count = vectors.len().min(MOST_VECTORS) as libc::c_int;
    let (fd, at) = (file.as_raw_fd(), offset as libc::off_t);
    loop {
        let done = match direction {
            // SAFETY: each vector lies inside guest RAM (see `Vectors`), which outlives the
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
