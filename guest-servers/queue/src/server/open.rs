//! Queues come and go: by name, as topics and subscriptions, as mailboxes.

use super::notify::Registration;
use super::sessions::Object;
use super::{Server, identity};
use alloc::vec::Vec;
use ferrix_abi::limit::Resource;
use ferrix_proto::queue::mq::{self, create};
use ferrix_queue::errno::{EACCES, EINVAL, ENOENT, ESRCH, Result};
use ferrix_queue::message::{MessageQueue, Shape};
use ferrix_queue::names::{Open, Opened, Who};
use ferrix_rt::service::{Outcome, Reply, Request, SESSION_RIGHTS};
use ferrix_rt::sys::{limit, process};
use linux_raw_sys::general as linux;

/// What a mailbox holds.
const MAILBOX: Shape = Shape {
    messages: mq::MESSAGES as usize,
    size: mq::SIZE as usize,
};
/// The directory of mailboxes.
const MAILBOXES: &[u8] = b"pid/";

/// What a queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A queue with a name, or one that had one; who made it.
    Named { uid: u32, linked: bool },
    /// The same, whose messages go to all subscribers.
    Topic {
        uid: u32,
        linked: bool,
        subscribers: Vec<u32>,
    },
    /// What a subscriber of a topic has not received yet; whose it is; what it lost because it was slow.
    Subscription { topic: u32, uid: u32, lost: u64 },
    /// A process's mailbox; when the process began.
    Mailbox { pid: u32, start_ns: u64 },
}

/// A queue and who uses it.
pub struct Post {
    /// Its messages, and who waits.
    pub queue: MessageQueue<u64>,
    /// What it is.
    pub kind: Kind,
    /// Badges of the open descriptions.
    pub sessions: Vec<u32>,
    /// Who is told of a message.
    pub registration: Option<Registration>,
}

fn who(request: &Request) -> Result<Who> {
    let ids = identity(request)?;
    Ok(Who {
        uid: ids.euid,
        gid: ids.egid,
    })
}

/// Bytes that the queues of the caller's user may take.
fn limit(request: &Request) -> Result<u64> {
    let limit = limit::set(request.caller.pid, Resource::MessageQueues, None);
    limit.map(|limit| limit.soft).map_err(i32::from)
}

/// A process's start: `ESRCH` if there is none.
fn start_of(pid: u32) -> Result<u64> {
    let next = process::next(pid.wrapping_sub(1)).map_err(|_| ESRCH)?;
    let found = next.pid == pid && next.state != ferrix_abi::process::state::ZOMBIE;
    found.then_some(next.start_ns).ok_or(ESRCH)
}

impl Server {
    /// `mq_open(3)`.
    pub(super) fn open(&mut self, request: &Request) -> Outcome {
        let [word, shape, options] = request.words;
        let (flags, mode) = (word as u32, (word >> 32) as u32);
        let (name, length) = request.inline()?;
        let name = &name[..length];
        if let Some(process) = name.strip_prefix(MAILBOXES) {
            return self.open_mailbox(request, process, flags);
        }
        let with_attributes = options & create::WITH_ATTRIBUTES != 0;
        let open = Open {
            name,
            flags,
            mode,
            shape: with_attributes.then_some((u64::from(shape as u32), shape >> 32)),
            who: who(request)?,
            limit: limit(request)?,
        };
        let id = match self.names.open(&open)? {
            Opened::Existing(id) => id,
            Opened::New(shape) => self.create(&open, shape, options),
        };
        self.open_session(request, id, flags)
    }

    fn create(&mut self, open: &Open, shape: Shape, options: u64) -> u32 {
        let (uid, linked) = (open.who.uid, true);
        let kind = match options & create::TOPIC {
            0 => Kind::Named { uid, linked },
            _ => Kind::Topic {
                uid,
                linked,
                subscribers: Vec::new(),
            },
        };
        let id = self.add_post(kind, shape);
        self.names.add(open, id, shape);
        id
    }

    fn add_post(&mut self, kind: Kind, shape: Shape) -> u32 {
        let id = self.next_queue;
        self.next_queue += 1;
        let post = Post {
            queue: MessageQueue::new(shape),
            kind,
            sessions: Vec::new(),
            registration: None,
        };
        self.posts.insert(id, post);
        id
    }

