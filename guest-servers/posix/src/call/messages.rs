//! Sending and receiving on sockets: `sendmsg`, `recvmsg` and their relatives; `read` and `write`.

use super::io_vectors::Vectors;
use super::passing::{self, Control};
use super::socket::{Purpose, Target, fetch, session, store, store_address};
use crate::server::{self, patient};
use crate::user;
use crate::window;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::SIGPIPE;
use ferrix_posix::descriptors::Descriptor;
use ferrix_posix::slots::SLOT_SIZE;
use ferrix_posix::socket::{ManyHead, MessageHead};
use ferrix_posix::time::{from_timespec, to_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::request::{Head, Place};
use ferrix_proto::socket::{self, got};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::signal::{self, Target as Whom};
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::__kernel_timespec as timespec;
use linux_raw_sys::net::{self, MSG_NOSIGNAL, MSG_TRUNC, MSG_WAITALL};

/// `MSG_*`, for which linux-raw-sys has no names.
const DONT_WAIT: u32 = 0x40;
const WAIT_FOR_ONE: u32 = 0x10000;
/// Data up to so many bytes travels in the message.
const INLINE: u64 = 96;
/// Messages of one `sendmmsg`, at most.
const MANY: u64 = 1024;

/// An open socket.
#[derive(Clone, Copy)]
struct Socket {
    fd: u64,
    session: Handle,
    descriptor: Descriptor,
}

fn open(fd: u64) -> Result<Socket> {
    let (session, descriptor) = session(fd)?;
    Ok(Socket {
        fd,
        session,
        descriptor,
    })
}

/// What is sent.
struct Outgoing {
    vectors: Vectors,
    to: Option<Target>,
    flags: u32,
    staged: u64,
}

fn send_piece(socket: &Socket, out: &Outgoing, mut vectors: Vectors) -> Result<Answer> {
    let wanted = vectors.total.min(SLOT_SIZE);
    let mut long = [0; LONG_MAX];
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        long[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    let mut address = 0;
    if let Some(to) = &out.to {
        put(&to.key[0].to_le_bytes());
        put(&to.key[1].to_le_bytes());
        put(to.path());
        address = to.path().len() as u64;
    }
    let words = |offset| [u64::from(out.flags) | address << 32, out.staged, offset];
    if wanted <= INLINE {
        let data = &mut long[length..][..wanted as usize];
        vectors.give_to(data)?;
        let length = utcb::put_bytes(&long[..length + wanted as usize]);
        let head = Head::new(socket::SEND, Place::INLINE, wanted as u32);
        return Ok(exchange(
            socket.session,
            Tag::new(length, 0, 0),
            head,
            words(0),
        )?);
    }
    let window = server::server_of(socket.fd, &socket.descriptor)?;
    let slot = window::wait_for_slot(window, socket.session)?;
    vectors.give_to_slot(&slot, wanted)?;
    let length = utcb::put_bytes(&long[..length]);
    let head = Head::new(socket::SEND, Place::WINDOW, wanted as u32);
    let tag = Tag::new(length, 0, 0);
    Ok(exchange(socket.session, tag, head, words(slot.offset()))?)
}

/// Sends a message, or all bytes of a stream.
fn send(socket: &Socket, mut out: Outgoing) -> Result<u64> {
    let wanted = out.vectors.total;
    if wanted > SLOT_SIZE && !is_stream(socket) {
        return Err(Errno::EMSGSIZE);
    }
    let mut done = 0;
    loop {
        let vectors = out.vectors;
        let taken = patient(socket.session, || {
            send_piece(socket, &out, vectors).map_err(Errno::number)
        });
        match taken {
            Ok(answer) => {
                done += answer.value;
                if done >= wanted || answer.value == 0 {
                    return Ok(done);
                }
                out.vectors.skip(answer.value)?;
                out.staged = 0;
            }
            Err(_) if done > 0 => return Ok(done),
            Err(errno) => return Err(failed(socket, errno, out.flags)),
        }
    }
}

fn failed(socket: &Socket, errno: Errno, flags: u32) -> Errno {
    if errno == Errno::EPIPE && flags & MSG_NOSIGNAL == 0 {
        raise_broken_pipe(socket);
    }
    errno.restartable()
}

/// SIGPIPE, which only streams know.
fn raise_broken_pipe(socket: &Socket) {
    if is_stream(socket) {
        let info = SignalInfo {
            signo: SIGPIPE,
            ..SignalInfo::default()
        };
        // The thread exists: it is the caller.
        let _ = signal::send(Whom::Thread, utcb::tid() as i32, &info);
    }
}

/// `write` and its relatives.
pub fn write(fd: u64, vectors: Vectors) -> Result<u64> {
    let out = Outgoing {
        vectors,
        to: None,
        flags: 0,
        staged: 0,
    };
    send(&open(fd)?, out)
}

pub fn sendto(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, length, flags, place, address_length] = frame.args();
    let socket = open(fd)?;
    let to = match place {
        0 => None,
        _ => Some(fetch(place, address_length, Purpose::Reach)?),
    };
    let out = Outgoing {
        vectors: Vectors::one(buffer, length)?,
        to,
        flags: flags as u32,
        staged: 0,
    };
    send(&socket, out)
}

fn send_message(socket: &Socket, head: &MessageHead, flags: u32) -> Result<u64> {
    let to = match (head.name, head.name_length) {
        (0, _) | (_, 0) => None,
        (place, length) => Some(fetch(place, length.into(), Purpose::Reach)?),
    };
    let vectors = Vectors::many(head.vectors, head.vector_count)?;
    let staged = match head.control_length {
        0 => 0,
        length => passing::stage(socket.session, head.control, length)?,
    };
    let out = Outgoing {
        vectors,
        to,
        flags,
        staged,
    };
    send(socket, out)
}

pub fn sendmsg(frame: &mut Frame) -> Result<u64> {
    let [fd, message, flags, ..] = frame.args();
    let socket = open(fd)?;
    send_message(&socket, &user::read(message)?, flags as u32)
}

pub fn sendmmsg(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, flags, ..] = frame.args();
    let socket = open(fd)?;
    let mut done = 0;
    while done < u64::from(count as u32).min(MANY) {
        let place = list + done * size_of::<ManyHead>() as u64;
        let sent = user::read(place)
            .and_then(|head| send_message(&socket, &head, flags as u32))
            .and_then(|sent| put_length(place, sent));
        match sent {
            Ok(()) => done += 1,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Tells how long one of several messages was.
fn put_length(place: u64, length: u64) -> Result<()> {
    let at = place + core::mem::offset_of!(ManyHead, length) as u64;
    user::write(at, &(length as u32))
}

/// What was received, besides the bytes.
struct Incoming {
    /// What the call returns.
    value: u64,
    /// Bytes stored.
    stored: u64,
    flags: u32,
    credentials: Option<[u32; 3]>,
    passed: u64,
    from: [u8; LONG_MAX],
    from_length: usize,
}

fn receive_piece(socket: &Socket, vectors: &mut Vectors, flags: u32) -> Result<Incoming> {
    let room = vectors.total.min(SLOT_SIZE);
    let fits = vectors.writable(room);
    if fits < room && fits == 0 {
        return Err(Errno::EFAULT);
    }
    // A stream keeps what cannot be stored; a message is lost, as on Linux.
    let wanted = if fits < room && is_stream(socket) {
        fits
    } else {
        room
    };
    let window = match wanted {
        0..=INLINE => None,
        _ => Some(server::server_of(socket.fd, &socket.descriptor)?),
    };
    let mut held = None;
    let answer = patient(socket.session, || {
        // The slot is not held while there is nothing.
        held = None;
        let (place, offset) = match window {
            None => (Place::INLINE, 0),
            Some(window) => {
                let slot = window::wait_for_slot(window, socket.session).map_err(Errno::number)?;
                let offset = slot.offset();
                held = Some(slot);
                (Place::WINDOW, offset)
            }
        };
        let head = Head::new(socket::RECEIVE, place, wanted as u32);
        let words = [flags.into(), 0, offset];
        let answer = exchange(socket.session, Tag::SHORT, head, words)?;
        if answer.words[2] != 0 {
            held = None;
        }
        Ok(answer)
    })?;
    let (long, length) = utcb::received_bytes(answer.bytes);
    let incoming = decode(&answer, &long[..length])?;
    let data = length.saturating_sub(incoming.stored as usize);
    let stored = match &held {
        _ if incoming.stored > fits => Err(Errno::EFAULT),
        Some(slot) => vectors.take_from_slot(slot, incoming.stored),
        None => vectors.take_from(&long[data..length]),
    };
    drop(held);
    if let Err(errno) = stored {
        passing::drop_passed(socket.session, incoming.passed)?;
        return Err(errno);
    }
    Ok(incoming)
}

fn decode(answer: &Answer, long: &[u8]) -> Result<Incoming> {
    let [first, second, _] = answer.words;
    let flags = first as u32;
    let word = |at: usize| {
        let bytes = long
            .get(at * 4..at * 4 + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or(Errno::EIO)
    };
    let (credentials, front) = match flags & got::CREDENTIALS {
        0 => (None, 0),
        _ => (Some([word(0)?, word(1)?, word(2)?]), 16),
    };
    let from_length = (first >> 32) as usize;
    let path = long.get(front..front + from_length).ok_or(Errno::EIO)?;
    let mut from = [0; LONG_MAX];
    from[..from_length].copy_from_slice(path);
    Ok(Incoming {
        value: answer.value,
        stored: u64::from(second as u32),
        flags: flags & !got::CREDENTIALS,
        credentials,
        passed: second >> 32,
        from,
        from_length,
    })
}

/// Receives a message, or bytes of a stream: with `MSG_WAITALL` as many as there is room for.
fn receive(socket: &Socket, mut vectors: Vectors, flags: u32) -> Result<Incoming> {
    let wanted = vectors.total;
    let mut first = receive_piece(socket, &mut vectors, flags).map_err(Errno::restartable)?;
    let ends =
        |piece: &Incoming| piece.stored == 0 || piece.passed > 0 || piece.flags & MSG_TRUNC != 0;
    let waits = flags & MSG_WAITALL != 0 && flags & net::MSG_PEEK == 0 && is_stream(socket);
    while waits && first.value < wanted && !ends(&first) {
        match receive_piece(socket, &mut vectors, flags) {
            Ok(piece) => {
                first.value += piece.stored;
                first.stored += piece.stored;
                if ends(&piece) {
                    first.passed = piece.passed;
                    break;
                }
            }
            Err(_) => break,
        }
    }
    Ok(first)
}

fn is_stream(socket: &Socket) -> bool {
    let kind = server::ask(
        socket.session,
        socket::GET_OPTION,
        [net::SO_TYPE.into(), 0, 0],
    );
    kind.is_ok_and(|kind| kind.words[0] == u64::from(net::SOCK_STREAM))
}

/// `read` and its relatives: descriptors that come along are dropped.
pub fn read(fd: u64, vectors: Vectors) -> Result<u64> {
    let socket = open(fd)?;
    if vectors.total == 0 {
        return Ok(0);
    }
    let incoming = receive(&socket, vectors, 0)?;
    passing::drop_passed(socket.session, incoming.passed)?;
    Ok(incoming.value)
}

pub fn recvfrom(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, length, flags, place, address_length] = frame.args();
    let socket = open(fd)?;
    let incoming = receive(&socket, Vectors::one(buffer, length)?, flags as u32)?;
    passing::drop_passed(socket.session, incoming.passed)?;
    if place != 0 && incoming.from_length == 0 {
        user::write(address_length, &0u32)?;
    } else {
        store(
            &incoming.from[..incoming.from_length],
            place,
            address_length,
        )?;
    }
    Ok(incoming.value)
}

fn receive_message(socket: &Socket, place: u64, flags: u32) -> Result<u64> {
    let mut head: MessageHead = user::read(place)?;
    let vectors = Vectors::many(head.vectors, head.vector_count)?;
    let incoming = receive(socket, vectors, flags)?;
    head.flags = incoming.flags | flags & passing::CLOSE_ON_EXEC;
    let mut control = Control::new(head.control, head.control_length, flags);
    if let Some(ids) = incoming.credentials {
        control.put_credentials(ids);
    }
    control.put_passed(socket.session, incoming.passed)?;
    head.flags |= control.flags();
    head.control_length = control.used();
    if head.name != 0 {
        let path = &incoming.from[..incoming.from_length];
        head.name_length = match path {
            [] => 0,
            _ => store_address(path, head.name, head.name_length as usize)?,
        };
    }
    user::write(place, &head)?;
    Ok(incoming.value)
}

pub fn recvmsg(frame: &mut Frame) -> Result<u64> {
    let [fd, message, flags, ..] = frame.args();
    receive_message(&open(fd)?, message, flags as u32)
}

pub fn recvmmsg(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, flags, timeout, _] = frame.args();
    let socket = open(fd)?;
    let limit = user::read_optional::<timespec>(timeout)?;
    let limit = limit.map(from_timespec).transpose()?;
    let until = limit.map(|limit| monotonic_ns().saturating_add(limit));
    let (mut done, mut flags) = (0, flags as u32);
    while done < u64::from(count as u32).min(MANY) {
        let place = list + done * size_of::<ManyHead>() as u64;
        let received = receive_message(&socket, place, flags & !WAIT_FOR_ONE)
            .and_then(|length| put_length(place, length));
        match received {
            Ok(()) => done += 1,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        if flags & WAIT_FOR_ONE != 0 {
            flags |= DONT_WAIT;
        }
        if until.is_some_and(|until| monotonic_ns() >= until) {
            break;
        }
    }
    if let Some(until) = until.filter(|_| done > 0) {
        let left = until.saturating_sub(monotonic_ns());
        user::write(timeout, &to_timespec(left))?;
    }
    Ok(done)
}
