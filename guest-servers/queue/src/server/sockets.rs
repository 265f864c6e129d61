//! Sockets as sessions: making, naming, connecting them; their readiness.

use super::Server;
use super::passing::Passed;
use super::sessions::Object;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::ready;
use ferrix_proto::request::Place;
use ferrix_proto::socket::{PATH_MAX, family};
use ferrix_queue::budget::{Budget, Limits};
use ferrix_queue::errno::{EAGAIN, EBADF, EINVAL, EOPNOTSUPP, EPROTONOSUPPORT, Result};
use ferrix_queue::parked::Thread;
use ferrix_queue::socket::{Answer, Credentials, Id, Name, Sockets, Type};
use ferrix_rt::service::{Outcome, Reply, Request, SESSION_RIGHTS};
use ferrix_rt::sys::ipc;
use linux_raw_sys::{general as linux, net};

/// Sockets, and what only the server knows of them.
pub struct SocketState {
    /// They.
    pub all: Sockets<Rc<Passed>>,
    /// Badges of those that have sessions.
    pub badges: BTreeMap<Id, u32>,
    /// Options that were set.
    pub options: BTreeMap<(Id, u32), [u64; 2]>,
    /// What threads will send.
    pub staged: BTreeMap<Thread, Vec<Rc<Passed>>>,
    /// What threads have received.
    pub unstaged: BTreeMap<Thread, Vec<Rc<Passed>>>,
    /// Descriptors on their way, by who sent them.
    pub passing: Budget,
    /// How many of them are sockets.
    pub carried: Rc<Cell<usize>>,
}

/// Descriptors on their way at a time: as many as a process may have open by default for a process and a user, and for all
/// what leaves room in this server's table for its own.
const PASSING: Limits = Limits {
    process: 1024,
    user: 1024,
    all: 3072,
};

impl SocketState {
    /// None yet.
    pub fn new() -> SocketState {
        SocketState {
            all: Sockets::default(),
            badges: BTreeMap::new(),
            options: BTreeMap::new(),
            staged: BTreeMap::new(),
            unstaged: BTreeMap::new(),
            passing: Budget::new(PASSING),
            carried: Rc::default(),
        }
    }

    /// Open files that were on their way from or to a process are nobody's now.
    pub fn process_ended(&mut self, pid: u32) {
        for passed in [&mut self.staged, &mut self.unstaged] {
            passed.retain(|thread, _| thread.pid != pid);
        }
    }
}

/// A reply that says what to wait for.
pub fn wait(bits: u32, limit_ns: u64) -> Reply {
    Reply::value(0).with_words([limit_ns, 0, bits.into()])
}

/// Whether a reply says so.
pub const fn is_wait(reply: &Reply) -> bool {
    reply.words[2] != 0
}

fn kind_of(number: u64) -> Result<Type> {
    match number as u32 {
        net::SOCK_STREAM => Ok(Type::Stream),
        net::SOCK_DGRAM | net::SOCK_RAW => Ok(Type::Datagram),
        net::SOCK_SEQPACKET => Ok(Type::SeqPacket),
        _ => Err(EINVAL),
    }
}

/// The name of an address, whose key came with it.
pub fn name_of(path: &[u8], key: [u64; 2]) -> Result<Name> {
    match path {
        _ if path.len() > PATH_MAX => Err(EINVAL),
        [0, rest @ ..] => Ok(Name::Abstract(rest.to_vec())),
        _ if key != [0, 0] => Ok(Name::File(key)),
        _ => Err(EINVAL),
    }
}

impl Server {
    /// The socket of a session, and its status flags.
    pub(super) fn socket(&mut self, badge: u32) -> Result<(Id, u32)> {
        let session = self.sessions.get(badge)?;
        match session.object {
            Object::Socket { id } => Ok((id, session.flags)),
            _ => Err(EBADF),
        }
    }

    fn credentials(request: &Request) -> Result<Credentials> {
        let ids = super::identity(request)?;
        Ok(Credentials {
            pid: request.caller.pid,
            uid: ids.euid,
            gid: ids.egid,
        })
    }

    fn add_socket_session(&mut self, id: Id, flags: u32) -> Result<Handle> {
        let flags = flags & linux::O_NONBLOCK | linux::O_RDWR;
        let added = self.sessions.add(Object::Socket { id }, flags);
        let (handle, badge) = added.inspect_err(|_| self.sockets.all.close(id))?;
        self.sockets.badges.insert(id, badge);
        Ok(handle)
    }

    /// `socket(2)`.
    pub(super) fn create_socket(&mut self, request: &Request) -> Outcome {
        let word = request.words[0];
        let kind = match word & 0xffff {
            family::UNIX => kind_of(word >> 16 & 0xffff)?,
            family::NETLINK => Type::Notification,
            _ => return Err(EPROTONOSUPPORT),
        };
        let id = self.sockets.all.create(kind, Self::credentials(request)?);
        let handle = self.add_socket_session(id, (word >> 32) as u32)?;
        self.signal_sockets();
        Ok(Some(Reply::value(0).with_handle(handle, SESSION_RIGHTS)))
    }

    /// `socketpair(2)`.
    pub(super) fn create_pair(&mut self, request: &Request) -> Outcome {
        let word = request.words[0];
        if word & 0xffff != family::UNIX {
            return Err(EOPNOTSUPP);
        }
        let kind = kind_of(word >> 16 & 0xffff)?;
        let ids = self.sockets.all.pair(kind, Self::credentials(request)?);
        let flags = (word >> 32) as u32;
        let first = self.add_socket_session(ids[0], flags);
        let first = first.inspect_err(|_| self.sockets.all.close(ids[1]))?;
        let second = self.add_socket_session(ids[1], flags);
        let second = second.inspect_err(|_| {
            // Its only handle: the session ends.
            let _ = ipc::close(first);
        })?;
        self.signal_sockets();
        let reply = Reply::value(0).with_handle(first, SESSION_RIGHTS);
        Ok(Some(reply.with_handle(second, SESSION_RIGHTS)))
    }

