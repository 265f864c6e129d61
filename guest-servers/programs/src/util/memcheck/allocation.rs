//! Room ahead of writing, and holes: `fallocate`.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::files::{DISK, MEMORY, SHARED, Temporary};
use super::{Check, Wrong, fails, same};
use crate::sys::memory::{PAGE, allocate, map, peek, pipe, poke, unmap};
use libc::{
    EBADF, EFBIG, EINVAL, ENODEV, EOPNOTSUPP, ESPIPE, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("file.room", || room(MEMORY)),
    ("file.room_errors", || errors(MEMORY)),
    ("file.hole", hole),
    ("disk.room", || room(DISK)),
    ("disk.room_errors", || errors(DISK)),
];

const KEEP: usize = FALLOC_FL_KEEP_SIZE as usize;
const PUNCH: usize = (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) as usize;

/// Holes get blocks; what is there stays, also what a mapping holds.
fn room(place: &str) -> Result<(), Wrong> {
    let temporary = Temporary::new(place, "room")?;
    let file = &temporary.file;
    let fd = file.as_raw_fd() as usize;
    file.set_len(5 * PAGE as u64)?;
    let at = map(0, 5 * PAGE, SHARED, file.as_raw_fd(), 0)?;
    poke(at + PAGE, 1);
    file.write_all_at(b"2", 2 * PAGE as u64)?;
    allocate(fd, KEEP, PAGE / 2, 3 * PAGE)?;
    same("the size stays", file.metadata()?.len(), 5 * PAGE as u64)?;
    let bytes = [0, PAGE, 2 * PAGE, 3 * PAGE].map(|offset| peek(at + offset));
    same("the bytes stay", bytes, [0, 1, b'2', 0])?;
    let blocks = file.metadata()?.blocks() as usize * 512;
    same("blocks", blocks >= 4 * PAGE, true)?;
    allocate(fd, 0, 4 * PAGE, 3 * PAGE + 5)?;
    same("it grows", file.metadata()?.len(), 7 * PAGE as u64 + 5)?;
    let mut end = [1; 10];
    same("the end", file.read_at(&mut end, 7 * PAGE as u64)?, 5)?;
    same("zeros", end[..5].iter().all(|&byte| byte == 0), true)?;
    unmap(at, 5 * PAGE)?;
    Ok(())
}

fn errors(place: &str) -> Result<(), Wrong> {
    let temporary = Temporary::new(place, "room")?;
    let file = OpenOptions::new().write(true).open(&temporary.path)?;
    let fd = file.as_raw_fd() as usize;
    let negative = -1isize as usize;
    fails("no length", allocate(fd, 0, 0, 0), EINVAL)?;
    fails("a negative one", allocate(fd, 0, 0, negative), EINVAL)?;
    fails("a negative start", allocate(fd, 0, negative, 1), EINVAL)?;
    let most = isize::MAX as usize;
    fails("beyond the end of all", allocate(fd, 0, most, 5), EFBIG)?;
    let strange = allocate(fd, FALLOC_FL_PUNCH_HOLE as usize, 0, 1);
    fails("a hole that changes the size", strange, EOPNOTSUPP)?;
    let reading = fs::File::open(&temporary.path)?;
    let reading = reading.as_raw_fd() as usize;
    fails("only reading", allocate(reading, 0, 0, 1), EBADF)?;
    fails("no file", allocate(999, 0, 0, 1), EBADF)?;
    let [_, write] = pipe()?;
    fails("a pipe", allocate(write as usize, 0, 0, 1), ESPIPE)?;
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    let null = null.as_raw_fd() as usize;
    fails("a device", allocate(null, 0, 0, 1), ENODEV)
}

fn hole() -> Result<(), Wrong> {
    let temporary = Temporary::new(MEMORY, "hole")?;
    let file = &temporary.file;
    let fd = file.as_raw_fd() as usize;
    file.write_all_at(&vec![b'x'; 4 * PAGE], 0)?;
    let at = map(0, 4 * PAGE, SHARED, file.as_raw_fd(), 0)?;
    let before = file.metadata()?.blocks();
    allocate(fd, PUNCH, PAGE - 1, PAGE + 2)?;
    let seen = [PAGE - 2, PAGE - 1, PAGE, 2 * PAGE, 2 * PAGE + 1].map(|offset| peek(at + offset));
    same("the mapping", seen, [b'x', 0, 0, 0, b'x'])?;
    allocate(fd, PUNCH, 3 * PAGE, 100 * PAGE)?;
    same("the size stays", file.metadata()?.len(), 4 * PAGE as u64)?;
    let mut bytes = vec![1; PAGE];
    file.read_exact_at(&mut bytes, 3 * PAGE as u64)?;
    same("reading", bytes.iter().all(|&byte| byte == 0), true)?;
    let after = file.metadata()?.blocks();
    same("blocks", after < before, true)?;
    unmap(at, 4 * PAGE)?;
    Ok(())
}
