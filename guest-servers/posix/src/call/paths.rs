//! Calls on names: opening, making, removing, renaming, links, directories.

use super::names::{self, CWD, Name, Payload, name};
use crate::state::{self, FILES, install};
use crate::{server, user};
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::{kind, seal};
use ferrix_proto::path;
use ferrix_rt::client::Answer;
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::{
    self as linux, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_NONBLOCK,
    O_PATH, O_TRUNC, O_WRONLY, RENAME_EXCHANGE, RENAME_NOREPLACE, S_IFMT,
};

/// Longest name of a memory file, which has no other use than `/proc`.
const MEMFD_NAME_MAX: u64 = 249;
/// `linux/memfd.h`, newer than linux-raw-sys.
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;

fn masked(mode: u64) -> u64 {
    mode & 0o7777 & !u64::from(FILES.lock().umask)
}

pub fn open(frame: &mut Frame) -> Result<u64> {
    let [path, flags, mode, ..] = frame.args();
    open_at(CWD, path, flags, mode)
}

pub fn creat(frame: &mut Frame) -> Result<u64> {
    let [path, mode, ..] = frame.args();
    open_at(CWD, path, u64::from(O_CREAT | O_WRONLY | O_TRUNC), mode)
}

pub fn openat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, flags, mode, ..] = frame.args();
    open_at(directory, path, flags, mode)
}

fn open_at(directory: u64, path: u64, flags: u64, mode: u64) -> Result<u64> {
    let name = name(directory, path)?;
    let words = [u64::from(flags as u32) | masked(mode) << 32, 0];
    let answer = name
        .payload
        .send(name.start, path::OPEN, words, Tag::INTERRUPTIBLE);
    let (handle, kind) = opened(&answer.map_err(Errno::restartable)?)?;
    install(
        Descriptor::new(handle.0, kind, OnExec::from_bit(flags, O_CLOEXEC)),
        0,
    )
}

/// The session and kind in an answer to `OPEN`.
pub fn opened(answer: &Answer) -> Result<(Handle, u64)> {
    server::expect_handles(answer, 1)?;
    Ok((utcb::received_handle(0), answer.words[0]))
}

/// A directory's session, for `chdir`.
fn open_directory(path: u64) -> Result<Handle> {
    let name = name(CWD, path)?;
    let answer = name.ask(path::OPEN, [u64::from(O_PATH | O_DIRECTORY), 0])?;
    opened(&answer).map(|(handle, _)| handle)
}

pub fn chdir(frame: &mut Frame) -> Result<u64> {
    let handle = open_directory(frame.rdi)?;
    FILES.lock().set_cwd(handle);
    Ok(0)
}

pub fn fchdir(frame: &mut Frame) -> Result<u64> {
    let descriptor = state::descriptor(frame.rdi)?;
    if !descriptor.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    FILES.lock().set_cwd(Handle(descriptor.handle));
    Ok(0)
}

pub fn chroot(frame: &mut Frame) -> Result<u64> {
    let answer = name(CWD, frame.rdi)?.ask(path::MAKE_ROOT, [0, 0])?;
    server::expect_handles(&answer, 1)?;
    FILES.lock().set_root(utcb::received_handle(0));
    Ok(0)
}

pub fn mkdir(frame: &mut Frame) -> Result<u64> {
    let [path, mode, ..] = frame.args();
    make_directory(CWD, path, mode)
}

pub fn mkdirat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, mode, ..] = frame.args();
    make_directory(directory, path, mode)
}

fn make_directory(directory: u64, path: u64, mode: u64) -> Result<u64> {
    name(directory, path)?
        .ask(path::MAKE_DIRECTORY, [masked(mode), 0])
        .map(|_| 0)
}

pub fn mknod(frame: &mut Frame) -> Result<u64> {
    let [path, mode, device, ..] = frame.args();
    make_node(CWD, path, mode, device)
}

pub fn mknodat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, mode, device, ..] = frame.args();
    make_node(directory, path, mode, device)
}

fn make_node(directory: u64, path: u64, mode: u64, device: u64) -> Result<u64> {
    let mode = mode & u64::from(S_IFMT) | masked(mode);
    name(directory, path)?
        .ask(path::MAKE_NODE, [mode, device])
        .map(|_| 0)
}

pub fn rmdir(frame: &mut Frame) -> Result<u64> {
    remove(CWD, frame.rdi, 1)
}

