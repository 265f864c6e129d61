//! Names, listening, connecting, accepting.

use super::{Answer, Credentials, Id, Name, Sockets, State, Type};
use crate::errno::{
    EADDRINUSE, ECONNREFUSED, EINVAL, EISCONN, EOPNOTSUPP, EPERM, EPROTOTYPE, Errno, Result,
};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use ferrix_abi::ipc::ready;

/// Most connections that wait to be accepted (`/proc/sys/net/core/somaxconn`).
const BACKLOG_MAX: usize = 4096;
/// Names that the server chooses.
const CHOSEN: u32 = 1 << 20;

impl<R> Sockets<R> {
    /// Gives a socket a name; `address` is its `sun_path`.
    ///
    /// # Errors
    /// `EINVAL`: it has one; `EADDRINUSE`: another has this one.
    pub fn bind(&mut self, id: Id, name: Name, address: &[u8]) -> Result<()> {
        if self.get(id)?.name.is_some() {
            return Err(EINVAL);
        }
        if self.names.contains_key(&name) {
            return Err(EADDRINUSE);
        }
        self.names.insert(name.clone(), id);
        let socket = self.get(id)?;
        socket.address = address.to_vec();
        socket.name = Some(name);
        Ok(())
    }

    /// Gives a socket an abstract name that nobody has; one that has a name keeps it.
    ///
    /// # Errors
    /// `EADDRINUSE`: all are taken.
    pub fn bind_somehow(&mut self, id: Id) -> Result<()> {
        if self.get(id)?.name.is_some() {
            return Ok(());
        }
        for _ in 0..CHOSEN {
            self.next_name = (self.next_name + 1) % CHOSEN;
            let text = format!("{:05x}", self.next_name).into_bytes();
            let address = [&[0], text.as_slice()].concat();
            if self.bind(id, Name::Abstract(text), &address).is_ok() {
                return Ok(());
            }
        }
        Err(EADDRINUSE)
    }

    /// `listen(2)`.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for datagrams, `EINVAL` without a name or with a peer.
    pub fn listen(&mut self, id: Id, backlog: usize, by: Credentials) -> Result<()> {
        let socket = self.get(id)?;
        if !matches!(socket.kind, Type::Stream | Type::SeqPacket) {
            return Err(EOPNOTSUPP);
        }
        if socket.name.is_none() || socket.state == State::Connected {
            return Err(EINVAL);
        }
        let most = backlog.min(BACKLOG_MAX);
        socket.credentials = by;
        match &mut socket.state {
            State::Listening { backlog, .. } => *backlog = most,
            state => {
                *state = State::Listening {
                    backlog: most,
                    pending: VecDeque::new(),
                }
            }
        }
        self.touch(id);
        Ok(())
    }

    /// `connect(2)`.
    ///
    /// # Errors
    /// `ECONNREFUSED`, `EPROTOTYPE`, `EISCONN`, `EINVAL` while listening, `EPERM` for a datagram socket that has another peer.
    pub fn connect(&mut self, id: Id, name: &Name, by: Credentials) -> Result<Answer<()>> {
        let kind = self.get(id)?.kind;
        if kind == Type::Datagram {
            return self.connect_datagrams(id, name).map(Answer::Done);
        }
        match self.get(id)?.state {
            State::Connected => return Err(EISCONN),
            State::Listening { .. } => return Err(EINVAL),
            State::Idle => {}
        }
        let target = *self.names.get(name).ok_or(ECONNREFUSED)?;
        let listener = self.get(target)?;
        if listener.kind != kind {
            return Err(wrong_kind(name));
        }
        let theirs = listener.credentials;
        let address = listener.address.clone();
        match &listener.state {
            State::Listening { backlog, pending } if pending.len() <= *backlog => {}
            State::Listening { .. } => {
                self.wait_for(id, target);
                return Ok(Answer::Wait(ready::WRITABLE));
            }
            _ => return Err(ECONNREFUSED),
        }
        let embryo = self.create(kind, theirs);
        let server = self.get(embryo)?;
        server.peer = Some(id);
        server.state = State::Connected;
        server.peer_credentials = by;
        server.address = address;
        if let State::Listening { pending, .. } = &mut self.get(target)?.state {
            pending.push_back(embryo);
        }
        let client = self.get(id)?;
        client.peer = Some(embryo);
        client.state = State::Connected;
        client.peer_credentials = theirs;
        self.touch(id);
        self.arrive(target);
        Ok(Answer::Done(()))
    }

