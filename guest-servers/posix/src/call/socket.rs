//! Sockets: making, naming and connecting them, and their options. Only the Unix domain is there; a netlink socket receives
//! what a message queue tells (`mq_notify` of the C library).

use super::mq::port;
use crate::server::{self, patient};
use crate::state::{self, FILES, install};
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::socket::{ADDRESS_MAX, Address, address, address_bytes};
use ferrix_posix::time::{from_timeval, to_timeval};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::kind;
use ferrix_proto::path::SOCKET_KEY;
use ferrix_proto::request::{Head, Place};
use ferrix_proto::socket::{self, PATH_MAX, family};
use ferrix_rt::client::exchange;
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::{O_CLOEXEC, O_NONBLOCK};
use linux_raw_sys::{general as linux, net};

/// The type in the second argument of `socket`.
const TYPE: u64 = 0xf;

/// A socket's session.
pub fn session(fd: u64) -> Result<(Handle, Descriptor)> {
    let descriptor = state::descriptor(fd)?;
    match u64::from(descriptor.kind) {
        kind::SOCKET => Ok((Handle(descriptor.handle), descriptor)),
        _ => Err(Errno::ENOTSOCK),
    }
}

fn install_socket(handle: Handle, flags: u64) -> Result<u64> {
    let on_exec = OnExec::from_bit(flags, O_CLOEXEC);
    install(Descriptor::new(handle.0, kind::SOCKET, on_exec), 0)
}

/// Word 1 of a request for new sockets.
fn wanted(asked: u64, kind: u64, protocol: u64) -> Result<u64> {
    let (base, flags) = (kind & TYPE, kind & !TYPE);
    if flags & !u64::from(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    match asked as u32 {
        net::AF_UNIX if protocol as u32 > 1 => return Err(Errno::EPROTONOSUPPORT),
        net::AF_UNIX => {}
        net::AF_NETLINK if matches!(base as u32, net::SOCK_RAW | net::SOCK_DGRAM) => {}
        net::AF_NETLINK => return Err(Errno::ESOCKTNOSUPPORT),
        _ => return Err(Errno::EAFNOSUPPORT),
    }
    let known = [
        net::SOCK_STREAM,
        net::SOCK_DGRAM,
        net::SOCK_RAW,
        net::SOCK_SEQPACKET,
    ];
    if !known.contains(&(base as u32)) {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    Ok(u64::from(asked as u32) | base << 16 | (flags & u64::from(O_NONBLOCK)) << 32)
}

pub fn socket(frame: &mut Frame) -> Result<u64> {
    let [family, kind, protocol, ..] = frame.args();
    let word = wanted(family, kind, protocol)?;
    let answer = server::ask(port()?, socket::CREATE, [word, 0, 0])?;
    server::expect_handles(&answer, 1)?;
    install_socket(utcb::received_handle(0), kind)
}

pub fn socketpair(frame: &mut Frame) -> Result<u64> {
    let [asked, kind, protocol, place, ..] = frame.args();
    let word = wanted(asked, kind, protocol)?;
    if word & 0xffff != family::UNIX {
        return Err(Errno::EOPNOTSUPP);
    }
    user::check(place, 8)?;
    let answer = server::ask(port()?, socket::PAIR, [word, 0, 0])?;
    server::expect_handles(&answer, 2)?;
    let [one, two] = [utcb::received_handle(0), utcb::received_handle(1)];
    let first = install_socket(one, kind).inspect_err(|_| FILES.lock().release(two))?;
    let close = |fd| {
        // It was installed just now.
        let _ = FILES.lock().close(fd);
    };
    let second = install_socket(two, kind).inspect_err(|_| close(first))?;
    user::write(place, &[first as u32, second as u32]).inspect_err(|_| {
        close(first);
        close(second);
    })?;
    Ok(0)
}

/// A program's address: `sun_path` as the server knows it, and the key of a file.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    path: [u8; PATH_MAX],
    length: usize,
    /// Key.
    pub key: [u64; 2],
}

impl Target {
    /// `sun_path`.
    pub fn path(&self) -> &[u8] {
        &self.path[..self.length]
    }
}

/// What is done with a name in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is made.
    Bind,
    /// It is used.
    Reach,
}