pub fn unlink(frame: &mut Frame) -> Result<u64> {
    remove(CWD, frame.rdi, 0)
}

pub fn unlinkat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, flags, ..] = frame.args();
    match flags as u32 {
        0 => remove(directory, path, 0),
        AT_REMOVEDIR => remove(directory, path, 1),
        _ => Err(Errno::EINVAL),
    }
}

/// `what`: 1 a directory, 0 anything else.
fn remove(directory: u64, path: u64, what: u64) -> Result<u64> {
    name(directory, path)?
        .ask(path::UNLINK, [what, 0])
        .map(|_| 0)
}

pub fn rename(frame: &mut Frame) -> Result<u64> {
    let [from, to, ..] = frame.args();
    names::ask_two((CWD, from), (CWD, to), path::RENAME, 0).map(|()| 0)
}

pub fn renameat(frame: &mut Frame) -> Result<u64> {
    let [from_directory, from, to_directory, to, ..] = frame.args();
    names::ask_two((from_directory, from), (to_directory, to), path::RENAME, 0).map(|()| 0)
}

pub fn renameat2(frame: &mut Frame) -> Result<u64> {
    let [from_directory, from, to_directory, to, flags, _] = frame.args();
    if flags & !u64::from(RENAME_NOREPLACE | RENAME_EXCHANGE) != 0 {
        return Err(Errno::EINVAL);
    }
    names::ask_two(
        (from_directory, from),
        (to_directory, to),
        path::RENAME,
        flags,
    )
    .map(|()| 0)
}

pub fn link(frame: &mut Frame) -> Result<u64> {
    let [from, to, ..] = frame.args();
    names::ask_two((CWD, from), (CWD, to), path::LINK, path::lookup::NO_FOLLOW).map(|()| 0)
}

pub fn linkat(frame: &mut Frame) -> Result<u64> {
    let [from_directory, from, to_directory, to, flags, _] = frame.args();
    let lookup = match flags as u32 {
        0 => path::lookup::NO_FOLLOW,
        AT_SYMLINK_FOLLOW => 0,
        _ => return Err(Errno::EINVAL),
    };
    names::ask_two(
        (from_directory, from),
        (to_directory, to),
        path::LINK,
        lookup,
    )
    .map(|()| 0)
}

pub fn symlink(frame: &mut Frame) -> Result<u64> {
    let [text, path, ..] = frame.args();
    make_symlink(text, CWD, path)
}

pub fn symlinkat(frame: &mut Frame) -> Result<u64> {
    let [text, directory, path, ..] = frame.args();
    make_symlink(text, directory, path)
}

fn make_symlink(text: u64, directory: u64, path: u64) -> Result<u64> {
    // The link's own path says where the request goes; the text comes first in it.
    let start = name(directory, path)?.start;
    let mut payload = Payload::new();
    let length = payload.push_path(text)?;
    payload.push_path(path)?;
    payload
        .send(start, path::SYMLINK, [0, length], 0)
        .map(|_| 0)
}

pub fn readlink(frame: &mut Frame) -> Result<u64> {
    let [path, buffer, size, ..] = frame.args();
    read_link(CWD, path, buffer, size)
}

pub fn readlinkat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, buffer, size, ..] = frame.args();
    read_link(directory, path, buffer, size)
}

fn read_link(directory: u64, path: u64, buffer: u64, size: u64) -> Result<u64> {
    if size as i64 <= 0 {
        return Err(Errno::EINVAL);
    }
    let mut name = name(directory, path)?;
    let short = size.min(LONG_MAX as u64);
    let answer = name.ask(path::READ_LINK, [short, 0])?;
    if answer.value < short || size == short {
        return store_text(&name, &answer, buffer);
    }
    name.payload.use_window()?;
    let answer = name.ask(path::READ_LINK, [size.min(path::PATH_MAX as u64), 0])?;
    store_text(&name, &answer, buffer)
}

/// Stores the text of an answer, which came in the message or in the window.
fn store_text(name: &Name, answer: &Answer, buffer: u64) -> Result<u64> {
    if answer.bytes > 0 {
        let (bytes, length) = utcb::received_bytes(answer.bytes);
        user::write_bytes(buffer, &bytes[..length])?;
        return Ok(length as u64);
    }
    name.payload
        .slot()?
        .copy_to_program(0, buffer, answer.value)?;
    Ok(answer.value)
}

