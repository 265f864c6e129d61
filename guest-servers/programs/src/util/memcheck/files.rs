//! Shared and private mappings of files in memory, `memfd_create`, seals.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::{Check, Wrong, fails, same};
use crate::sys::fs::{Access, mount, unmount};
use crate::sys::memory::{self, PAGE, Touch, in_child, map, peek, poke, touch, unmap};
use crate::sys::process::Change;
use libc::{
    EACCES, EBUSY, ENODEV, EPERM, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, SEEK_DATA,
    SEEK_HOLE, SIGBUS, SIGSEGV,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("file.agree", || calls_and_mappings_agree(MEMORY)),
    ("file.truncate", || truncate(MEMORY)),
    ("file.access", || access(MEMORY)),
    ("file.devices", devices),
    ("file.lives_on", || lives_on(MEMORY)),
    ("file.three", || three_processes(MEMORY)),
    ("file.sparse", sparse),
    ("file.full", full),
    ("disk.agree", || calls_and_mappings_agree(DISK)),
    ("disk.truncate", || truncate(DISK)),
    ("disk.access", || access(DISK)),
    ("disk.lives_on", || lives_on(DISK)),
    ("disk.three", || three_processes(DISK)),
];

/// Where files are in memory.
pub const MEMORY: &str = "/dev/shm";
/// Where they are not, on Ferrix at least.
pub const DISK: &str = "/tmp";

pub const READ_WRITE: i32 = PROT_READ | PROT_WRITE;
pub const SHARED: (i32, i32) = (READ_WRITE, MAP_SHARED);
const PRIVATE: (i32, i32) = (READ_WRITE, MAP_PRIVATE);

/// A file, in `/dev/shm` as `shm_open` makes it; its name goes when dropped.
pub struct Temporary {
    pub path: String,
    pub file: File,
}

