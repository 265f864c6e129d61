//! Receiving on sockets: `recvmsg` and its relatives; `read`.

use super::io_vectors::Vectors;
use super::messages::{INLINE, MANY, Socket, is_stream, open, put_length};
use super::passing::{self, Control};
use super::socket::{store, store_address};
use crate::server::{self, patient};
use crate::user;
use crate::window;
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_posix::slots::SLOT_SIZE;
use ferrix_posix::socket::{ManyHead, MessageHead};
use ferrix_posix::time::{from_timespec, to_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::request::{Head, Place};
use ferrix_proto::socket::{self, got};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::__kernel_timespec as timespec;
use linux_raw_sys::net::{self, MSG_TRUNC, MSG_WAITALL};

/// `MSG_*`, for which linux-raw-sys has no names.
const DONT_WAIT: u32 = 0x40;
const WAIT_FOR_ONE: u32 = 0x10000;
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
