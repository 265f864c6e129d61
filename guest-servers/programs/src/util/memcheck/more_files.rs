//! Files without a name (`memfd_create`, seals), and files of the disk that grow while they are mapped.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;

use super::files::{DISK, SHARED, Temporary};
use super::{Check, Wrong, fails, same};
use crate::sys::memory::{self, PAGE, control, in_child, map, peek, poke, unmap};
use crate::sys::process::Change;
use libc::{
    EBUSY, EINVAL, EPERM, F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK,
    F_SEAL_WRITE, MAP_PRIVATE, MFD_ALLOW_SEALING, MFD_CLOEXEC, PROT_READ,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("memfd.flags", memory_files),
    ("memfd.seals", seals),
    ("file.directory", || directory("/dev/shm")),
    ("disk.directory", || directory("/etc")),
    ("disk.append", append),
    ("disk.many_pages", many_pages),
];

fn memory_files() -> Result<(), Wrong> {
    fails("unknown flags", memory::memory_file("x", 0x40), EINVAL)?;
    fails(
        "a long name",
        memory::memory_file(&"x".repeat(250), 0),
        EINVAL,
    )?;
    let fd = memory::memory_file(&"x".repeat(249), MFD_CLOEXEC)?;
    same(
        "closed by exec",
        control(fd as usize, libc::F_GETFD as usize, 0)?,
        1,
    )?;
    same("empty", crate::sys::fd::seek(fd, 0, libc::SEEK_END)?, 0)?;
    memory::truncate(fd, 2 * PAGE)?;
    let at = map(0, 2 * PAGE, SHARED, fd, 0)?;
    memory::close(fd)?;
    poke(at + PAGE, 1);
    unmap(at, 2 * PAGE)?;
    Ok(())
}

fn seals() -> Result<(), Wrong> {
    let add = |fd: i32, seals: i32| control(fd as usize, F_ADD_SEALS as usize, seals as usize);
    let get = |fd: i32| control(fd as usize, F_GET_SEALS as usize, 0);
    let plain = memory::memory_file("plain", 0)?;
    same("sealed against seals", get(plain)?, F_SEAL_SEAL as usize)?;
    fails("a seal", add(plain, F_SEAL_GROW), EPERM)?;
    memory::close(plain)?;
    let fd = memory::memory_file("seals", MFD_ALLOW_SEALING)?;
    memory::truncate(fd, PAGE)?;
    same("none yet", get(fd)?, 0)?;
    fails("unknown seals", add(fd, 0x400), EINVAL)?;
    add(fd, F_SEAL_GROW | F_SEAL_SHRINK)?;
    fails("growing", memory::truncate(fd, 2 * PAGE), EPERM)?;
    fails("shrinking", memory::truncate(fd, 1), EPERM)?;
    let at = map(0, PAGE, SHARED, fd, 0)?;
    poke(at, 5);
    fails("while somebody may write", add(fd, F_SEAL_WRITE), EBUSY)?;
    unmap(at, PAGE)?;
    add(fd, F_SEAL_WRITE | F_SEAL_SEAL)?;
    fails("writing", map(0, PAGE, SHARED, fd, 0), EPERM)?;
    let at = map(0, PAGE, (PROT_READ, MAP_PRIVATE), fd, 0)?;
    same("reading", peek(at), 5)?;
    unmap(at, PAGE)?;
    fails("more seals", add(fd, F_SEAL_GROW), EPERM)?;
    Ok(memory::close(fd)?)
}

/// `getdents64` into a buffer that is too small for one name says so: nothing would be the end of the directory.
fn directory(path: &str) -> Result<(), Wrong> {
    let directory = fs::File::open(path)?;
    let fd = directory.as_raw_fd() as usize;
    let mut bytes = [0u64; 512];
    let buffer = bytes.as_mut_ptr() as usize;
    for size in [0, 19, 23] {
        fails("no room", memory::entries(fd, buffer, size), EINVAL)?;
    }
    let mut pieces = 0;
    while memory::entries(fd, buffer, 300)? > 0 {
        pieces += 1;
    }
    same("names come", pieces > 0, true)?;
    same("the end", memory::entries(fd, buffer, 0)?, 0)
}

/// A mapped file grows by `write`, and what a mapping left behind its end does not show.
fn append() -> Result<(), Wrong> {
    let temporary = Temporary::new(DISK, "append")?;
    let mut file = OpenOptions::new().append(true).open(&temporary.path)?;
    file.write_all(b"head")?;
    let at = map(0, 3 * PAGE, SHARED, temporary.fd(), 0)?;
    poke(at + 100, b'?');
    file.write_all(&vec![b'x'; 2 * PAGE])?;
    same("the first byte added", peek(at + 4), b'x')?;
    same("the last", peek(at + 2 * PAGE + 3), b'x')?;
    same("behind it", peek(at + 2 * PAGE + 4), 0)?;
    poke(at + PAGE, b'm');
    file.sync_all()?;
    unmap(at, 3 * PAGE)?;
    let bytes = fs::read(&temporary.path)?;
    same(
        "after all",
        (bytes.len(), bytes[100], bytes[PAGE]),
        (2 * PAGE + 4, b'x', b'm'),
    )
}

/// More pages than are supplied at once, written by two processes, and read back without mappings.
fn many_pages() -> Result<(), Wrong> {
    const PAGES: usize = 300;
    let temporary = Temporary::new(DISK, "many")?;
    temporary.file.set_len((PAGES * PAGE) as u64)?;
    let at = map(0, PAGES * PAGE, SHARED, temporary.fd(), 0)?;
    let ended = in_child(|| {
        for page in (1..PAGES).step_by(2) {
            poke(at + page * PAGE, page as u8);
        }
        0
    })?;
    same("the child", ended, Change::Exited(0))?;
    for page in (0..PAGES).step_by(2) {
        poke(at + page * PAGE + 1, page as u8);
    }
    memory::sync(at, PAGES * PAGE, libc::MS_SYNC as usize)?;
    poke(at + 7, 77);
    unmap(at, PAGES * PAGE)?;
    let bytes = fs::read(&temporary.path)?;
    same("written after msync", bytes[7], 77)?;
    let right = |page: &usize| {
        let at = page * PAGE + usize::from(page.is_multiple_of(2));
        bytes[at] == *page as u8
    };
    same(
        "pages as they were written",
        (0..PAGES).filter(right).count(),
        PAGES,
    )
}
