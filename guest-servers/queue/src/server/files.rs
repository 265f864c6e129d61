//! Queues as open files: attributes, status flags, and the line of text that Linux's mqueue file system shows.

use super::Server;
use super::open::{Kind, Post};
use super::sessions::Object;
use alloc::string::String;
use core::fmt::Write;
use ferrix_proto::attributes::{Attributes, Plain};
use ferrix_proto::file::position;
use ferrix_queue::errno::{EBADF, EINVAL, ENOTTY, Result};
use ferrix_queue::socket::Type;
use ferrix_rt::service::{Outcome, Reply, Request};
use linux_raw_sys::general as linux;

impl Server {
    /// The queue of a description: what it receives from.
    fn post_of(&mut self, badge: u32) -> Result<(u32, &Post)> {
        let Object::Queue { from, .. } = self.sessions.get(badge)?.object else {
            return Err(EBADF);
        };
        Ok((from, self.posts.get(&from).ok_or(EBADF)?))
    }

    /// `mq_getattr(3)`.
    pub(super) fn attributes(&mut self, request: &Request) -> Outcome {
        let flags = self.sessions.get(request.badge)?.flags & linux::O_NONBLOCK;
        let (_, post) = self.post_of(request.badge)?;
        let shape = post.queue.shape();
        let both = shape.messages as u64 | (shape.size as u64) << 32;
        let words = [flags.into(), both, post.queue.len() as u64];
        Ok(Some(Reply::value(0).with_words(words)))
    }

    /// `fcntl(F_GETFL)`.
    pub(super) fn get_flags(&mut self, request: &Request) -> Outcome {
        let flags = self.sessions.get(request.badge)?.flags;
        Ok(Some(Reply::value(0).with_words([flags.into(), 0, 0])))
    }

    /// `fcntl(F_SETFL)`.
    pub(super) fn set_flags(&mut self, request: &Request) -> Outcome {
        let session = self.sessions.get(request.badge)?;
        let changeable = linux::O_NONBLOCK;
        session.flags = session.flags & !changeable | request.words[0] as u32 & changeable;
        Ok(Some(Reply::value(0)))
    }

    /// `fstat(2)`.
    pub(super) fn get_attributes(&mut self, request: &Request) -> Outcome {
        if let Object::Socket { .. } | Object::Counter { .. } =
            self.sessions.get(request.badge)?.object
        {
            return Ok(Some(Reply::inline(
                plain(request.badge, self.socket(request.badge).is_ok()).to_bytes(),
            )));
        }
        let (id, _) = self.post_of(request.badge)?;
        let owner = self.names.owner(id);
        let (uid, gid, mode) = owner.map_or((0, 0, 0o600), |(who, mode)| (who.uid, who.gid, mode));
        let attributes = Attributes {
            inode: id.into(),
            mode: linux::S_IFREG | mode,
            links: owner.is_some().into(),
            uid,
            gid,
            size: 80,
            block_size: 4096,
            ..Attributes::default()
        };
        Ok(Some(Reply::inline(attributes.to_bytes())))
    }

    /// `write(2)`: to a counter.
    pub(super) fn write(&mut self, request: &Request) -> Outcome {
        match self.sessions.get(request.badge)?.object {
            Object::Counter { id } => self.write_counter(request, id),
            _ => Err(EINVAL),
        }
    }

    /// `ioctl(2)`: how much a socket has to receive, and its peer has not received.
    pub(super) fn ioctl(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge).map_err(|_| ENOTTY)?;
        let unreceived = self.sockets.all.unreceived(id) as u32;
        let socket = self.sockets.all.get(id)?;
        let bytes = match request.words[0] as u32 {
            linux_raw_sys::ioctl::FIONREAD if socket.kind == Type::Datagram => {
                socket.inbox.first_bytes() as u32
            }
            linux_raw_sys::ioctl::FIONREAD => socket.inbox.bytes() as u32,
            linux_raw_sys::ioctl::TIOCOUTQ => unreceived,
            _ => return Err(ENOTTY),
        };
        Ok(Some(Reply {
            status: 0,
            ..Reply::inline(&bytes.to_le_bytes())
        }))
    }

    /// Somebody waits for events of the description.
    pub(super) fn watch(&mut self, request: &Request) -> Outcome {
        self.sessions.get(request.badge)?.watched = true;
        Ok(Some(Reply::value(0)))
    }

    /// `read(2)`: one line about the queue.
    pub(super) fn read(&mut self, request: &Request) -> Outcome {
        if let Object::Counter { id } = self.sessions.get(request.badge)?.object {
            return self.read_counter(request, id);
        }
        let (_, post) = self.post_of(request.badge)?;
        let text = describe(post);
        let session = self.sessions.get(request.badge)?;
        let at = match request.words[0] {
            position::CURRENT => session.offset,
            at => at,
        };
        let rest = &text.as_bytes()[(at as usize).min(text.len())..];
        let rest = &rest[..rest.len().min(request.head.length() as usize)];
        if request.words[0] == position::CURRENT {
            session.offset += rest.len() as u64;
        }
        request.answer_bytes(&self.connections, rest).map(Some)
    }
}

/// Attributes of what has no name.
fn plain(badge: u32, is_socket: bool) -> Attributes {
    let mode = if is_socket {
        linux::S_IFSOCK | 0o777
    } else {
        0o600
    };
    Attributes {
        inode: badge.into(),
        mode,
        links: 1,
        block_size: 4096,
        ..Attributes::default()
    }
}

fn describe(post: &Post) -> String {
    let (notify, signal, pid) = post.registration.map_or((0, 0, 0), |own| own.numbers());
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "QSIZE:{:<10} NOTIFY:{notify:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}",
        post.queue.bytes()
    );
    let _ = match &post.kind {
        Kind::Topic { subscribers, .. } => write!(text, " SUBSCRIBERS:{}", subscribers.len()),
        Kind::Subscription { lost, .. } => write!(text, " LOST:{lost}"),
        Kind::Named { .. } | Kind::Mailbox { .. } => Ok(()),
    };
    text.push('\n');
    text
}