pub fn getcwd(frame: &mut Frame) -> Result<u64> {
    let [buffer, size, ..] = frame.args();
    let start = FILES.lock().cwd;
    let mut name = Name {
        payload: Payload::new(),
        start,
    };
    let room = size.saturating_sub(1).min(path::PATH_MAX as u64);
    let mut answer = name.ask(path::PATH_OF, [room.min(LONG_MAX as u64), 0]);
    if answer.as_ref().err() == Some(&Errno::ERANGE) && room > LONG_MAX as u64 {
        name.payload.use_window()?;
        answer = name.ask(path::PATH_OF, [room, 0]);
    }
    let length = store_text(&name, &answer?, buffer)?;
    user::write(buffer + length, &0u8)?;
    Ok(length + 1)
}

pub fn pipe(frame: &mut Frame) -> Result<u64> {
    make_pipe(frame.rdi, 0)
}

pub fn pipe2(frame: &mut Frame) -> Result<u64> {
    let [place, flags, ..] = frame.args();
    make_pipe(place, flags)
}

fn make_pipe(place: u64, flags: u64) -> Result<u64> {
    if flags & !u64::from(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    user::check(place, 8)?;
    let root = FILES.lock().root;
    let answer = server::ask(root, path::PIPE, [flags, 0, 0])?;
    server::expect_handles(&answer, 2)?;
    let ends = [utcb::received_handle(0), utcb::received_handle(1)];
    let descriptor =
        |end: Handle| Descriptor::new(end.0, kind::PIPE, OnExec::from_bit(flags, O_CLOEXEC));
    let first = install(descriptor(ends[0]), 0).inspect_err(|_| FILES.lock().release(ends[1]))?;
    let close_first = |_: &Errno| {
        // It was installed just now.
        let _ = FILES.lock().close(first);
    };
    let second = install(descriptor(ends[1]), 0).inspect_err(close_first)?;
    user::write(place, &[first as u32, second as u32]).inspect_err(|_| {
        let mut files = FILES.lock();
        // They were installed just now.
        let _ = (files.close(first), files.close(second));
    })?;
    Ok(0)
}

/// `memfd_create`: a file in memory without a name.
pub fn memfd_create(frame: &mut Frame) -> Result<u64> {
    let [name, flags, ..] = frame.args();
    let known = linux::MFD_CLOEXEC | linux::MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let both = MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !known != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    match user::string_length(name, MEMFD_NAME_MAX) {
        Ok(_) => {}
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL),
        Err(errno) => return Err(errno),
    }
    let seals = match flags & (linux::MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) {
        0 => seal::SEAL,
        bits if bits & MFD_NOEXEC_SEAL != 0 => seal::EXEC,
        _ => 0,
    };
    let root = FILES.lock().root;
    let answer = server::ask(root, path::MAKE_UNNAMED, [seals.into(), 0, 0])?;
    let (handle, kind) = opened(&answer)?;
    let on_exec = OnExec::from_bit(flags.into(), linux::MFD_CLOEXEC);
    install(Descriptor::new(handle.0, kind, on_exec), 0)
}

pub fn mount(frame: &mut Frame) -> Result<u64> {
    let [source, target, kind, flags, options, _] = frame.args();
    let start = name(CWD, target)?.start;
    let mut payload = Payload::new();
    let source_length = if source == 0 {
        0
    } else {
        payload.push_string(source)?
    };
    payload.push_path(target)?;
    let kind_length = if kind == 0 {
        0
    } else {
        payload.push_string(kind)?
    };
    let options_length = if options == 0 {
        0
    } else {
        payload.push_string(options)?
    };
    let words = [
        u64::from(flags as u32) | options_length << 32,
        source_length | kind_length << 32,
    ];
    payload.send(start, path::MOUNT, words, 0).map(|_| 0)
}

pub fn umount2(frame: &mut Frame) -> Result<u64> {
    let [target, flags, ..] = frame.args();
    name(CWD, target)?
        .ask(path::UNMOUNT, [u64::from(flags as u32), 0])
        .map(|_| 0)
}

pub fn sync(_: &mut Frame) -> Result<u64> {
    let root = FILES.lock().root;
    server::ask(root, path::SYNC_ALL, [0; 3]).map(|_| 0)
}

pub fn umask(frame: &mut Frame) -> Result<u64> {
    let new = frame.rdi as u32 & 0o777;
    Ok(core::mem::replace(&mut FILES.lock().umask, new).into())
}