    /// Gives a session of a queue; who opens a topic for reading subscribes.
    fn open_session(&mut self, request: &Request, id: u32, flags: u32) -> Outcome {
        let reads = flags & linux::O_ACCMODE != linux::O_WRONLY;
        let post = self.posts.get(&id).ok_or(ENOENT)?;
        let (mut from, shape) = (id, post.queue.shape());
        if matches!(post.kind, Kind::Topic { .. }) && reads {
            let uid = who(request)?.uid;
            self.names.reserve(uid, shape, limit(request)?)?;
            let (topic, lost) = (id, 0);
            from = self.add_post(Kind::Subscription { topic, uid, lost }, shape);
        }
        let kept = flags & (linux::O_ACCMODE | linux::O_NONBLOCK);
        let added = self.sessions.add(Object::Queue { from, to: id }, kept);
        let (handle, badge) = added.inspect_err(|_| self.collect(from))?;
        for id in [from, id] {
            if let Some(post) = self.posts.get_mut(&id)
                && !post.sessions.contains(&badge)
            {
                post.sessions.push(badge);
            }
        }
        if from != id
            && let Some(Kind::Topic { subscribers, .. }) = self.kind_mut(id)
        {
            subscribers.push(from);
        }
        self.signal(from);
        Ok(Some(Reply::value(0).with_handle(handle, SESSION_RIGHTS)))
    }

    fn kind_mut(&mut self, id: u32) -> Option<&mut Kind> {
        self.posts.get_mut(&id).map(|post| &mut post.kind)
    }

    /// `pid/N`: anybody sends, the process itself receives.
    fn open_mailbox(&mut self, request: &Request, process: &[u8], flags: u32) -> Outcome {
        let caller = request.caller.pid;
        let text = core::str::from_utf8(process).map_err(|_| EINVAL)?;
        let pid = match text {
            "self" => caller,
            number => number.parse().map_err(|_| EINVAL)?,
        };
        self.forget_dead_mailboxes();
        let start_ns = start_of(pid)?;
        if flags & linux::O_ACCMODE != linux::O_WRONLY && pid != caller {
            return Err(EACCES);
        }
        let id = match self.mailboxes.get(&pid) {
            Some(&id) => id,
            None => {
                let id = self.add_post(Kind::Mailbox { pid, start_ns }, MAILBOX);
                self.mailboxes.insert(pid, id);
                id
            }
        };
        self.open_session(request, id, flags)
    }

    fn forget_dead_mailboxes(&mut self) {
        let mut dead = Vec::new();
        for (&pid, &id) in &self.mailboxes {
            let kind = self.posts.get(&id).map(|post| &post.kind);
            let Some(Kind::Mailbox { start_ns, .. }) = kind else {
                continue;
            };
            if start_of(pid) != Ok(*start_ns) {
                dead.push((pid, id));
            }
        }
        for (pid, id) in dead {
            self.mailboxes.remove(&pid);
            self.collect(id);
        }
    }

    /// `mq_unlink(3)`.
    pub(super) fn unlink(&mut self, request: &Request) -> Outcome {
        let (name, length) = request.inline()?;
        let id = self.names.unlink(&name[..length], who(request)?)?;
        if let Some(Kind::Named { linked, .. } | Kind::Topic { linked, .. }) = self.kind_mut(id) {
            *linked = false;
        }
        self.collect(id);
        Ok(Some(Reply::value(0)))
    }

    /// A description of the queue was closed.
    pub(super) fn description_closed(&mut self, id: u32, badge: u32) {
        if let Some(post) = self.posts.get_mut(&id) {
            post.sessions.retain(|other| *other != badge);
        }
        self.collect(id);
    }

    /// Drops a queue that nobody can reach.
    fn collect(&mut self, id: u32) {
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        let (uid, named) = match &post.kind {
            Kind::Named { uid, linked } | Kind::Topic { uid, linked, .. } => (Some(*uid), *linked),
            Kind::Mailbox { pid, .. } => (None, self.mailboxes.get(pid) == Some(&id)),
            Kind::Subscription { uid, .. } => (Some(*uid), false),
        };
        if named || !post.sessions.is_empty() {
            return;
        }
        let Some(post) = self.posts.remove(&id) else {
            return;
        };
        if let Some(uid) = uid {
            self.names.release(uid, post.queue.shape());
        }
        if let Kind::Subscription { topic, .. } = post.kind
            && let Some(Kind::Topic { subscribers, .. }) = self.kind_mut(topic)
        {
            subscribers.retain(|other| *other != id);
        }
    }
}
