//! What is known of files, and changing it: the `stat` family, permissions, owners, times, sizes, `access`.

use super::limits;
use super::names::{self, CWD, name};
use crate::server::{self, received};
use crate::{state, user};
use ferrix_abi::handle::Handle;
use ferrix_posix::attributes::{fill_statfs, fill_statx, to_stat};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo, Plain};
use ferrix_proto::file::{allocate, kind};
use ferrix_proto::path::lookup;
use ferrix_proto::{file, path};
use linux_raw_sys::general::{
    __kernel_old_timeval as timeval, __kernel_timespec as timespec, AT_EACCESS, AT_EMPTY_PATH,
    AT_SYMLINK_NOFOLLOW, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, UTIME_NOW, UTIME_OMIT,
    statfs as Statfs, statx as Statx,
};

const NS: i64 = 1_000_000_000;

/// What a call is about.
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one call; there is no heap to box it in"
)]
enum Subject {
    /// An open file.
    Open(Handle),
    /// A name with [`lookup`] flags.
    Named(names::Name, u64),
}

fn open_file(fd: u64) -> Result<Subject> {
    Ok(Subject::Open(Handle(state::descriptor(fd)?.handle)))
}

/// The file of an `*at` call; an empty path means the descriptor if `AT_EMPTY_PATH` is set.
fn subject(directory: u64, path: u64, flags: u64) -> Result<Subject> {
    if flags & u64::from(AT_EMPTY_PATH) != 0 && (path == 0 || names::is_empty(path)?) {
        return if directory as i32 == CWD as i32 {
            Ok(Subject::Open(state::directory(directory)?))
        } else {
            open_file(directory)
        };
    }
    let follow = if flags & u64::from(AT_SYMLINK_NOFOLLOW) != 0 {
        lookup::NO_FOLLOW
    } else {
        0
    };
    Ok(Subject::Named(name(directory, path)?, follow))
}

impl Subject {
    fn attributes(&self) -> Result<Attributes> {
        let answer = match self {
            Subject::Open(session) => server::ask(*session, file::GET_ATTRIBUTES, [0; 3]),
            Subject::Named(name, flags) => name.ask(path::GET_ATTRIBUTES, [*flags, 0]),
        };
        received(&answer?)
    }

    fn change(self, change: Change, attributes: &Attributes) -> Result<u64> {
        let bits = u64::from(change.bits());
        match self {
            Subject::Open(session) => {
                server::ask_with(
                    session,
                    file::SET_ATTRIBUTES,
                    [bits, 0, 0],
                    attributes.to_bytes(),
                )?;
            }
            Subject::Named(name, flags) => {
                let payload = name.payload.with_front(attributes.to_bytes())?;
                payload.send(name.start, path::SET_ATTRIBUTES, [bits | flags << 32, 0], 0)?;
            }
        }
        Ok(0)
    }
}

fn store_stat(subject: &Subject, place: u64) -> Result<u64> {
    user::write(place, &to_stat(&subject.attributes()?)).map(|()| 0)
}

pub fn stat(frame: &mut Frame) -> Result<u64> {
    let [path, place, ..] = frame.args();
    store_stat(&subject(CWD, path, 0)?, place)
}

pub fn lstat(frame: &mut Frame) -> Result<u64> {
    let [path, place, ..] = frame.args();
    store_stat(&subject(CWD, path, AT_SYMLINK_NOFOLLOW.into())?, place)
}

pub fn fstat(frame: &mut Frame) -> Result<u64> {
    let [fd, place, ..] = frame.args();
    store_stat(&open_file(fd)?, place)
}

pub fn newfstatat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, place, flags, ..] = frame.args();
    store_stat(&subject(directory, path, flags)?, place)
}

pub fn statx(frame: &mut Frame) -> Result<u64> {
    let [directory, path, flags, _, place, _] = frame.args();
    let mut result: Statx = user::zeroed();
    fill_statx(&subject(directory, path, flags)?.attributes()?, &mut result);
    user::write(place, &result).map(|()| 0)
}

pub fn access(frame: &mut Frame) -> Result<u64> {
    let [path, mode, ..] = frame.args();
    check_access(CWD, path, mode, 0)
}

/// `faccessat` has no flags (the C library adds them).
pub fn faccessat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, mode, ..] = frame.args();
    check_access(directory, path, mode, 0)
}