/// Fetches an address.
pub fn fetch(place: u64, length: u64, purpose: Purpose) -> Result<Target> {
    let length = length as u32 as usize;
    if !(2..=ADDRESS_MAX).contains(&length) {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; ADDRESS_MAX];
    user::read_bytes(place, &mut bytes[..length])?;
    let mut target = Target {
        path: [0; PATH_MAX],
        length: 0,
        key: [0; 2],
    };
    let path = match address(&bytes[..length])? {
        Address::Unnamed if purpose == Purpose::Reach => return Err(Errno::EINVAL),
        Address::Unnamed => return Ok(target),
        Address::Abstract(name) => name,
        Address::Path(path) => {
            target.key = key(path, purpose)?;
            // As on Linux, the NUL belongs to the name that others see, if there is room.
            target.length = (path.len() + 1).min(PATH_MAX);
            path
        }
    };
    target.path[..path.len()].copy_from_slice(path);
    target.length = target.length.max(path.len());
    Ok(target)
}

/// The key of a socket's file.
fn key(path: &[u8], purpose: Purpose) -> Result<[u64; 2]> {
    let mut payload = super::names::Payload::new();
    payload.push(path)?;
    let files = FILES.lock();
    let start = if path.starts_with(b"/") {
        files.root
    } else {
        files.cwd
    };
    let mode = u64::from(0o777 & !files.umask);
    drop(files);
    let word = match purpose {
        Purpose::Bind => 1 | mode << 32,
        Purpose::Reach => 0,
    };
    let answer = payload.send(start, SOCKET_KEY, [word, 0], 0);
    let words = answer.map_err(|errno| match (purpose, errno) {
        (Purpose::Bind, Errno::EEXIST) => Errno::EADDRINUSE,
        (_, errno) => errno,
    })?;
    Ok([words.words[0], words.words[1]])
}

fn send_address(session: Handle, operation: u16, target: &Target) -> Result<()> {
    let [first, second] = target.key;
    patient(session, || {
        let length = utcb::put_bytes(target.path());
        let head = Head::new(operation, Place::INLINE, length as u32);
        exchange(session, Tag::new(length, 0, 0), head, [first, second, 0])
    })
    .map(drop)
}

pub fn bind(frame: &mut Frame) -> Result<u64> {
    let [fd, place, length, ..] = frame.args();
    let (session, _) = session(fd)?;
    let named = server::ask(session, socket::NAME, [0; 3])?.value != 0;
    if named && length as u32 > 2 {
        return Err(Errno::EINVAL);
    }
    let target = fetch(place, length, Purpose::Bind)?;
    send_address(session, socket::BIND, &target).map(|()| 0)
}

pub fn connect(frame: &mut Frame) -> Result<u64> {
    let [fd, place, length, ..] = frame.args();
    let (session, _) = session(fd)?;
    if length as u32 >= 2 && user::read::<[u8; 2]>(place)? == [0, 0] {
        return server::ask(session, socket::CONNECT, [0, 0, 1]).map(|_| 0);
    }
    let target = fetch(place, length, Purpose::Reach)?;
    send_address(session, socket::CONNECT, &target).map_err(Errno::restartable)?;
    Ok(0)
}

pub fn listen(frame: &mut Frame) -> Result<u64> {
    let [fd, backlog, ..] = frame.args();
    let (session, _) = session(fd)?;
    let words = [u64::from(backlog as u32), 0, 0];
    server::ask(session, socket::LISTEN, words).map(|_| 0)
}

pub fn accept(frame: &mut Frame) -> Result<u64> {
    accept_with(frame, 0)
}

