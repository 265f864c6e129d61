//! Sending and receiving.

use super::{Answer, Credentials, Id, Name, Packet, Sockets, State, Type};
use crate::budget::Charge;
use crate::errno::{
    ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EOPNOTSUPP, EPIPE, Result,
};
use alloc::vec::Vec;
use ferrix_abi::ipc::ready;

/// What is sent.
#[derive(Debug)]
pub struct Send<R> {
    /// To whom; its peer otherwise.
    pub to: Option<Name>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Descriptors.
    pub rights: Vec<R>,
    /// Who sends.
    pub credentials: Credentials,
    /// What the bytes count for.
    pub charge: Option<Charge>,
}

/// What was received.
#[derive(Debug)]
pub struct Received<R> {
    /// As many bytes as there was room for.
    pub bytes: Vec<u8>,
    /// Bytes that the message had.
    pub length: usize,
    /// Descriptors.
    pub rights: Vec<R>,
    /// Who sent it; of a stream: its first piece.
    pub credentials: Credentials,
    /// `sun_path` of the sender.
    pub from: Vec<u8>,
}

/// What keeping a message takes beside its bytes.
pub const OVERHEAD: usize = 64;

/// How to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is taken.
    Away,
    /// It stays (`MSG_PEEK`).
    Peek,
}

impl<R: Clone> Sockets<R> {
    /// Sends; how many bytes were taken. What was refused is dropped, with its descriptors.
    ///
    /// # Errors
    /// `ENOTCONN`, `EPIPE`, `ECONNREFUSED`, `EISCONN`, `EMSGSIZE`, `EOPNOTSUPP`.
    pub fn send(&mut self, id: Id, send: Send<R>) -> Result<Answer<usize>> {
        self.fail_once(id)?;
        match self.get(id)?.kind {
            Type::Notification => Err(EOPNOTSUPP),
            Type::Datagram => self.send_datagram(id, send),
            Type::Stream | Type::SeqPacket => self.send_connected(id, send),
        }
    }

    fn fail_once(&mut self, id: Id) -> Result<()> {
        match self.take_error(id)? {
            // A broken connection is told to a writer in its own way.
            0 | ECONNRESET => Ok(()),
            error => Err(error),
        }
    }

    fn send_datagram(&mut self, id: Id, send: Send<R>) -> Result<Answer<usize>> {
        let target = match &send.to {
            Some(name) => self.datagram_target(id, name)?,
            None => self.get(id)?.peer.ok_or(ENOTCONN)?,
        };
        if self.get(id)?.writes_no_more {
            return Err(EPIPE);
        }
        let (from, send_limit) = (self.get(id)?.address.clone(), self.get(id)?.send_limit);
        let Ok(receiver) = self.get(target) else {
            self.get(id)?.peer = None;
            return Err(ECONNREFUSED);
        };
        if receiver.reads_no_more {
            return Err(EPIPE);
        }
        if send.bytes.len() > receiver.inbox.limit.min(send_limit) {
            return Err(EMSGSIZE);
        }
        let full = !receiver.inbox.is_empty() && receiver.inbox.room() < send.bytes.len().max(1);
        if full {
            self.wait_for(id, target);
            return Ok(Answer::Wait(ready::WRITABLE));
        }
        let length = send.bytes.len();
        receiver.inbox.push(packet(send, from));
        self.arrive(target);
        Ok(Answer::Done(length))
    }

    fn send_connected(&mut self, id: Id, mut send: Send<R>) -> Result<Answer<usize>> {
        let socket = self.get(id)?;
        let (kind, from) = (socket.kind, socket.address.clone());
        if socket.state != State::Connected {
            return Err(if send.to.is_some() {
                EOPNOTSUPP
            } else {
                ENOTCONN
            });
        }
        if send.to.is_some() {
            return Err(EISCONN);
        }
        let peer = socket.peer.ok_or(ENOTCONN)?;
        if socket.writes_no_more {
            return Err(EPIPE);
        }
        let (room, most) = self.room_between(id, peer)?;
        let receiver = self.get(peer)?;
        let length = match kind {
            Type::Stream => send.bytes.len().min(room),
            _ if send.bytes.len() > most => return Err(EMSGSIZE),
            _ => send.bytes.len(),
        };
        if length > room || room == 0 {
            self.wait_for(id, peer);
            return Ok(Answer::Wait(ready::WRITABLE));
        }
        if kind == Type::Stream {
            if length == 0 {
                return Ok(Answer::Done(0));
            }
            send.bytes.truncate(length);
            if let Some(charge) = &mut send.charge {
                charge.shrink(length + OVERHEAD);
            }
            receiver.inbox.push_piece(packet(send, from));
        } else {
            receiver.inbox.push(packet(send, from));
        }
        self.arrive(peer);
        self.touch(id);
        Ok(Answer::Done(length))
    }

    /// Bytes that a socket may send to its peer now, and that there may be at all.
    fn room_between(&self, id: Id, peer: Id) -> Result<(usize, usize)> {
        let (socket, peer) = (self.sockets.get(&id), self.sockets.get(&peer));
        let (socket, peer) = (socket.ok_or(EPIPE)?, peer.ok_or(EPIPE)?);
        let most = socket.send_limit.min(peer.inbox.limit);
        Ok((socket.room_at(peer), most))
    }

