//! The receiving side: the loop of a server.
//!
//! [`run`] receives, hands what came to the [`Service`], and replies. A service that cannot answer yet
//! keeps the [`Caller`] and answers later with [`Caller::reply`].

use crate::connections::Connections;
use crate::sys::{ipc, memory, utcb};
use alloc::vec::Vec;
use ferrix_abi::error::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{HANDLES_MAX, HandleItem, Kind, LONG_MAX, Tag};
use ferrix_proto::request::{CONNECT, Head, Place};

/// Linux errno.
pub type Errno = i32;

/// Who waits for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Process of the caller, stamped by the kernel.
    pub pid: u32,
    /// The kernel's name for the call.
    pub token: u64,
}

impl Caller {
    /// Answers a call that was kept.
    ///
    /// # Errors
    /// `NoSuchProcess` if the caller is gone: take back what it was about to get.
    pub fn reply(self, reply: &Reply) -> Result<(), Error> {
        let (tag, words) = reply.encode();
        ipc::reply(self.token, tag, words).inspect_err(|_| close_moved(tag))
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// Badge of the session it is asked on; 0 on the port itself.
    pub badge: u32,
    /// Operation, place and length of the payload.
    pub head: Head,
    /// Words 1 to 3.
    pub words: [u64; 3],
    /// LONG bytes received.
    pub bytes: usize,
    /// Handles received.
    pub handles: usize,
}

impl Request {
    /// The inline payload (copied: the UTCB is overwritten by the next call) and its length.
    ///
    /// # Errors
    /// `EINVAL` when the length announced is not the length that came.
    pub fn inline(&self) -> Result<([u8; LONG_MAX], usize), Errno> {
        let length = self.head.length() as usize;
        if length > self.bytes {
            return Err(Error::Invalid.into());
        }
        let (buffer, _) = utcb::received_bytes(length);
        Ok((buffer, length))
    }

    /// The payload from wherever it is, at most `most` bytes.
    ///
    /// # Errors
    /// `E2BIG` when longer, `EINVAL` when it is not where the request says.
    pub fn payload(&self, connections: &Connections, most: usize) -> Result<Vec<u8>, Errno> {
        let length = self.head.length() as usize;
        if length > most {
            return Err(Error::TooBig.into());
        }
        if self.head.place() == Place::INLINE {
            let (buffer, length) = self.inline()?;
            return Ok(buffer[..length].to_vec());
        }
        let mut bytes = alloc::vec![0; length];
        connections
            .window(self.caller.pid)?
            .read(self.words[2], &mut bytes)?;
        Ok(bytes)
    }

    /// The handle received at `index`.
    ///
    /// # Errors
    /// `EBADF` when none came.
    pub fn handle(&self, index: usize) -> Result<Handle, Errno> {
        if index < self.handles {
            Ok(utcb::received_handle(index))
        } else {
            Err(Error::BadHandle.into())
        }
    }

    /// Answers `bytes` where the request wants them, cut to the room it has.
    ///
    /// # Errors
    /// `EINVAL` when the window is missing or too small.
    pub fn answer_bytes(&self, connections: &Connections, bytes: &[u8]) -> Result<Reply, Errno> {
        if self.head.place() == Place::INLINE {
            return Ok(Reply::inline(bytes));
        }
        connections
            .window(self.caller.pid)?
            .write(self.words[2], bytes)?;
        Ok(Reply::value(bytes.len() as u64))
    }
}

/// An answer. What it says of bytes and handles has been put into the UTCB just before.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// Zero or more, or a negated errno.
    pub status: i64,
    /// Words 1 to 3.
    pub words: [u64; 3],
    /// LONG bytes in the UTCB.
    pub bytes: usize,
    /// Handles in the UTCB.
    pub handles: usize,
}

impl Reply {
    /// Success with a value.
    pub const fn value(value: u64) -> Reply {
        Reply {
            status: value as i64,
            words: [0; 3],
            bytes: 0,
            handles: 0,
        }
    }

    /// Failure.
    pub const fn error(errno: Errno) -> Reply {
        Reply {
            status: -(errno as i64),
            words: [0; 3],
            bytes: 0,
            handles: 0,
        }
    }

    /// Success with LONG bytes (at most 256; the status is how many).
    pub fn inline(bytes: &[u8]) -> Reply {
        let length = utcb::put_bytes(bytes);
        Reply {
            status: length as i64,
            words: [0; 3],
            bytes: length,
            handles: 0,
        }
    }

    /// Adds words 1 to 3.
    pub const fn with_words(mut self, words: [u64; 3]) -> Reply {
        self.words = words;
        self
    }

    /// Adds a handle, which leaves this process.
    pub fn with_handle(mut self, handle: Handle, rights: Rights) -> Reply {
        utcb::move_handle(self.handles, handle, rights);
        self.handles += 1;
        self
    }

    /// Adds a copy of a handle.
    pub fn with_copied_handle(mut self, handle: Handle, rights: Rights) -> Reply {
        utcb::put_handle(self.handles, handle, rights);
        self.handles += 1;
        self
    }

