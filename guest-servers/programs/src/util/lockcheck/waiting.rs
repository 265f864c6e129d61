//! Waiting for record locks: until they come free, until a signal comes, and not at all where it would never end.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::{
    anywhere, errno_in_child, everywhere, exclusive, none, open, reap, set, shared, start, wait_for,
};
use crate::sys::fd;
use crate::sys::lock::{Shared, alarm_every};
use crate::sys::process::{self, Change};
use crate::sys::signal;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{EAGAIN, EDEADLK, EINTR, SIGALRM, SIGKILL};

pub const CHECKS: &[(&str, Check)] = &[
    ("wait.unlock", || everywhere(unlock)),
    ("wait.end", || everywhere(end)),
    ("wait.many", || anywhere(many)),
    ("wait.signal", || everywhere(interrupted)),
    ("wait.killed", || everywhere(killed)),
    ("wait.deadlock", || anywhere(deadlock)),
    ("wait.ring", || anywhere(ring)),
    ("wait.counter", || anywhere(counter)),
];

/// The lock comes when it is free, not before.
fn unlock(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let freed = Shared::new()?;
    set(&file, exclusive(0, 10))?;
    let child = start(|| {
        wait_for(&file, exclusive(5, 10))?;
        early_unless(freed.get() == 1)
    })?;
    // Part of the way does not do.
    set(&file, none(0, 6))?;
    same(
        "the rest",
        errno_in_child(|| set(&file, shared(7, 1)))?,
        EAGAIN,
    )?;
    freed.set(1);
    set(&file, none(0, 0))?;
    same("the child", reap(child)?, Change::Exited(0))
}

fn early_unless(right: bool) -> io::Result<()> {
    right.then_some(()).ok_or(io::Error::from_raw_os_error(254))
}

/// The holder's death frees it.
fn end(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let (read, write) = fd::pipe()?;
    let child = start(|| {
        set(&file, exclusive(0, 10))?;
        drop(write);
        loop {
            std::thread::park();
        }
    })?;
    std::fs::File::from(read)
        .read_to_end(&mut Vec::new())
        .map(drop)?;
    let waiting = start(|| wait_for(&file, exclusive(0, 10)))?;
    process::kill(child, SIGKILL)?;
    let mut ends = vec![
        process::wait(process::Patience::Block)?,
        process::wait(process::Patience::Block)?,
    ];
    ends.sort_by_key(|end| end.map(|(pid, _)| pid != child));
    let expected = vec![
        Some((child, Change::Killed(SIGKILL))),
        Some((waiting, Change::Exited(0))),
    ];
    same("both children", ends, expected)
}

/// Many wait for one; all get it.
fn many(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 0))?;
    let readers = (0..4).map(|at| start(|| wait_for(&file, shared(at, 50))));
    let mut children = readers.collect::<io::Result<Vec<_>>>()?;
    for at in 0..4 {
        children.push(start(|| wait_for(&file, exclusive(at, 50)))?);
    }
    set(&file, none(0, 0))?;
    for _ in children {
        let ended = process::wait(process::Patience::Block)?;
        same(
            "a child",
            ended.map(|(_, change)| change),
            Some(Change::Exited(0)),
        )?;
    }
    Ok(())
}

fn interrupted(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 10))?;
    let ended = errno_in_child(|| {
        signal::catch(SIGALRM)?;
        alarm_every(Duration::from_millis(5))?;
        wait_for(&file, exclusive(0, 10))
    })?;
    same("a signal while waiting", ended, EINTR)?;
    is_free_without_us("it waits no more", &file)
}

/// Who is killed while waiting does not get it later.
fn killed(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    set(&file, exclusive(0, 10))?;
    let child = start(|| wait_for(&file, exclusive(0, 10)))?;
    process::kill(child, SIGKILL)?;
    same("killed", reap(child)?, Change::Killed(SIGKILL))?;
    is_free_without_us("it is free", &file)
}

/// Another process gets the lock once this one has given it back.
fn is_free_without_us(what: &'static str, file: &File) -> Result<(), Wrong> {
    set(file, none(0, 0))?;
    let taken = errno_in_child(|| set(file, exclusive(0, 10)))?;
    same(what, taken, 0)
}

/// Two that wait for each other: one of them is told.
fn deadlock(path: &str) -> Result<(), Wrong> {
    let file = open(path)?;
    let (read, write) = fd::pipe()?;
    set(&file, exclusive(0, 1))?;
    let child = start(|| {
        set(&file, exclusive(1, 1))?;
        drop(write);
        wait_for(&file, exclusive(0, 1))
    })?;
    std::fs::File::from(read)
        .read_to_end(&mut Vec::new())
        .map(drop)?;
    let mine = wait_for(&file, exclusive(1, 1));
    set(&file, none(0, 0))?;
    match reap(child)? {
        Change::Exited(EDEADLK) => Ok(mine?),
        Change::Exited(0) => fails("the second wait", mine, EDEADLK),
        other => same("the child", other, Change::Exited(EDEADLK)),
    }
}

/// The same in a ring of four.
fn ring(path: &str) -> Result<(), Wrong> {
    const COUNT: i64 = 4;
    let file = open(path)?;
    let (read, write) = fd::pipe()?;
    let mut write = Some(write);
    let (go, may_go) = fd::pipe()?;
    let mut may_go = Some(may_go);
    for at in 0..COUNT {
        start(|| {
            set(&file, exclusive(at, 1))?;
            drop((write.take(), may_go.take()));
            // Until all have theirs.
            std::fs::File::from(go.try_clone()?)
                .read_to_end(&mut Vec::new())
                .map(drop)?;
            wait_for(&file, exclusive((at + 1) % COUNT, 1))
        })?;
    }
    drop(write);
    std::fs::File::from(read)
        .read_to_end(&mut Vec::new())
        .map(drop)?;
    drop(may_go);
    let mut deadlocks = 0;
    for _ in 0..COUNT {
        match process::wait(process::Patience::Block)? {
            Some((_, Change::Exited(EDEADLK))) => deadlocks += 1,
            other => same(
                "a child",
                other.map(|(_, change)| change),
                Some(Change::Exited(0)),
            )?,
        }
    }
    same("who was told", deadlocks, 1)
}

/// A number in the file that four processes count up, under a lock.
fn counter(path: &str) -> Result<(), Wrong> {
    const ROUNDS: u32 = 40;
    let file = open(path)?;
    file.write_all_at(&0u32.to_le_bytes(), 0)?;
    for _ in 0..4 {
        start(|| {
            for _ in 0..ROUNDS {
                wait_for(&file, exclusive(0, 4))?;
                let mut bytes = [0; 4];
                file.read_exact_at(&mut bytes, 0)?;
                file.write_all_at(&(u32::from_le_bytes(bytes) + 1).to_le_bytes(), 0)?;
                set(&file, none(0, 4))?;
            }
            Ok(())
        })?;
    }
    for _ in 0..4 {
        let ended = process::wait(process::Patience::Block)?;
        same(
            "a child",
            ended.map(|(_, change)| change),
            Some(Change::Exited(0)),
        )?;
    }
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, 0)?;
    same("the number", u32::from_le_bytes(bytes), 4 * ROUNDS)
}
