//! `lockcheck [NAME]...`: what POSIX and Linux say of `fcntl`'s record locks and of `flock`. It runs on Linux too, where
//! every check must hold as well.

mod description;
mod record;
mod waiting;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use super::memcheck::{Check, Wrong, checks};
use crate::cx::{Cx, Outcome};
use crate::sys::fd;
use crate::sys::lock::{Record, record};
use crate::sys::memory::in_child;
use crate::sys::process::{self, Change, Fork, Pid, reap};
use libc::{F_RDLCK, F_UNLCK, F_WRLCK};

const GROUPS: &[&[(&str, Check)]] = &[record::CHECKS, waiting::CHECKS, description::CHECKS];

/// Where files are in memory, and where they are not, on Ferrix at least.
const PLACES: [&str; 2] = ["/dev/shm", "/tmp"];

/// `lockcheck [NAME]...`: the checks whose names begin so; all without a name.
pub fn run(cx: &mut Cx) -> Outcome {
    checks(cx, GROUPS)
}

/// Does a check on a file in memory and on one of the disk, which different servers keep.
fn everywhere(check: fn(&str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    in_places(&PLACES, check)
}

/// Does a check in one place: of what the servers have in common.
fn anywhere(check: fn(&str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    in_places(&PLACES[1..], check)
}

fn in_places(places: &[&str], check: fn(&str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    for place in places {
        let path = format!("{place}/lockcheck-{}", std::process::id());
        fs::write(&path, [b'-'; 100])?;
        let result = check(&path);
        fs::remove_file(&path)?;
        result.map_err(|wrong| wrong.at(place))?;
    }
    Ok(())
}

fn open(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// A lock for writing on `length` bytes from `start` on.
const fn exclusive(start: i64, length: i64) -> Record {
    Record::new(F_WRLCK, start, length)
}

/// A lock for reading.
const fn shared(start: i64, length: i64) -> Record {
    Record::new(F_RDLCK, start, length)
}

/// No lock.
const fn none(start: i64, length: i64) -> Record {
    Record::new(F_UNLCK, start, length)
}

/// `F_SETLK`.
fn set(file: &File, asked: Record) -> io::Result<()> {
    record(file.as_raw_fd(), libc::F_SETLK, asked).map(drop)
}

/// `F_SETLKW`.
fn wait_for(file: &File, asked: Record) -> io::Result<()> {
    record(file.as_raw_fd(), libc::F_SETLKW, asked).map(drop)
}

/// A lock that another process finds: type, first byte, length, owner.
type Found = Option<(i32, i64, i64, Pid)>;

/// What another process finds against a lock.
fn against(file: &File, asked: Record) -> io::Result<Found> {
    let found = against_each(file, &[asked])?;
    found
        .into_iter()
        .next()
        .ok_or(io::ErrorKind::InvalidData.into())
}

/// The same for several.
fn against_each(file: &File, asked: &[Record]) -> io::Result<Vec<Found>> {
    let (read, write) = fd::pipe()?;
    let mut write = File::from(write);
    let child = start(|| {
        for &asked in asked {
            let found = record(file.as_raw_fd(), libc::F_GETLK, asked)?;
            let Record { kind, pid, .. } = found;
            writeln!(write, "{kind} {} {} {pid}", found.start, found.length)?;
        }
        Ok(())
    })?;
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text)?;
    reap(child)?;
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> io::Result<Found> {
    let mut numbers = line
        .split(' ')
        .map_while(|number| number.parse::<i64>().ok());
    let mut next = || numbers.next().ok_or(io::ErrorKind::InvalidData);
    let (kind, start, length, owner) = (next()?, next()?, next()?, next()?);
    let found = (kind as i32, start, length, owner as Pid);
    Ok((found.0 != F_UNLCK).then_some(found))
}

/// The bytes of those given that another process cannot lock for writing.
fn locked(file: &File, bytes: &[i64]) -> io::Result<Vec<i64>> {
    let asked: Vec<Record> = bytes.iter().map(|&at| exclusive(at, 1)).collect();
    let found = against_each(file, &asked)?.into_iter();
    Ok(bytes
        .iter()
        .zip(found)
        .filter_map(|(&at, found)| found.map(|_| at))
        .collect())
}

/// A child whose body fails with an errno, or not (0).
pub(super) fn errno_in_child(body: impl FnOnce() -> io::Result<()>) -> io::Result<i32> {
    let ended =
        in_child(|| body().map_or_else(|error| error.raw_os_error().unwrap_or(255), |()| 0))?;
    match ended {
        Change::Exited(errno) => Ok(errno),
        _ => Err(io::ErrorKind::Interrupted.into()),
    }
}

/// Starts a child; its status is 0 if `body` succeeds.
pub(super) fn start(body: impl FnOnce() -> io::Result<()>) -> io::Result<Pid> {
    match process::fork()? {
        Fork::Child => {
            let errno = body().map_or_else(|error| error.raw_os_error().unwrap_or(255), |()| 0);
            process::exit(errno)
        }
        Fork::Parent(pid) => Ok(pid),
    }
}