    fn encode(&self) -> (Tag, [u64; 4]) {
        let [first, second, third] = self.words;
        (
            Tag::new(self.bytes, self.handles, 0),
            [self.status as u64, first, second, third],
        )
    }
}

/// Rights of a session that a client gets.
pub const SESSION_RIGHTS: Rights = Rights::SEND.union(Rights::DUP).union(Rights::TRANSFER);

/// What a service makes of a request.
pub type Outcome = Result<Option<Reply>, Errno>;

/// A server's logic.
pub trait Service {
    /// Answers a request: a reply, `Ok(None)` when the answer comes later, or an errno.
    fn request(&mut self, request: &Request) -> Outcome;
    /// The last handle to the session is gone.
    fn closed(&mut self, badge: u32);
    /// An irq or timer: `count` times since the last.
    fn notified(&mut self, _badge: u32, _count: u64) {}
    /// A caller that is still waiting wants its call ended: answer it now.
    fn cancelled(&mut self, _caller: Caller) {}
    /// Somebody waits for page `page` of the paged object with this badge; from there on `count` are absent.
    /// Answered by `ObjectSupply` or `ObjectFail`.
    fn page_wanted(&mut self, _badge: u32, _page: u64, _count: u64) {}
    /// Nobody maps or names the paged object with this badge any more.
    fn object_unused(&mut self, _badge: u32) {}
    /// Pages are few: so many more would be enough. Returns how many were given back.
    fn memory_low(&mut self, _wanted: u64) -> u64 {
        0
    }
    /// The reply could not be delivered because the caller is gone.
    fn undelivered(&mut self, _request: &Request) {}
    /// The windows of this server's clients.
    fn connections(&mut self) -> &mut Connections;
}

/// Serves the port for ever.
///
/// # Errors
/// Only when the port itself fails.
pub fn run(port: Handle, service: &mut dyn Service) -> Result<(), Error> {
    let mut received = ipc::receive(port, Tag::SHORT)?;
    loop {
        received = match dispatch(port, service, &received) {
            None => ipc::receive(port, Tag::SHORT)?,
            Some((request, reply)) => {
                let (tag, words) = reply.encode();
                match ipc::reply_receive(port, request.caller.token, tag, words) {
                    Ok(next) => next,
                    Err(Error::NoSuchProcess) => {
                        close_moved(tag);
                        service.undelivered(&request);
                        ipc::receive(port, Tag::SHORT)?
                    }
                    Err(error) => return Err(error),
                }
            }
        };
    }
}

/// Handles one event; a request with its reply if there is one to send.
fn dispatch(
    port: Handle,
    service: &mut dyn Service,
    received: &ipc::Received,
) -> Option<(Request, Reply)> {
    let caller = Caller {
        pid: received.pid,
        token: received.token,
    };
    match received.kind {
        Kind::CALL => {
            let request = decode(received, caller);
            let outcome = match request.head.operation() {
                CONNECT => connect(service, &request).map(Some),
                _ => service.request(&request),
            };
            match outcome {
                Ok(None) => None,
                Ok(Some(reply)) => Some((request, reply)),
                Err(errno) => Some((request, Reply::error(errno))),
            }
        }
        Kind::NOTIFY => {
            service.notified(received.badge, received.words[0]);
            None
        }
        Kind::SESSION_CLOSED => {
            if !service.connections().closed(received.badge) {
                service.closed(received.badge);
            }
            None
        }
        Kind::CANCEL => {
            service.cancelled(caller);
            None
        }
        Kind::PAGE_REQUEST => {
            let [page, count, ..] = received.words;
            service.page_wanted(received.badge, page, count);
            None
        }
        Kind::OBJECT_UNUSED => {
            service.object_unused(received.badge);
            None
        }
        Kind::MEMORY_LOW => {
            let given_back = service.memory_low(received.words[0]);
            // Only a dead port refuses.
            let _ = memory::watch(port, given_back);
            None
        }
        _ => None,
    }
}

fn decode(received: &ipc::Received, caller: Caller) -> Request {
    let [head, first, second, third] = received.words;
    Request {
        caller,
        badge: received.badge,
        head: Head(head),
        words: [first, second, third],
        bytes: received.tag.bytes(),
        handles: received.tag.handles(),
    }
}

fn connect(service: &mut dyn Service, request: &Request) -> Result<Reply, Errno> {
    let object = request.handle(0)?;
    let session = service.connections().connect(request.caller.pid, object)?;
    Ok(Reply::value(0).with_handle(session, SESSION_RIGHTS | Rights::NO_INHERIT))
}

/// A reply that did not arrive: the handles that were to leave are still ours, and no one's use.
fn close_moved(tag: Tag) {
    for index in 0..tag.handles().min(HANDLES_MAX) {
        // The item is the one that `with_handle` put in: the kernel changes nothing when it fails.
        let (handle, moved) = utcb::item(index);
        if moved & HandleItem::MOVE != 0 {
            let _ = ipc::close(handle);
        }
    }
}
