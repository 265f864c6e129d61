//! Sockets of the Unix domain (unix(7)): who is connected to whom, what was sent and not received yet.
//!
//! | file | what |
//! |---|---|
//! | `inbox.rs` | what a socket has to receive |
//! | `connect.rs` | names, listening, connecting, accepting |
//! | `transfer.rs` | sending and receiving |
//! | `cycles.rs` | sockets passed through themselves |
//!
//! Passed descriptors are values of type `R`, dropped with the message that carries them. Nothing waits here:
//! [`Answer::Wait`] says for what the caller has to.

mod connect;
mod cycles;
mod inbox;
mod transfer;

pub use inbox::{Inbox, LIMIT, Packet};
pub use transfer::{OVERHEAD, Received, Send, Take};

use crate::errno::{EBADF, Errno, Result};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use ferrix_abi::ipc::ready;

/// `SOCK_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Bytes in order.
    Stream,
    /// Messages from anybody.
    Datagram,
    /// Messages in order.
    SeqPacket,
    /// Receives what a message queue tells (`AF_NETLINK`).
    Notification,
}

/// A name: an abstract one, or a file's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// The bytes behind the first NUL.
    Abstract(Vec<u8>),
    /// What `vfs` told.
    File([u64; 2]),
}

/// The ids of who sent or connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Process.
    pub pid: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Number of a socket.
pub type Id = u32;

/// What a call comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is done.
    Done(T),
    /// It would wait for these [`ready`] bits.
    Wait(u32),
}

/// What a socket does.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nothing yet; a datagram socket stays so.
    Idle,
    /// Waits for connections.
    Listening {
        backlog: usize,
        pending: VecDeque<Id>,
    },
    /// It has, or had, a peer.
    Connected,
}

/// A socket.
#[derive(Debug)]
pub struct Socket<R> {
    /// What it is.
    pub kind: Type,
    state: State,
    /// `sun_path` as it was bound.
    pub address: Vec<u8>,
    name: Option<Name>,
    /// Who gets what is sent without an address.
    pub peer: Option<Id>,
    /// What it has to receive.
    pub inbox: Inbox<R>,
    reads_no_more: bool,
    writes_no_more: bool,
    /// The next call fails with this (`SO_ERROR`).
    pub error: i32,
    /// Ids of the peer when it connected or listened (`SO_PEERCRED`).
    pub peer_credentials: Credentials,
    /// Its own, which its peer sees.
    credentials: Credentials,
    /// `SO_PASSCRED`.
    pub passes_credentials: bool,
    /// Bytes that it has sent, and its peer not received, at most (`SO_SNDBUF`).
    pub send_limit: usize,
    /// Full sockets that it waits to send to, and senders that wait for this one.
    waits_for: Option<Id>,
    senders: Vec<Id>,
}

impl<R> Socket<R> {
    /// Bytes that may be sent to `peer` now. What others have sent to it counts too, as if it were its own.
    fn room_at(&self, peer: &Socket<R>) -> usize {
        let own = self.send_limit.saturating_sub(peer.inbox.bytes());
        own.min(peer.inbox.room())
    }

    /// Whether that is enough to wake who waits for it.
    fn is_roomy(&self, peer: &Socket<R>) -> bool {
        self.room_at(peer) >= self.send_limit.min(peer.inbox.limit) / 2
    }
}

/// All sockets.
#[derive(Debug)]
pub struct Sockets<R> {
    sockets: BTreeMap<Id, Socket<R>>,
    names: BTreeMap<Name, Id>,
    next: Id,
    next_name: u32,
    /// Sockets whose readiness may have changed.
    touched: Vec<Id>,
    /// Sockets that got something to receive.
    arrived: Vec<Id>,
}

impl<R> Default for Sockets<R> {
    fn default() -> Sockets<R> {
        Sockets {
            sockets: BTreeMap::new(),
            names: BTreeMap::new(),
            next: 1,
            next_name: 0,
            touched: Vec::new(),
            arrived: Vec::new(),
        }
    }
}

impl<R> Sockets<R> {
    /// A new socket.
    pub fn create(&mut self, kind: Type, credentials: Credentials) -> Id {
        let id = self.next;
        self.next += 1;
        let socket = Socket {
            kind,
            state: State::Idle,
            address: Vec::new(),
            name: None,
            peer: None,
            inbox: Inbox::default(),
            reads_no_more: false,
            writes_no_more: false,
            error: 0,
            peer_credentials: Credentials::default(),
            credentials,
            passes_credentials: false,
            send_limit: LIMIT,
            waits_for: None,
            senders: Vec::new(),
        };
        self.sockets.insert(id, socket);
        self.touched.push(id);
        id
    }

