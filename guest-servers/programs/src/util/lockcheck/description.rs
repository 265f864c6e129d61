//! Locks of open file descriptions: `F_OFD_SETLK` and `flock`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::{
    against, anywhere, errno_in_child, everywhere, exclusive, none, open, reap, set, shared, start,
};
use crate::sys::lock::{Record, Shared, record, whole};
use crate::sys::process::Change;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{
    EAGAIN, EBADF, EINVAL, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_WRLCK, LOCK_EX, LOCK_NB,
    LOCK_SH, LOCK_UN,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("ofd.owner", || everywhere(owner)),
    ("ofd.close", || everywhere(close)),
    ("ofd.wait", || everywhere(wait)),
    ("ofd.errors", || anywhere(errors)),
    ("flock.owner", || everywhere(flock_owner)),
    ("flock.change", || anywhere(flock_change)),
    ("flock.wait", || everywhere(flock_wait)),
    ("flock.other_kind", || anywhere(flock_other_kind)),
    ("flock.errors", || anywhere(flock_errors)),
    ("flock.directory", flock_directory),
];

fn set_own(file: &File, asked: Record) -> io::Result<()> {
    record(file.as_raw_fd(), F_OFD_SETLK, asked).map(drop)
}

/// Two open files of one process stand against each other; so do its record locks.
fn owner(path: &str) -> Result<(), Wrong> {
    let (one, two) = (open(path)?, open(path)?);
    set_own(&one, exclusive(0, 10))?;
    fails("another open file", set_own(&two, shared(5, 1)), EAGAIN)?;
    fails("the process", set(&one, shared(5, 1)), EAGAIN)?;
    let found = record(two.as_raw_fd(), F_OFD_GETLK, shared(0, 0))?;
    let expected = Record {
        pid: -1,
        ..exclusive(0, 10)
    };
    same("what is against", found, expected)?;
    let seen = against(&one, shared(0, 0))?;
    same("for a process", seen, Some((F_WRLCK, 0, 10, -1)))?;
    let child = errno_in_child(|| set_own(&one, none(0, 5)))?;
    same("a child shares it", child, 0)?;
    set_own(&two, exclusive(0, 5))?;
    Ok(())
}

/// It ends with the last descriptor of the description, no earlier.
fn close(path: &str) -> Result<(), Wrong> {
    let (one, two) = (open(path)?, open(path)?);
    set_own(&one, exclusive(0, 10))?;
    drop(open(path)?);
    let copy = one.try_clone()?;
    drop(one);
    fails("a copy is left", set_own(&two, shared(0, 1)), EAGAIN)?;
    drop(copy);
    set_own(&two, shared(0, 1))?;
    Ok(())
}

fn wait(path: &str) -> Result<(), Wrong> {
    let (file, freed) = (open(path)?, Shared::new()?);
    set_own(&file, exclusive(0, 10))?;
    let child = start(|| {
        let other = open(path)?;
        record(other.as_raw_fd(), F_OFD_SETLKW, exclusive(0, 1))?;
        seen(&freed)
    })?;
    freed.set(1);
    set_own(&file, none(0, 0))?;
    same("the child", reap(child)?, Change::Exited(0))
}

/// Whether the other side said that it gives the lock up.
fn seen(freed: &Shared) -> io::Result<()> {
    (freed.get() == 1)
        .then_some(())
        .ok_or(io::Error::from_raw_os_error(254))
}

fn errors(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let named = Record {
        pid: 1,
        ..exclusive(0, 1)
    };
    fails("somebody's", set_own(&file, named), EINVAL)?;
    fails(
        "reading only",
        set_own(&File::open(path)?, exclusive(0, 1)),
        EBADF,
    )
}

const NOW: i32 = LOCK_NB;

fn flock_owner(path: &str) -> Result<(), Wrong> {
    let (one, two) = (open(path)?, File::open(path)?);
    let (first, second) = (one.as_raw_fd(), two.as_raw_fd());
    whole(first, LOCK_EX)?;
    fails("another open file", whole(second, LOCK_SH | NOW), EAGAIN)?;
    whole(first, LOCK_EX | NOW)?;
    let copy = one.try_clone()?;
    drop(one);
    fails("a copy is left", whole(second, LOCK_EX | NOW), EAGAIN)?;
    let child = errno_in_child(|| whole(copy.as_raw_fd(), LOCK_UN))?;
    same("a child unlocks", child, 0)?;
    whole(second, LOCK_EX | NOW)?;
    drop(two);
    whole(copy.as_raw_fd(), LOCK_EX | NOW)?;
    Ok(())
}

fn flock_change(path: &str) -> Result<(), Wrong> {
    let (one, two) = (open(path)?, open(path)?);
    let (first, second) = (one.as_raw_fd(), two.as_raw_fd());
    whole(first, LOCK_SH)?;
    whole(second, LOCK_SH | NOW)?;
    fails("more than shared", whole(first, LOCK_EX | NOW), EAGAIN)?;
    // As on Linux: who asks for more gives up what it had.
    whole(second, LOCK_EX | NOW)?;
    whole(second, LOCK_SH | NOW)?;
    whole(first, LOCK_SH | NOW)?;
    whole(first, LOCK_UN)?;
    whole(first, LOCK_UN)?;
    Ok(())
}

fn flock_wait(path: &str) -> Result<(), Wrong> {
    let (file, freed) = (open(path)?, Shared::new()?);
    whole(file.as_raw_fd(), LOCK_EX)?;
    let child = start(|| {
        whole(open(path)?.as_raw_fd(), LOCK_SH)?;
        seen(&freed)
    })?;
    freed.set(1);
    whole(file.as_raw_fd(), LOCK_UN)?;
    same("the child", reap(child)?, Change::Exited(0))
}

/// The two kinds of locks know nothing of each other.
fn flock_other_kind(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    whole(file.as_raw_fd(), LOCK_EX)?;
    same(
        "record locks",
        errno_in_child(|| set(&file, exclusive(0, 0)))?,
        0,
    )?;
    drop(open(path)?);
    let other = open(path)?;
    fails(
        "closing another",
        whole(other.as_raw_fd(), LOCK_SH | NOW),
        EAGAIN,
    )
}

fn flock_errors(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    fails("nothing", whole(file.as_raw_fd(), 0), EINVAL)?;
    fails("both", whole(file.as_raw_fd(), LOCK_SH | LOCK_EX), EINVAL)?;
    fails("no descriptor", whole(999, LOCK_SH), EBADF)
}

fn flock_directory() -> Result<(), Wrong> {
    let (one, two) = (File::open("/tmp")?, File::open("/tmp")?);
    whole(one.as_raw_fd(), LOCK_EX)?;
    fails(
        "another open file",
        whole(two.as_raw_fd(), LOCK_SH | NOW),
        EAGAIN,
    )?;
    drop(one);
    whole(two.as_raw_fd(), LOCK_SH | NOW)?;
    Ok(())
}