    /// The address that is a request's whole payload.
    fn address(request: &Request) -> Result<(Vec<u8>, [u64; 2])> {
        let (bytes, length) = request.inline()?;
        let [first, second, _] = request.words;
        Ok((bytes[..length].to_vec(), [first, second]))
    }

    /// `bind(2)`.
    pub(super) fn bind(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge)?;
        let (path, key) = Self::address(request)?;
        if path.is_empty() {
            self.sockets.all.bind_somehow(id)?;
        } else {
            self.sockets.all.bind(id, name_of(&path, key)?, &path)?;
        }
        Ok(Some(Reply::value(0)))
    }

    /// `listen(2)`.
    pub(super) fn listen(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge)?;
        // As on Linux a negative number is a large one.
        let backlog = request.words[0] as u32 as usize;
        let by = Self::credentials(request)?;
        self.sockets.all.listen(id, backlog, by)?;
        self.signal_sockets();
        Ok(Some(Reply::value(0)))
    }

    /// `connect(2)`.
    pub(super) fn connect_socket(&mut self, request: &Request) -> Outcome {
        let (id, flags) = self.socket(request.badge)?;
        if request.words[2] == 1 {
            self.sockets.all.disconnect(id)?;
            return Ok(Some(Reply::value(0)));
        }
        let (path, key) = Self::address(request)?;
        let (name, by) = (name_of(&path, key)?, Self::credentials(request)?);
        if self.sockets.options.contains_key(&(id, net::SO_PASSCRED)) {
            self.sockets.all.bind_somehow(id)?;
        }
        let answer = self.sockets.all.connect(id, &name, by)?;
        if flags & linux::O_NONBLOCK != 0 && answer != Answer::Done(()) {
            self.sockets.all.wait_no_more(id);
        }
        self.signal_sockets();
        self.answer(answer, (id, flags), net::SO_SNDTIMEO, |()| Reply::value(0))
    }

    /// `accept4(2)`.
    pub(super) fn accept(&mut self, request: &Request) -> Outcome {
        let (id, flags) = self.socket(request.badge)?;
        let new = match self.sockets.all.accept(id)? {
            Answer::Done(new) => new,
            Answer::Wait(bits) => {
                let none = |()| Reply::value(0);
                return self.answer(Answer::Wait(bits), (id, flags), net::SO_RCVTIMEO, none);
            }
        };
        if let Some(&passes) = self.sockets.options.get(&(id, net::SO_PASSCRED)) {
            self.sockets.options.insert((new, net::SO_PASSCRED), passes);
            self.sockets.all.get(new)?.passes_credentials = passes[0] != 0;
        }
        let handle = self.add_socket_session(new, request.words[0] as u32)?;
        self.signal_sockets();
        self.signal_socket(new);
        let address = self.sockets.all.peer_address(new)?;
        let reply = Reply::inline(&address);
        Ok(Some(reply.with_handle(handle, SESSION_RIGHTS)))
    }

    /// The reply to what may have to wait; `limit` is the option that says for how long.
    pub(super) fn answer<T>(
        &mut self,
        answer: Answer<T>,
        (id, flags): (Id, u32),
        limit: u32,
        done: impl FnOnce(T) -> Reply,
    ) -> Outcome {
        match answer {
            Answer::Done(value) => Ok(Some(done(value))),
            Answer::Wait(_) if flags & linux::O_NONBLOCK != 0 => Err(EAGAIN),
            Answer::Wait(bits) => {
                let limit = self.sockets.options.get(&(id, limit));
                Ok(Some(wait(bits, limit.map_or(0, |limit| limit[0]))))
            }
        }
    }

    /// `getsockname(2)`, `getpeername(2)`.
    pub(super) fn socket_name(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge)?;
        let address = match request.words[0] {
            0 => self.sockets.all.get(id)?.address.clone(),
            _ => self.sockets.all.peer_address(id)?,
        };
        Ok(Some(Reply::inline(&address)))
    }

    /// `shutdown(2)`.
    pub(super) fn shutdown(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge)?;
        let (reads, writes) = match request.words[0] as u32 {
            net::SHUT_RD => (true, false),
            net::SHUT_WR => (false, true),
            net::SHUT_RDWR => (true, true),
            _ => return Err(EINVAL),
        };
        self.sockets.all.shutdown(id, reads, writes)?;
        self.signal_sockets();
        Ok(Some(Reply::value(0)))
    }

    /// A socket's last descriptor is gone.
    pub(super) fn socket_closed(&mut self, id: Id) {
        self.sockets.badges.remove(&id);
        self.sockets.options.retain(|(owner, _), _| *owner != id);
        self.sockets.all.close(id);
        self.signal_sockets();
    }

    /// Tells the kernel what `poll` should see of the sockets that changed.
    pub(super) fn signal_sockets(&mut self) {
        for id in self.sockets.all.take_touched() {
            self.signal_socket(id);
        }
        for id in self.sockets.all.take_arrived() {
            if let Some(&badge) = self.sockets.badges.get(&id) {
                self.sessions.event(badge, ready::READABLE);
            }
        }
    }

    fn signal_socket(&mut self, id: Id) {
        if let Some(&badge) = self.sockets.badges.get(&id) {
            let bits = self.sockets.all.readiness(id);
            self.sessions.signal(badge, bits);
        }
    }
}

/// Whether a request's data is in the window.
pub fn is_in_window(request: &Request) -> bool {
    request.head.place() == Place::WINDOW
}