pub fn accept4(frame: &mut Frame) -> Result<u64> {
    let flags = frame.args()[3];
    if flags & !u64::from(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    accept_with(frame, flags)
}

fn accept_with(frame: &mut Frame, flags: u64) -> Result<u64> {
    let [fd, place, length, ..] = frame.args();
    let (session, _) = session(fd)?;
    let words = [flags & u64::from(O_NONBLOCK), 0, 0];
    let head = Head::new(socket::ACCEPT, Place::INLINE, 0);
    let answer = patient(session, || exchange(session, Tag::SHORT, head, words))
        .map_err(Errno::restartable)?;
    server::expect_handles(&answer, 1)?;
    let (peer, bytes) = utcb::received_bytes(answer.bytes);
    let new = install_socket(utcb::received_handle(0), flags)?;
    store(&peer[..bytes], place, length).inspect_err(|_| {
        // It was installed just now.
        let _ = FILES.lock().close(new);
    })?;
    Ok(new)
}

/// Stores an address and its length, as far as there is room.
pub fn store(path: &[u8], place: u64, length_at: u64) -> Result<()> {
    if place == 0 {
        return Ok(());
    }
    let room = user::read::<i32>(length_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let length = store_address(path, place, room)?;
    user::write(length_at, &length)
}

/// Stores an address in so much room; its whole length.
pub fn store_address(path: &[u8], place: u64, room: usize) -> Result<u32> {
    let (bytes, length) = address_bytes(path);
    user::write_bytes(place, &bytes[..length.min(room)])?;
    Ok(length as u32)
}

fn name(frame: &mut Frame, whose: u64) -> Result<u64> {
    let [fd, place, length, ..] = frame.args();
    let (session, _) = session(fd)?;
    let answer = server::ask(session, socket::NAME, [whose, 0, 0])?;
    let (path, bytes) = utcb::received_bytes(answer.bytes);
    user::check(place, 2)?;
    if place == 0 {
        return Err(Errno::EFAULT);
    }
    store(&path[..bytes], place, length).map(|()| 0)
}

pub fn getsockname(frame: &mut Frame) -> Result<u64> {
    name(frame, 0)
}

pub fn getpeername(frame: &mut Frame) -> Result<u64> {
    name(frame, 1)
}

pub fn shutdown(frame: &mut Frame) -> Result<u64> {
    let [fd, how, ..] = frame.args();
    let (session, _) = session(fd)?;
    let words = [u64::from(how as u32), 0, 0];
    server::ask(session, socket::SHUTDOWN, words).map(|_| 0)
}

/// Whether an option is a time.
fn is_time(option: u32) -> bool {
    matches!(option, net::SO_RCVTIMEO | net::SO_SNDTIMEO)
}

pub fn setsockopt(frame: &mut Frame) -> Result<u64> {
    let [fd, level, option, place, length, _] = frame.args();
    let (session, _) = session(fd)?;
    if level as u32 != net::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let (option, length) = (option as u32, length as u32 as usize);
    let words = if is_time(option) {
        if length < size_of::<linux::__kernel_old_timeval>() {
            return Err(Errno::EINVAL);
        }
        let time = user::read::<linux::__kernel_old_timeval>(place)?;
        [from_timeval(time).map_err(|_| Errno::EDOM)?, 0]
    } else if option == net::SO_LINGER && length >= 8 {
        [user::read::<u64>(place)?, 0]
    } else if length >= 4 {
        [u64::from(user::read::<u32>(place)?), 0]
    } else {
        return Err(Errno::EINVAL);
    };
    let words = [option.into(), words[0], words[1]];
    server::ask(session, socket::SET_OPTION, words).map(|_| 0)
}

pub fn getsockopt(frame: &mut Frame) -> Result<u64> {
    let [fd, level, option, place, length_at, _] = frame.args();
    let (session, _) = session(fd)?;
    let room = usize::try_from(user::read::<i32>(length_at)?).map_err(|_| Errno::EINVAL)?;
    if level as u32 != net::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let option = option as u32;
    let words = server::ask(session, socket::GET_OPTION, [option.into(), 0, 0])?.words;
    let mut bytes = [0; 16];
    let length = match option {
        net::SO_PEERCRED => 12,
        net::SO_LINGER => 8,
        _ if is_time(option) => 16,
        _ => 4,
    };
    let value = if is_time(option) {
        let time = to_timeval(words[0]);
        [time.tv_sec as u64, time.tv_usec as u64]
    } else {
        [words[0], words[1]]
    };
    bytes[..8].copy_from_slice(&value[0].to_le_bytes());
    bytes[8..].copy_from_slice(&value[1].to_le_bytes());
    let stored = length.min(room);
    user::write_bytes(place, &bytes[..stored])?;
    user::write(length_at, &(stored as u32))?;
    Ok(0)
}
