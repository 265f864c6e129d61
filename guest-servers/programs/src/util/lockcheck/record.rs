//! Record locks: who stands against whom, what becomes of ranges, and when they end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;

use super::{
    against, anywhere, errno_in_child, everywhere, exclusive, locked, none, open, reap, set,
    shared, start,
};
use crate::sys::fd;
use crate::sys::lock::{Record, record, record_nowhere, replace};
use crate::sys::process;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{
    EAGAIN, EBADF, EFAULT, EINVAL, EOVERFLOW, F_GETLK, F_RDLCK, F_SETLK, F_WRLCK, SEEK_CUR,
    SEEK_END, SIGKILL,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("record.conflict", || everywhere(conflict)),
    ("record.split", || anywhere(split)),
    ("record.convert", || anywhere(convert)),
    ("record.whence", || anywhere(whence)),
    ("record.errors", || anywhere(errors)),
    ("record.close", || everywhere(close)),
    ("record.fork", || everywhere(fork)),
    ("record.exit", || everywhere(exit)),
    ("record.exec", || everywhere(exec)),
    ("record.own_test", || anywhere(own_test)),
];

fn conflict(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let me = std::process::id() as i32;
    set(&file, exclusive(10, 10))?;
    let refused = errno_in_child(|| set(&file, shared(19, 1)))?;
    same("a lock on a locked byte", refused, EAGAIN)?;
    same(
        "one behind it",
        errno_in_child(|| set(&file, exclusive(20, 0)))?,
        0,
    )?;
    let found = against(&file, shared(0, 0))?;
    same("what is against", found, Some((F_WRLCK, 10, 10, me)))?;
    set(&file, shared(10, 10))?;
    same(
        "two readers",
        errno_in_child(|| set(&file, shared(0, 0)))?,
        0,
    )?;
    same(
        "a writer",
        errno_in_child(|| set(&file, exclusive(0, 0)))?,
        EAGAIN,
    )?;
    let found = against(&file, exclusive(0, 0))?;
    same("a reader", found, Some((F_RDLCK, 10, 10, me)))?;
    same("none", against(&file, shared(0, 0))?, None)
}

fn split(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let me = std::process::id() as i32;
    set(&file, exclusive(0, 100))?;
    set(&file, none(40, 20))?;
    same(
        "around a hole",
        locked(&file, &[0, 39, 40, 59, 60, 99, 100])?,
        vec![0, 39, 60, 99],
    )?;
    let found = against(&file, exclusive(0, 0))?;
    same("before it", found, Some((F_WRLCK, 0, 40, me)))?;
    let found = against(&file, exclusive(50, 0))?;
    same("behind it", found, Some((F_WRLCK, 60, 40, me)))?;
    set(&file, exclusive(40, 20))?;
    let found = against(&file, exclusive(99, 1))?;
    same("filled again", found, Some((F_WRLCK, 0, 100, me)))?;
    set(&file, none(0, 0))?;
    same("unlocked", against(&file, exclusive(0, 0))?, None)?;
    set(&file, exclusive(1 << 62, 0))?;
    let found = against(&file, exclusive(0, 0))?;
    same("far away", found, Some((F_WRLCK, 1 << 62, 0, me)))
}

fn convert(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 30))?;
    set(&file, shared(10, 10))?;
    let readable = |at| errno_in_child(|| set(&file, shared(at, 1)));
    same("before", readable(9)?, EAGAIN)?;
    same("inside", (readable(10)?, readable(19)?), (0, 0))?;
    same("behind", readable(20)?, EAGAIN)?;
    set(&file, exclusive(0, 30))?;
    same("back", readable(10)?, EAGAIN)
}

fn whence(path: &str) -> Result<(), Wrong> {
    let mut file = open(path)?;
    let from = |whence, start, length| Record {
        whence,
        ..exclusive(start, length)
    };
    file.seek(SeekFrom::Start(50))?;
    set(&file, from(SEEK_CUR, -5, 2))?;
    same(
        "from the offset",
        locked(&file, &[44, 45, 46, 47])?,
        vec![45, 46],
    )?;
    set(&file, from(SEEK_END, -1, 3))?;
    same(
        "from the end",
        locked(&file, &[98, 99, 100, 101, 102])?,
        vec![99, 100, 101],
    )?;
    set(&file, exclusive(20, -4))?;
    same("backwards", locked(&file, &[15, 16, 19, 20])?, vec![16, 19])
}