    /// Puts a message into a socket that only receives such; it is lost if there is no room.
    pub fn tell(&mut self, id: Id, bytes: Vec<u8>) {
        if let Ok(socket) = self.get(id)
            && socket.kind == Type::Notification
            && socket.inbox.room() >= bytes.len()
        {
            socket.inbox.push(Packet {
                bytes,
                start: 0,
                rights: Vec::new(),
                credentials: Credentials::default(),
                from: Vec::new(),
                charge: None,
            });
            self.arrive(id);
        }
    }

    /// Receives at most `room` bytes.
    ///
    /// # Errors
    /// `ENOTCONN`, `EINVAL` while listening, `ECONNRESET`.
    pub fn receive(&mut self, id: Id, room: usize, take: Take) -> Result<Answer<Received<R>>> {
        let socket = self.get(id)?;
        match (&socket.state, socket.kind) {
            (State::Listening { .. }, _) => return Err(EINVAL),
            (State::Idle, Type::Stream) => return Err(EINVAL),
            (State::Idle, Type::SeqPacket) => return Err(ENOTCONN),
            _ => {}
        }
        if socket.inbox.is_empty() {
            let ends = socket.reads_no_more;
            return match self.take_error(id)? {
                0 if ends => Ok(Answer::Done(nothing())),
                0 => Ok(Answer::Wait(ready::READABLE)),
                error => Err(error),
            };
        }
        let received = match (socket.kind, take) {
            (Type::Stream, _) => receive_bytes(&mut socket.inbox, room, take),
            (_, Take::Peek) => peek_message(&mut socket.inbox, room),
            (_, Take::Away) => receive_message(&mut socket.inbox, room),
        };
        if take == Take::Away {
            let (peer, roomy) = (socket.peer, socket.inbox.is_roomy());
            self.touch(id);
            let sender = peer.and_then(|peer| self.sockets.get(&peer));
            let roomy = match (sender, self.sockets.get(&id)) {
                (Some(sender), Some(socket)) if socket.kind != Type::Datagram => {
                    sender.is_roomy(socket)
                }
                _ => roomy,
            };
            if roomy {
                self.has_room(id);
                peer.into_iter().for_each(|peer| self.touch(peer));
            }
        }
        Ok(Answer::Done(received))
    }
}

fn packet<R>(send: Send<R>, from: Vec<u8>) -> Packet<R> {
    Packet {
        bytes: send.bytes,
        start: 0,
        rights: send.rights,
        credentials: send.credentials,
        from,
        charge: send.charge,
    }
}

fn nothing<R>() -> Received<R> {
    Received {
        bytes: Vec::new(),
        length: 0,
        rights: Vec::new(),
        credentials: Credentials::default(),
        from: Vec::new(),
    }
}

fn receive_message<R>(inbox: &mut super::Inbox<R>, room: usize) -> Received<R> {
    let Some(mut packet) = inbox.pop() else {
        return nothing();
    };
    let length = packet.bytes.len();
    packet.bytes.truncate(room);
    Received {
        bytes: packet.bytes,
        length,
        rights: packet.rights,
        credentials: packet.credentials,
        from: packet.from,
    }
}

fn peek_message<R: Clone>(inbox: &mut super::Inbox<R>, room: usize) -> Received<R> {
    let Some(packet) = inbox.packets.front() else {
        return nothing();
    };
    Received {
        bytes: packet.bytes[..packet.bytes.len().min(room)].to_vec(),
        length: packet.bytes.len(),
        rights: packet.rights.clone(),
        credentials: packet.credentials,
        from: packet.from.clone(),
    }
}

/// Pieces one after the other: those of another sender, and those after descriptors, wait for the next call.
fn receive_bytes<R: Clone>(inbox: &mut super::Inbox<R>, room: usize, take: Take) -> Received<R> {
    let mut received = nothing();
    let mut index = 0;
    let mut first = true;
    while received.bytes.len() < room || first {
        let Some(packet) = inbox.packets.get_mut(index) else {
            break;
        };
        if !first && (packet.credentials != received.credentials || !packet.rights.is_empty()) {
            break;
        }
        if first {
            received.credentials = packet.credentials;
            received.from = packet.from.clone();
            received.rights = match take {
                Take::Away => core::mem::take(&mut packet.rights),
                Take::Peek => packet.rights.clone(),
            };
            first = false;
        }
        let rest = packet.rest();
        let taken = rest.len().min(room - received.bytes.len());
        if received.bytes.is_empty() && take == Take::Away && taken == packet.bytes.len() {
            // A whole piece: its bytes need not be copied.
            received.bytes = core::mem::take(&mut packet.bytes);
            packet.start = 0;
            inbox.forget_first(taken);
        } else {
            received.bytes.extend_from_slice(&rest[..taken]);
            match take {
                Take::Away => inbox.advance(taken),
                Take::Peek => index += 1,
            }
        }
        if !received.rights.is_empty() || taken == 0 {
            break;
        }
    }
    received.length = received.bytes.len();
    received
}