impl Temporary {
    pub fn new(directory: &str, name: &str) -> std::io::Result<Temporary> {
        let path = format!("{directory}/memcheck-{name}");
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Temporary { path, file })
    }

    pub fn fd(&self) -> i32 {
        self.file.as_raw_fd()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn calls_and_mappings_agree(directory: &str) -> Result<(), Wrong> {
    let mut shm = Temporary::new(directory, "agree")?;
    shm.file.set_len(3 * PAGE as u64)?;
    let at = map(0, 3 * PAGE, SHARED, shm.fd(), 0)?;
    shm.file.write_all(b"written")?;
    same("write, then look", peek(at + 3), b't')?;
    poke(at + 2 * PAGE + 9, b'!');
    let mut bytes = [0; 4];
    shm.file.read_exact_at(&mut bytes, 2 * PAGE as u64 + 8)?;
    same("poke, then read", bytes, [0, b'!', 0, 0])?;
    let second = map(0, PAGE, SHARED, shm.fd(), 2 * PAGE as u64)?;
    same("another mapping", peek(second + 9), b'!')?;
    let private = map(0, PAGE, PRIVATE, shm.fd(), 0)?;
    poke(private, b'x');
    same("a private write stays private", peek(at), b'w')?;
    same("and is there", peek(private), b'x')?;
    for (start, pages) in [(at, 3), (second, 1), (private, 1)] {
        unmap(start, pages * PAGE)?;
    }
    let mut all = Vec::new();
    shm.file.seek(SeekFrom::Start(0))?;
    shm.file.read_to_end(&mut all)?;
    same(
        "after all mappings are gone",
        (all.len(), all[2 * PAGE + 9]),
        (3 * PAGE, b'!'),
    )
}

fn truncate(directory: &str) -> Result<(), Wrong> {
    let shm = Temporary::new(directory, "truncate")?;
    shm.file.set_len(PAGE as u64 + 100)?;
    let at = map(0, 4 * PAGE, SHARED, shm.fd(), 0)?;
    poke(at + PAGE + 50, 1);
    poke(at + PAGE + 200, 2);
    same(
        "behind the last page",
        touch(at + 2 * PAGE, Touch::Read)?,
        Some(SIGBUS),
    )?;
    shm.file.set_len(3 * PAGE as u64)?;
    same("after growing", touch(at + 2 * PAGE, Touch::Write)?, None)?;
    same("inside", peek(at + PAGE + 50), 1)?;
    shm.file.set_len(10)?;
    same(
        "under a mapping",
        touch(at + PAGE, Touch::Read)?,
        Some(SIGBUS),
    )?;
    same(
        "writing there",
        touch(at + PAGE, Touch::Write)?,
        Some(SIGBUS),
    )?;
    same("the page that is left", touch(at, Touch::Write)?, None)?;
    shm.file.set_len(2 * PAGE as u64)?;
    same("what came back is zero", peek(at + PAGE + 50), 0)?;
    shm.file.set_len(0)?;
    same("nothing is left", touch(at, Touch::Read)?, Some(SIGBUS))?;
    unmap(at, 4 * PAGE)?;
    let empty = map(0, PAGE, SHARED, shm.fd(), 0)?;
    same("an empty file", touch(empty, Touch::Read)?, Some(SIGBUS))?;
    shm.file.set_len(1)?;
    same("is empty no more", touch(empty, Touch::Write)?, None)?;
    unmap(empty, PAGE)?;
    Ok(())
}

fn access(directory: &str) -> Result<(), Wrong> {
    let shm = Temporary::new(directory, "access")?;
    shm.file.set_len(PAGE as u64)?;
    let reader = File::open(&shm.path)?;
    let writer = OpenOptions::new().write(true).open(&shm.path)?;
    let fd = reader.as_raw_fd();
    fails(
        "to write what is open for reading",
        map(0, PAGE, SHARED, fd, 0),
        EACCES,
    )?;
    let look = (PROT_READ, MAP_SHARED);
    fails(
        "what is open for writing only",
        map(0, PAGE, look, writer.as_raw_fd(), 0),
        EACCES,
    )?;
    let at = map(0, PAGE, look, fd, 0)?;
    fails(
        "to become writable",
        memory::protect(at, PAGE, READ_WRITE as usize),
        EACCES,
    )?;
    same("a write", touch(at, Touch::Write)?, Some(SIGSEGV))?;
    unmap(at, PAGE)?;
    let at = map(0, PAGE, PRIVATE, fd, 0)?;
    poke(at, 1);
    unmap(at, PAGE)?;
    let at = map(0, PAGE, look, shm.fd(), 0)?;
    memory::protect(at, PAGE, READ_WRITE as usize)?;
    poke(at, 7);
    let mut byte = [0];
    (&reader).read_exact(&mut byte)?;
    same("made writable", byte, [7])?;
    unmap(at, PAGE)?;
    Ok(())
}

fn devices() -> Result<(), Wrong> {
    let directory = File::open("/dev/shm")?;
    let look = (PROT_READ, MAP_PRIVATE);
    fails(
        "a directory",
        map(0, PAGE, look, directory.as_raw_fd(), 0),
        ENODEV,
    )?;
    let [read, write] = memory::pipe()?;
    fails("a pipe", map(0, PAGE, look, read, 0), ENODEV)?;
    memory::close(read)?;
    memory::close(write)?;
    let null = File::open("/dev/null")?;
    fails("/dev/null", map(0, PAGE, look, null.as_raw_fd(), 0), ENODEV)
}

fn lives_on(directory: &str) -> Result<(), Wrong> {
    let shm = Temporary::new(directory, "lives")?;
    shm.file.set_len(PAGE as u64)?;
    let at = map(0, PAGE, SHARED, shm.fd(), 0)?;
    drop(shm);
    poke(at, 3);
    let ended = in_child(|| {
        let seen = peek(at);
        poke(at, 4);
        seen.into()
    })?;
    same("a child sees it", (ended, peek(at)), (Change::Exited(3), 4))?;
    unmap(at, PAGE)?;
    Ok(())
}

/// Three processes count in one page, each in turn.
fn three_processes(directory: &str) -> Result<(), Wrong> {
    let shm = Temporary::new(directory, "three")?;
    shm.file.set_len(PAGE as u64)?;
    let path = shm.path.clone();
    let count = move || -> Result<(), Wrong> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let at = map(0, PAGE, SHARED, file.as_raw_fd(), 0)?;
        poke(at, peek(at) + 1);
        Ok(())
    };
    let mine = map(0, PAGE, SHARED, shm.fd(), 0)?;
    for turn in 1..=3 {
        let ended = in_child(|| i32::from(count().is_err()))?;
        same("the process", ended, Change::Exited(0))?;
        same("its count", peek(mine), turn)?;
    }
    unmap(mine, PAGE)?;
    Ok(())
}