fn errors(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let reading = File::open(path)?;
    let writing = OpenOptions::new().write(true).open(path)?;
    fails(
        "writing a file open for reading",
        set(&reading, exclusive(0, 1)),
        EBADF,
    )?;
    fails(
        "reading a file open for writing",
        set(&writing, shared(0, 1)),
        EBADF,
    )?;
    fails("before the file", set(&file, exclusive(0, -1)), EINVAL)?;
    fails(
        "beyond all files",
        set(&file, exclusive(i64::MAX, 2)),
        EOVERFLOW,
    )?;
    fails("an unknown type", set(&file, Record::new(7, 0, 1)), EINVAL)?;
    let nowhere = Record {
        whence: 9,
        ..exclusive(0, 1)
    };
    fails("an unknown whence", set(&file, nowhere), EINVAL)?;
    fails(
        "no descriptor",
        record(999, F_SETLK, exclusive(0, 1)),
        EBADF,
    )?;
    for command in [F_SETLK, F_GETLK] {
        fails(
            "a bad pointer",
            record_nowhere(file.as_raw_fd(), command),
            EFAULT,
        )?;
    }
    let unlocked = record(file.as_raw_fd(), F_GETLK, none(0, 1));
    fails("testing for no lock", unlocked, EINVAL)?;
    same("nothing is locked", against(&file, exclusive(0, 0))?, None)
}

/// Any descriptor of the file that is closed takes the process's locks with it.
fn close(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 10))?;
    drop(open(path)?);
    same(
        "another open file closed",
        against(&file, exclusive(0, 0))?,
        None,
    )?;
    set(&file, exclusive(0, 10))?;
    drop(file.try_clone()?);
    same("a copy closed", against(&file, exclusive(0, 0))?, None)?;
    set(&file, exclusive(0, 10))?;
    let other = open(path)?;
    replace(fs::File::open("/dev/null")?.as_raw_fd(), other.as_raw_fd())?;
    same(
        "another one replaced",
        against(&file, exclusive(0, 0))?,
        None,
    )?;
    set(&file, exclusive(0, 10))?;
    drop(other);
    drop(File::open("/dev/null")?);
    same(
        "others closed",
        against(&file, exclusive(0, 0))?.is_some(),
        true,
    )
}

/// A child has none of its parent's locks; that it closes descriptors changes nothing.
fn fork(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 10))?;
    same(
        "a child",
        errno_in_child(|| set(&file, shared(5, 1)))?,
        EAGAIN,
    )?;
    let closing = errno_in_child(|| {
        drop(open(path)?);
        drop(file.try_clone()?);
        set(&file, none(0, 0))
    })?;
    same("a child that closes and unlocks", closing, 0)?;
    same(
        "is still locked",
        against(&file, exclusive(0, 0))?.is_some(),
        true,
    )
}

/// Locks end with their process, also if a child of it has the file open.
fn exit(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    same(
        "a child locks",
        errno_in_child(|| set(&file, exclusive(0, 10)))?,
        0,
    )?;
    set(&file, exclusive(0, 10))?;
    set(&file, none(0, 0))?;
    let (read, write) = fd::pipe()?;
    let (mut read, mut write) = (File::from(read), File::from(write));
    let (keep_read, keep_write) = fd::pipe()?;
    let child = start(|| {
        set(&file, exclusive(0, 10))?;
        // The grandchild lives until its standard input ends.
        start(|| {
            drop(keep_write);
            File::from(keep_read).read(&mut [0]).map(drop)
        })?;
        write.write_all(b"x")?;
        loop {
            std::thread::park();
        }
    })?;
    read.read_exact(&mut [0])?;
    same(
        "it is the child's",
        against(&file, shared(0, 1))?.map(|found| found.3),
        Some(child),
    )?;
    process::kill(child, SIGKILL)?;
    reap(child)?;
    set(&file, exclusive(0, 10))?;
    Ok(())
}

/// Locks stay with the process when its program changes.
fn exec(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let (out, child_out) = fd::pipe()?;
    let (child_in, input) = fd::pipe()?;
    let child = start(|| {
        set(&file, exclusive(0, 10))?;
        fd::Fd(0).replace_with(fd::Fd(child_in.as_raw_fd()))?;
        fd::Fd(1).replace_with(fd::Fd(child_out.as_raw_fd()))?;
        fd::Fd(child_in.as_raw_fd()).close();
        fd::Fd(input.as_raw_fd()).close();
        // Descriptors that Rust opens are closed by exec: this one must not be.
        let kept = crate::sys::lock::duplicate(file.as_raw_fd())?;
        set(&file, exclusive(0, 10))?;
        crate::sys::memory::control(file.as_raw_fd() as usize, libc::F_SETFD as usize, 0)?;
        crate::sys::memory::control(kept as usize, libc::F_SETFD as usize, 0)?;
        let arguments = ["sh", "-c", "echo x; read line"].map(std::ffi::OsString::from);
        process::exec("/bin/sh".as_ref(), &arguments, &[]).map(drop)
    })?;
    drop((child_out, child_in));
    File::from(out).read_exact(&mut [0])?;
    same(
        "after exec",
        against(&file, shared(0, 1))?.map(|found| found.3),
        Some(child),
    )?;
    drop(input);
    reap(child)?;
    same("after its end", against(&file, shared(0, 1))?, None)
}

/// One's own locks are never in the way.
fn own_test(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 10))?;
    let found = record(file.as_raw_fd(), F_GETLK, exclusive(3, 4))?;
    same("only the type changes", found, none(3, 4))
}
