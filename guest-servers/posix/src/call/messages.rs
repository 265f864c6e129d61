//! Sending on sockets: `sendmsg` and its relatives; `write`.

use super::io_vectors::Vectors;
use super::passing;
use super::socket::{Purpose, Target, fetch, session};
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
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::request::{Head, Place};
use ferrix_proto::socket;
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::sys::signal::{self, Target as Whom};
use ferrix_rt::sys::utcb;
use linux_raw_sys::net::{self, MSG_NOSIGNAL};

/// Data up to so many bytes travels in the message.
pub const INLINE: u64 = 96;
/// Messages of one call, at most.
pub const MANY: u64 = 1024;

/// An open socket.
#[derive(Clone, Copy)]
pub struct Socket {
    /// Its number.
    pub fd: u64,
    /// The session with the server.
    pub session: Handle,
    /// The descriptor.
    pub descriptor: Descriptor,
}

/// The socket of a number.
pub fn open(fd: u64) -> Result<Socket> {
    let (session, descriptor) = session(fd)?;
    Ok(Socket {
        fd,
        session,
        descriptor,
    })
}

/// Whether bytes come in a row, without bounds of messages.
pub fn is_stream(socket: &Socket) -> bool {
    let kind = server::ask(
        socket.session,
        socket::GET_OPTION,
        [net::SO_TYPE.into(), 0, 0],
    );
    kind.is_ok_and(|kind| kind.words[0] == u64::from(net::SOCK_STREAM))
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
        length => passing::stage(socket.session, head.control, length)
            .inspect_err(|_| passing::drop_staged(socket.session))?,
    };
    let out = Outgoing {
        vectors,
        to,
        flags,
        staged,
    };
    // The server does not know of a wait that has ended without another try.
    send(socket, out).inspect_err(|_| match staged {
        0 => {}
        _ => passing::drop_staged(socket.session),
    })
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
pub fn put_length(place: u64, length: u64) -> Result<()> {
    let at = place + core::mem::offset_of!(ManyHead, length) as u64;
    user::write(at, &(length as u32))
}