pub fn faccessat2(frame: &mut Frame) -> Result<u64> {
    let [directory, path, mode, flags, ..] = frame.args();
    check_access(directory, path, mode, flags)
}

fn check_access(directory: u64, path: u64, mode: u64, flags: u64) -> Result<u64> {
    let effective = if flags & u64::from(AT_EACCESS) != 0 {
        lookup::EFFECTIVE
    } else {
        0
    };
    match subject(directory, path, flags)? {
        Subject::Named(name, follow) => {
            let words = [u64::from(mode as u32) | (follow | effective) << 32, 0];
            name.ask(path::ACCESS, words).map(|_| 0)
        }
        // Of an open file only its existence is asked here: what it was opened for is checked on use.
        open => open.attributes().map(|_| 0),
    }
}

pub fn chmod(frame: &mut Frame) -> Result<u64> {
    let [path, mode, ..] = frame.args();
    set_mode(subject(CWD, path, 0)?, mode)
}

pub fn fchmod(frame: &mut Frame) -> Result<u64> {
    let [fd, mode, ..] = frame.args();
    set_mode(open_file(fd)?, mode)
}

/// `fchmodat` has no flags; `fchmodat2` has them as the fourth argument.
pub fn fchmodat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, mode, ..] = frame.args();
    set_mode(subject(directory, path, 0)?, mode)
}

pub fn fchmodat2(frame: &mut Frame) -> Result<u64> {
    let [directory, path, mode, flags, ..] = frame.args();
    set_mode(subject(directory, path, flags)?, mode)
}

fn set_mode(subject: Subject, mode: u64) -> Result<u64> {
    let attributes = Attributes {
        mode: mode as u32 & 0o7777,
        ..Attributes::default()
    };
    subject.change(Change::MODE, &attributes)
}

pub fn chown(frame: &mut Frame) -> Result<u64> {
    let [path, uid, gid, ..] = frame.args();
    set_owner(subject(CWD, path, 0)?, uid, gid)
}

pub fn lchown(frame: &mut Frame) -> Result<u64> {
    let [path, uid, gid, ..] = frame.args();
    set_owner(subject(CWD, path, AT_SYMLINK_NOFOLLOW.into())?, uid, gid)
}

pub fn fchown(frame: &mut Frame) -> Result<u64> {
    let [fd, uid, gid, ..] = frame.args();
    set_owner(open_file(fd)?, uid, gid)
}

pub fn fchownat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, uid, gid, flags, _] = frame.args();
    set_owner(subject(directory, path, flags)?, uid, gid)
}

fn set_owner(subject: Subject, uid: u64, gid: u64) -> Result<u64> {
    let (uid, gid) = (uid as u32, gid as u32);
    let mut change = Change::empty();
    change.set(Change::UID, uid != u32::MAX);
    change.set(Change::GID, gid != u32::MAX);
    subject.change(
        change,
        &Attributes {
            uid,
            gid,
            ..Attributes::default()
        },
    )
}

pub fn truncate(frame: &mut Frame) -> Result<u64> {
    let [path, size, ..] = frame.args();
    set_size(subject(CWD, path, 0)?, size)
}

pub fn ftruncate(frame: &mut Frame) -> Result<u64> {
    let [fd, size, ..] = frame.args();
    set_size(open_file(fd)?, size)
}

