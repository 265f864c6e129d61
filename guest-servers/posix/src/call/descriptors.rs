//! Calls on descriptors themselves: closing, copying, `fcntl`; and on open files as a whole: `fsync`, `getdents64`.

use super::{limits, locks};
use crate::server::{self, Channel};
use crate::state::{self, FILES, install};
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::slots::SLOT_SIZE;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file;
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::exchange;
use ferrix_rt::sys::utcb;
use linux_raw_sys::general as linux;

/// Linux's `O_LARGEFILE` is always on where `off_t` has 64 bits.
const LARGE_FILE: u64 = 0o100_000;
/// `linux/close_range.h`, which linux-raw-sys leaves out.
const CLOSE_RANGE_UNSHARE: u64 = 1 << 1;
const CLOSE_RANGE_CLOEXEC: u64 = 1 << 2;

pub fn close(frame: &mut Frame) -> Result<u64> {
    FILES.lock().close(frame.rdi).map(|()| 0)
}

pub fn close_range(frame: &mut Frame) -> Result<u64> {
    let [first, last, flags, ..] = frame.args();
    let (first, last) = (u64::from(first as u32), u64::from(last as u32));
    if first > last || flags & !(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut files = FILES.lock();
    let mut next = first;
    while let Some(fd) = files.table.find(next, |_| true).filter(|&fd| fd <= last) {
        if flags & CLOSE_RANGE_CLOEXEC != 0 {
            files.table.get_mut(fd)?.on_exec = OnExec::Close;
        } else {
            files.close(fd)?;
        }
        next = fd + 1;
    }
    Ok(0)
}

pub fn dup(frame: &mut Frame) -> Result<u64> {
    duplicate(frame.rdi, 0, OnExec::Keep)
}

fn duplicate(fd: u64, least: u64, on_exec: OnExec) -> Result<u64> {
    let descriptor = state::descriptor(fd)?;
    install(
        Descriptor {
            on_exec,
            ..descriptor
        },
        least,
    )
}

pub fn dup2(frame: &mut Frame) -> Result<u64> {
    let [old, new, ..] = frame.args();
    let new = u64::from(new as u32);
    if u64::from(old as u32) == new {
        return state::descriptor(old).map(|_| new);
    }
    replace(old, new, OnExec::Keep)
}

pub fn dup3(frame: &mut Frame) -> Result<u64> {
    let [old, new, flags, ..] = frame.args();
    let new = u64::from(new as u32);
    if u64::from(old as u32) == new || flags & !u64::from(linux::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    replace(old, new, OnExec::from_bit(flags, linux::O_CLOEXEC))
}

fn replace(old: u64, new: u64, on_exec: OnExec) -> Result<u64> {
    let limit = limits::current().descriptors();
    let mut files = FILES.lock();
    let descriptor = Descriptor {
        on_exec,
        ..files.table.get(old)?
    };
    if let Some(closed) = files.table.replace(new, descriptor, limit)? {
        files.closed(&closed);
    }
    Ok(new)
}

pub fn fcntl(frame: &mut Frame) -> Result<u64> {
    let [fd, command, argument, ..] = frame.args();
    let descriptor = state::descriptor(fd)?;
    let session = Handle(descriptor.handle);
    match command as u32 {
        linux::F_DUPFD | linux::F_DUPFD_CLOEXEC if argument >= limits::current().descriptors() => {
            Err(Errno::EINVAL)
        }
        linux::F_DUPFD => duplicate(fd, argument, OnExec::Keep),
        linux::F_DUPFD_CLOEXEC => duplicate(fd, argument, OnExec::Close),
        linux::F_GETFD if descriptor.on_exec == OnExec::Close => Ok(linux::FD_CLOEXEC.into()),
        linux::F_GETFD => Ok(0),
        linux::F_SETFD => {
            FILES.lock().table.get_mut(fd)?.on_exec = OnExec::from_bit(argument, linux::FD_CLOEXEC);
            Ok(0)
        }
        linux::F_GETFL => {
            server::ask(session, file::GET_FLAGS, [0; 3]).map(|answer| answer.words[0] | LARGE_FILE)
        }
        linux::F_SETFL => {
            let kept = argument & u64::from(linux::O_APPEND | linux::O_NONBLOCK);
            server::ask(session, file::SET_FLAGS, [kept, 0, 0]).map(|_| 0)
        }
        linux::F_GETLK | linux::F_SETLK | linux::F_SETLKW => {
            locks::record(session, command as u32, argument)
        }
        linux::F_OFD_GETLK | linux::F_OFD_SETLK | linux::F_OFD_SETLKW => {
            locks::record(session, command as u32, argument)
        }
        linux::F_GET_SEALS => {
            server::ask(session, file::GET_SEALS, [0; 3]).map(|answer| answer.words[0])
        }
        linux::F_ADD_SEALS => {
            let seals = u64::from(argument as u32);
            server::ask(session, file::ADD_SEALS, [seals, 0, 0]).map(|_| 0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `ioctl(FIONBIO)` as `fcntl` has it: reads the flags, changes one.
pub fn set_non_blocking(session: Handle, on: bool) -> Result<u64> {
    let flags = server::ask(session, file::GET_FLAGS, [0; 3])?.words[0];
    let (append, non_blocking) = (u64::from(linux::O_APPEND), u64::from(linux::O_NONBLOCK));
    let new = flags & append | if on { non_blocking } else { 0 };
    server::ask(session, file::SET_FLAGS, [new, 0, 0]).map(|_| 0)
}

pub fn fsync(frame: &mut Frame) -> Result<u64> {
    synchronise(frame.rdi, 0)
}

pub fn fdatasync(frame: &mut Frame) -> Result<u64> {
    synchronise(frame.rdi, 1)
}

fn synchronise(fd: u64, what: u64) -> Result<u64> {
    let session = Handle(state::descriptor(fd)?.handle);
    server::ask(session, file::SYNC, [what, 0, 0]).map(|_| 0)
}

/// Bytes of an entry with the longest name.
const LARGEST_ENTRY: u64 = 280;

pub fn getdents64(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, size, ..] = frame.args();
    let descriptor = state::descriptor(fd)?;
    if !descriptor.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    // Entries that have been read are not read again: the buffer has to be there before.
    let size = u64::from(size as u32).min(SLOT_SIZE);
    let room = user::writable(buffer, size);
    if room < size.min(LARGEST_ENTRY) {
        return Err(Errno::EFAULT);
    }
    let session = Handle(descriptor.handle);
    match server::channel(fd, &descriptor, room)? {
        Channel::Inline => {
            let room = room.min(LONG_MAX as u64) as usize;
            let answer = server::ask_room(session, file::READ_DIRECTORY, [0; 3], room)?;
            let (bytes, length) = utcb::received_bytes(answer.bytes);
            user::write_bytes(buffer, &bytes[..length])?;
            Ok(length as u64)
        }
        Channel::Window(slot) => {
            let head = Head::new(file::READ_DIRECTORY, Place::WINDOW, room as u32);
            let got = exchange(session, Tag::SHORT, head, [0, 0, slot.offset()])?
                .value
                .min(room);
            slot.copy_to_program(0, buffer, got)?;
            Ok(got)
        }
    }
}