    fn connect_datagrams(&mut self, id: Id, name: &Name) -> Result<()> {
        let target = self.datagram_target(id, name)?;
        self.get(id)?.peer = Some(target);
        self.touch(id);
        Ok(())
    }

    /// The datagram socket with a name, if it may be sent to from `id`.
    pub(super) fn datagram_target(&mut self, id: Id, name: &Name) -> Result<Id> {
        let target = *self.names.get(name).ok_or(ECONNREFUSED)?;
        let other = self.get(target)?;
        if other.kind != Type::Datagram {
            return Err(wrong_kind(name));
        }
        match other.peer {
            Some(peer) if peer != id => Err(EPERM),
            _ => Ok(target),
        }
    }

    /// A datagram socket has no peer any more.
    pub fn disconnect(&mut self, id: Id) -> Result<()> {
        let socket = self.get(id)?;
        if socket.kind != Type::Datagram {
            return Err(EINVAL);
        }
        socket.peer = None;
        self.touch(id);
        Ok(())
    }

    /// A sender is not writable until `target` has room.
    pub(super) fn wait_for(&mut self, id: Id, target: Id) {
        if let Ok(sender) = self.get(id) {
            sender.waits_for = Some(target);
            self.touch(id);
        }
        if let Ok(receiver) = self.get(target)
            && !receiver.senders.contains(&id)
        {
            receiver.senders.push(id);
        }
    }

    /// Who was told to wait does not.
    pub fn wait_no_more(&mut self, id: Id) {
        self.wake_senders([id].into());
    }

    /// `target` has room.
    pub(super) fn has_room(&mut self, target: Id) {
        if let Ok(socket) = self.get(target) {
            let senders = core::mem::take(&mut socket.senders);
            self.wake_senders(senders);
        }
    }

    /// `accept(2)`: the new socket.
    ///
    /// # Errors
    /// `EINVAL`: it does not listen; `EOPNOTSUPP`: it cannot.
    pub fn accept(&mut self, id: Id) -> Result<Answer<Id>> {
        let socket = self.get(id)?;
        if !matches!(socket.kind, Type::Stream | Type::SeqPacket) {
            return Err(EOPNOTSUPP);
        }
        let State::Listening { pending, .. } = &mut socket.state else {
            return Err(EINVAL);
        };
        let Some(new) = pending.pop_front() else {
            return Ok(Answer::Wait(ready::READABLE));
        };
        self.touch(id);
        self.has_room(id);
        Ok(Answer::Done(new))
    }

    /// `sun_path` of the peer.
    pub fn peer_address(&mut self, id: Id) -> Result<Vec<u8>> {
        let peer = self.get(id)?.peer.ok_or(crate::errno::ENOTCONN)?;
        Ok(self
            .get(peer)
            .map_or_else(|_| Vec::new(), |peer| peer.address.clone()))
    }

    /// Whether it listens (`SO_ACCEPTCONN`).
    pub fn listens(&mut self, id: Id) -> bool {
        self.get(id)
            .is_ok_and(|socket| matches!(socket.state, State::Listening { .. }))
    }
}

/// As on Linux: abstract names are looked for among those of the own kind only.
fn wrong_kind(name: &Name) -> Errno {
    match name {
        Name::Abstract(_) => ECONNREFUSED,
        Name::File(_) => EPROTOTYPE,
    }
}