fn set_size(subject: Subject, size: u64) -> Result<u64> {
    if (size as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    limits::check_file_size(size, || Ok(subject.attributes()?.size))?;
    subject.change(
        Change::SIZE,
        &Attributes {
            size,
            ..Attributes::default()
        },
    )
}

/// `fallocate`: room for bytes, or a hole instead of them.
pub fn fallocate(frame: &mut Frame) -> Result<u64> {
    let [fd, mode, start, length, ..] = frame.args();
    let descriptor = state::descriptor(fd)?;
    if (start as i64) < 0 || length as i64 <= 0 {
        return Err(Errno::EINVAL);
    }
    let how = match mode as u32 {
        0 => allocate::GROW,
        FALLOC_FL_KEEP_SIZE => allocate::KEEP_SIZE,
        mode if mode == FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE => allocate::PUNCH,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    match u64::from(descriptor.kind) {
        kind::REGULAR => {}
        kind::DIRECTORY => return Err(Errno::EBADF),
        kind::PIPE => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    }
    let end = start + length;
    if i64::try_from(end).is_err() {
        return Err(Errno::EFBIG);
    }
    if how == allocate::GROW {
        limits::check_file_size(end, || Ok(open_file(fd)?.attributes()?.size))?;
    }
    let session = Handle(descriptor.handle);
    server::ask(session, file::ALLOCATE, [start, length, how]).map(|_| 0)
}

/// The two times of `utimensat`.
#[derive(Clone, Copy)]
enum Time {
    Now,
    Keep,
    At(i64),
}

impl Time {
    fn from_timespec(time: timespec) -> Result<Time> {
        match u32::try_from(time.tv_nsec) {
            Ok(UTIME_NOW) => Ok(Time::Now),
            Ok(UTIME_OMIT) => Ok(Time::Keep),
            Ok(ns) if i64::from(ns) < NS => Ok(Time::At(
                time.tv_sec.saturating_mul(NS).saturating_add(ns.into()),
            )),
            _ => Err(Errno::EINVAL),
        }
    }

    fn from_timeval(time: timeval) -> Result<Time> {
        if !(0..1_000_000).contains(&time.tv_usec) {
            return Err(Errno::EINVAL);
        }
        Ok(Time::At(
            time.tv_sec
                .saturating_mul(NS)
                .saturating_add(time.tv_usec * 1000),
        ))
    }
}

fn set_times(subject: Subject, [accessed, modified]: [Time; 2]) -> Result<u64> {
    let mut change = Change::empty();
    let mut attributes = Attributes::default();
    match accessed {
        Time::Now => change |= Change::ACCESSED_NOW,
        Time::At(time) => (change, attributes.accessed) = (change | Change::ACCESSED, time),
        Time::Keep => {}
    }
    match modified {
        Time::Now => change |= Change::MODIFIED_NOW,
        Time::At(time) => (change, attributes.modified) = (change | Change::MODIFIED, time),
        Time::Keep => {}
    }
    subject.change(change, &attributes)
}

pub fn utimensat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, times, flags, ..] = frame.args();
    let times = match user::read_optional::<[timespec; 2]>(times)? {
        Some([accessed, modified]) => [
            Time::from_timespec(accessed)?,
            Time::from_timespec(modified)?,
        ],
        None => [Time::Now; 2],
    };
    set_times(timed(directory, path, flags)?, times)
}

/// A null path is the descriptor itself; the working directory is none.
fn timed(directory: u64, path: u64, flags: u64) -> Result<Subject> {
    if path == 0 && directory as i32 != CWD as i32 {
        open_file(directory)
    } else {
        subject(directory, path, flags)
    }
}

pub fn futimesat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, times, ..] = frame.args();
    let times = timevals(times)?;
    set_times(timed(directory, path, 0)?, times)
}

pub fn utimes(frame: &mut Frame) -> Result<u64> {
    let [path, times, ..] = frame.args();
    set_times(subject(CWD, path, 0)?, timevals(times)?)
}

fn timevals(place: u64) -> Result<[Time; 2]> {
    match user::read_optional::<[timeval; 2]>(place)? {
        Some([accessed, modified]) => {
            Ok([Time::from_timeval(accessed)?, Time::from_timeval(modified)?])
        }
        None => Ok([Time::Now; 2]),
    }
}

/// `utime`: two times in seconds.
pub fn utime(frame: &mut Frame) -> Result<u64> {
    let [path, times, ..] = frame.args();
    let times = match user::read_optional::<[u64; 2]>(times)? {
        Some(seconds) => seconds.map(|seconds| Time::At((seconds as i64).saturating_mul(NS))),
        None => [Time::Now; 2],
    };
    set_times(subject(CWD, path, 0)?, times)
}

pub fn statfs(frame: &mut Frame) -> Result<u64> {
    let [path, place, ..] = frame.args();
    let answer = name(CWD, path)?.ask(path::FILESYSTEM_INFO, [0, 0])?;
    store_statfs(&received(&answer)?, place)
}

pub fn fstatfs(frame: &mut Frame) -> Result<u64> {
    let [fd, place, ..] = frame.args();
    let session = Handle(state::descriptor(fd)?.handle);
    let answer = server::ask(session, file::FILESYSTEM_INFO, [0; 3])?;
    store_statfs(&received(&answer)?, place)
}

fn store_statfs(info: &FilesystemInfo, place: u64) -> Result<u64> {
    let mut result: Statfs = user::zeroed();
    fill_statfs(info, &mut result);
    user::write(place, &result).map(|()| 0)
}