fn sparse() -> Result<(), Wrong> {
    let shm = Temporary::new(MEMORY, "sparse")?;
    shm.file.set_len(1 << 30)?;
    same("a gigabyte of nothing", shm.file.metadata()?.blocks(), 0)?;
    shm.file.write_all_at(b"x", 1 << 29)?;
    same("but a page", shm.file.metadata()?.blocks(), 8)?;
    let seek = |from: u64, whence| -> std::io::Result<i64> {
        // `lseek` through the C library: `std` has no holes.
        crate::sys::fd::seek(shm.fd(), from as i64, whence)
    };
    same("the first data", seek(0, SEEK_DATA)?, 1 << 29)?;
    same("the first hole", seek(5, SEEK_HOLE)?, 5)?;
    same(
        "the hole behind",
        seek(1 << 29, SEEK_HOLE)?,
        (1 << 29) + PAGE as i64,
    )?;
    fails(
        "no more data",
        seek((1 << 29) + PAGE as u64, SEEK_DATA),
        libc::ENXIO,
    )?;
    let at = map(0, 1 << 30, SHARED, shm.fd(), 0)?;
    same("through a mapping", peek(at + (1 << 29)), b'x')?;
    poke(at + (1 << 28), 1);
    same("a page more", shm.file.metadata()?.blocks(), 16)?;
    unmap(at, 1 << 30)?;
    Ok(())
}

fn full() -> Result<(), Wrong> {
    let place = "/tmp/memcheck-full";
    fs::create_dir_all(place)?;
    let (kind, access) = ("tmpfs".as_ref(), Access::ReadWrite);
    match mount(
        kind,
        place.as_ref(),
        kind,
        access,
        "size=64k,mode=700,nr_inodes=5",
    ) {
        Ok(()) => {}
        // Where the test may not mount there is nothing to test.
        Err(error) if error.raw_os_error() == Some(EPERM) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let checked = fill(place);
    let busy = File::open(place)?;
    let result = unmount(place.as_ref());
    fails("unmount what is in use", result, EBUSY)?;
    drop(busy);
    unmount(place.as_ref())?;
    fs::remove_dir(place)?;
    checked
}

fn fill(place: &str) -> Result<(), Wrong> {
    same("mode", fs::metadata(place)?.mode() & 0o7777, 0o700)?;
    let path = format!("{place}/file");
    let mut file = File::create(&path)?;
    let bytes = vec![1; 100 * 1024];
    let mut written = 0;
    let end = loop {
        match file.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    same("as much as there is room", written, 64 * 1024)?;
    fails("and no more", Err::<(), _>(end), libc::ENOSPC)?;
    file.set_len(4096)?;
    file.write_all_at(&bytes[..8192], 4096)?;
    for number in 0..3 {
        File::create(format!("{place}/{number}"))?;
    }
    let more = File::create(format!("{place}/more")).map(drop);
    fails("one file too many", more, libc::ENOSPC)
}