    /// Two new sockets, connected.
    pub fn pair(&mut self, kind: Type, credentials: Credentials) -> [Id; 2] {
        let ids = [
            self.create(kind, credentials),
            self.create(kind, credentials),
        ];
        for (id, peer) in [(ids[0], ids[1]), (ids[1], ids[0])] {
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.peer = Some(peer);
                socket.state = State::Connected;
                socket.peer_credentials = credentials;
            }
        }
        ids
    }

    /// A socket.
    ///
    /// # Errors
    /// `EBADF`: there is none.
    pub fn get(&mut self, id: Id) -> Result<&mut Socket<R>> {
        self.sockets.get_mut(&id).ok_or(EBADF)
    }

    /// Those whose readiness may have changed since this was asked.
    pub fn take_touched(&mut self) -> Vec<Id> {
        core::mem::take(&mut self.touched)
    }

    /// Those that got something to receive since this was asked.
    pub fn take_arrived(&mut self) -> Vec<Id> {
        core::mem::take(&mut self.arrived)
    }

    fn arrive(&mut self, id: Id) {
        self.touch(id);
        self.arrived.push(id);
    }

    fn touch(&mut self, id: Id) {
        if !self.touched.contains(&id) {
            self.touched.push(id);
        }
    }

    /// Receives or sends no more. As on Linux a socket without a peer does so too.
    ///
    /// # Errors
    /// `EBADF`: there is no such socket.
    pub fn shutdown(&mut self, id: Id, reads: bool, writes: bool) -> Result<()> {
        let socket = self.get(id)?;
        socket.reads_no_more |= reads;
        socket.writes_no_more |= writes;
        let peer = socket.peer.filter(|_| socket.kind != Type::Datagram);
        self.touch(id);
        if let Some(peer) = peer
            && let Ok(other) = self.get(peer)
        {
            other.reads_no_more |= writes;
            other.writes_no_more |= reads;
            self.touch(peer);
        }
        Ok(())
    }

    /// The last descriptor is gone.
    pub fn close(&mut self, id: Id) {
        let Some(socket) = self.sockets.remove(&id) else {
            return;
        };
        if let Some(name) = &socket.name
            && self.names.get(name) == Some(&id)
        {
            self.names.remove(name);
        }
        if let State::Listening { pending, .. } = socket.state {
            pending.into_iter().for_each(|embryo| self.close(embryo));
        }
        let unread = !socket.inbox.is_empty();
        if socket.kind == Type::Datagram {
            // Who is connected to it notices when it sends.
            let to_it = self
                .sockets
                .iter()
                .filter(|(_, other)| other.peer == Some(id));
            self.touched.extend(to_it.map(|(other, _)| *other));
        } else if let Some(peer) = socket.peer
            && let Ok(other) = self.get(peer)
        {
            other.reads_no_more = true;
            other.writes_no_more = true;
            if unread {
                other.error = linux_raw_sys::errno::ECONNRESET as i32;
            }
            self.touch(peer);
        }
        self.wake_senders(socket.senders);
        if let Some(target) = socket.waits_for
            && let Ok(target) = self.get(target)
        {
            target.senders.retain(|&other| other != id);
        }
    }

    /// Senders need not wait for a socket any longer.
    fn wake_senders(&mut self, senders: Vec<Id>) {
        for id in senders {
            if let Ok(sender) = self.get(id) {
                sender.waits_for = None;
                self.touch(id);
            }
        }
    }

    /// What the next call would fail with, which then does not.
    ///
    /// # Errors
    /// `EBADF`: there is no such socket.
    pub fn take_error(&mut self, id: Id) -> Result<Errno> {
        let error = core::mem::take(&mut self.get(id)?.error);
        if error != 0 {
            self.touch(id);
        }
        Ok(error)
    }

    /// What `poll` should see.
    pub fn readiness(&self, id: Id) -> u32 {
        let Some(socket) = self.sockets.get(&id) else {
            return ready::HANG_UP;
        };
        if let State::Listening { pending, .. } = &socket.state {
            return if pending.is_empty() {
                0
            } else {
                ready::READABLE
            };
        }
        let mut bits = 0;
        if !socket.inbox.is_empty() || socket.reads_no_more {
            bits |= ready::READABLE;
        }
        if socket.reads_no_more {
            bits |= ready::READ_HANG_UP;
        }
        if socket.error != 0 {
            bits |= ready::ERROR;
        }
        let connecting = matches!(socket.kind, Type::Stream | Type::SeqPacket);
        // Who waits for a listener would be woken by a hang-up at once.
        let unconnected = connecting && socket.state == State::Idle && socket.waits_for.is_none();
        if unconnected || socket.reads_no_more && socket.writes_no_more {
            bits |= ready::HANG_UP;
        }
        if self.is_writable(socket) {
            bits |= ready::WRITABLE;
        }
        bits
    }

    fn is_writable(&self, socket: &Socket<R>) -> bool {
        let peer = socket.peer.and_then(|peer| self.sockets.get(&peer));
        let roomy = peer.is_none_or(|peer| socket.is_roomy(peer));
        socket.waits_for.is_none() && (socket.writes_no_more || roomy)
    }

    /// Bytes that a socket has sent and its peer has not received.
    pub fn unreceived(&self, id: Id) -> usize {
        let peer = self.sockets.get(&id).and_then(|socket| socket.peer);
        let peer = peer.and_then(|peer| self.sockets.get(&peer));
        peer.map_or(0, |peer| peer.inbox.bytes())
    }
}

#[cfg(test)]
mod tests;
