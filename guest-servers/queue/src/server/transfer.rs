//! Sending and receiving.

use super::open::Kind;
use super::parcels::{Letter, Origin};
use super::sessions::Object;
use super::{Place, Server, Wait};
use alloc::vec::Vec;
use ferrix_abi::ipc::ready;
use ferrix_abi::sched::{Policy, REALTIME};
use ferrix_proto::queue::mq;
use ferrix_queue::errno::{EAGAIN, EBADF, EINVAL, EMSGSIZE, ENOMEM, ETIMEDOUT, Result};
use ferrix_queue::message::{Message, Sent};
use ferrix_queue::parked::Parcel;
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::service::{Caller, Outcome, Reply, Request};
use ferrix_rt::sys::thread;
use linux_raw_sys::general as linux;

/// How urgent a waiting thread is: its real-time priority; all others are equal.
fn rank(caller: Caller) -> u32 {
    let scheduling = thread::scheduling(caller.token as u32);
    match scheduling {
        Ok((policy, base)) if policy != Policy::Other as u8 => {
            u32::from(base.saturating_sub(*REALTIME.start()) + 1)
        }
        _ => 0,
    }
}

fn letter(id: u32, message: Message) -> Letter {
    let priority = message.priority;
    Parcel {
        room: message.bytes.len(),
        bytes: message.bytes,
        origin: Some(Origin::Queue { id, priority }),
        charge: None,
    }
}

impl Server {
    /// The description's queue and status flags, if its access mode allows what is asked.
    fn opened(&mut self, badge: u32, refused: u32) -> Result<(u32, u32, u32)> {
        let session = self.sessions.get(badge)?;
        match session.object {
            Object::Queue { from, to } if session.flags & linux::O_ACCMODE != refused => {
                Ok((from, to, session.flags))
            }
            _ => Err(EBADF),
        }
    }

    /// `mq_timedsend(3)`.
    pub(super) fn send(&mut self, request: &Request) -> Outcome {
        let [word, deadline, _] = request.words;
        let (priority, how) = (u64::from(word as u32), word >> 32);
        let (_, to, flags) = self.opened(request.badge, linux::O_RDONLY)?;
        let most = self.posts.get(&to).ok_or(EBADF)?.queue.shape().size;
        if priority >= mq::PRIORITIES {
            return Err(EINVAL);
        }
        if request.head.length() as usize > most {
            return Err(EMSGSIZE);
        }
        let (bytes, charge) = if how == mq::DEPOSITED {
            let kept = self.deposited(request)?;
            (kept.bytes, kept.charge)
        } else {
            (request.payload(&self.connections, most)?, None)
        };
        let message = Message {
            priority: priority as u32,
            bytes,
        };
        let post = self.posts.get(&to).ok_or(EBADF)?;
        if let Kind::Topic { subscribers, .. } = &post.kind {
            let subscribers = subscribers.clone();
            self.publish(&subscribers, &message, request.caller);
            return Ok(Some(Reply::value(0)));
        }
        let Some(message) = self.deliver(to, message, request.caller) else {
            return Ok(Some(Reply::value(0)));
        };
        if flags & linux::O_NONBLOCK != 0 {
            return Err(EAGAIN);
        }
        if how == mq::TRY {
            let charge = self.charge(request, message.bytes.len(), ENOMEM)?;
            self.keep(request.caller, message.bytes, Some(charge));
            return Ok(Some(Reply::value(1)));
        }
        if deadline <= monotonic_ns() {
            return Err(ETIMEDOUT);
        }
        let rank = rank(request.caller);
        if let Some(post) = self.posts.get_mut(&to) {
            post.queue.wait_to_send(request.caller.token, rank, message);
        }
        let at = (Place::Queue(to), ETIMEDOUT);
        self.wait_with(request.caller, deadline, at, charge);
        Ok(None)
    }

    /// Every subscriber gets the message; who is slow loses its oldest.
    fn publish(&mut self, subscribers: &[u32], message: &Message, sender: Caller) {
        for &id in subscribers {
            let Some(back) = self.deliver(id, message.clone(), sender) else {
                continue;
            };
            let Some(post) = self.posts.get_mut(&id) else {
                continue;
            };
            let (_, went) = post.queue.send_over(back);
            if let Kind::Subscription { lost, .. } = &mut post.kind {
                *lost += u64::from(went);
            }
        }
    }

    /// Brings a message to a receiver that waits, or into the queue; it comes back if there is no room.
    fn deliver(&mut self, id: u32, message: Message, sender: Caller) -> Option<Message> {
        let message = self.hand_over(id, message)?;
        match self.posts.get_mut(&id)?.queue.send(message) {
            Sent::Full(message) => return Some(message),
            Sent::Queued => self.signal(id),
            Sent::First => {
                self.signal(id);
                self.tell(id, sender);
            }
        }
        None
    }

    /// Brings a message to the first receiver that waits; it comes back if nobody does.
    fn hand_over(&mut self, id: u32, mut message: Message) -> Option<Message> {
        loop {
            let Some(token) = self.posts.get_mut(&id)?.queue.next_receiver() else {
                return Some(message);
            };
            let Some(Wait { caller, .. }) = self.waits.take(token) else {
                continue;
            };
            let priority = message.priority;
            let bytes = self.bring(caller, letter(id, message))?.bytes;
            message = Message { priority, bytes };
        }
    }

    /// A message did not reach its receiver: another one may wait.
    pub(super) fn return_message(&mut self, id: u32, message: Message) {
        if let Some(message) = self.hand_over(id, message)
            && let Some(post) = self.posts.get_mut(&id)
        {
            post.queue.put_back(message);
            self.signal(id);
        }
    }

    /// `mq_timedreceive(3)`.
    pub(super) fn receive(&mut self, request: &Request) -> Outcome {
        let [_, deadline, _] = request.words;
        let (from, _, flags) = self.opened(request.badge, linux::O_WRONLY)?;
        let post = self.posts.get_mut(&from).ok_or(EBADF)?;
        if (request.head.length() as usize) < post.queue.shape().size {
            return Err(EMSGSIZE);
        }
        if let Some(message) = post.queue.receive() {
            self.admit_senders(from);
            self.signal(from);
            return Ok(Some(self.hand(request.caller, letter(from, message))));
        }
        if flags & linux::O_NONBLOCK != 0 {
            return Err(EAGAIN);
        }
        if deadline <= monotonic_ns() {
            return Err(ETIMEDOUT);
        }
        let rank = rank(request.caller);
        post.queue.wait_to_receive(request.caller.token, rank);
        self.wait(request.caller, deadline, Place::Queue(from), ETIMEDOUT);
        Ok(None)
    }

    /// Senders that wait get the room that there is.
    fn admit_senders(&mut self, id: u32) {
        while let Some(post) = self.posts.get_mut(&id)
            && let Some((token, message)) = post.queue.next_sender()
        {
            let Some(Wait { caller, .. }) = self.waits.take(token) else {
                continue;
            };
            // Who has died meanwhile has sent nothing.
            if caller.reply(&Reply::value(0)).is_ok() {
                post.queue.admit(message);
            }
        }
    }

    /// Tells the kernel what `poll` should see on all descriptions of a queue.
    pub(super) fn signal(&mut self, id: u32) {
        let Some(post) = self.posts.get(&id) else {
            return;
        };
        let readable = !post.queue.is_empty();
        let is_subscription = matches!(post.kind, Kind::Subscription { .. } | Kind::Topic { .. });
        let writable = is_subscription || !post.queue.is_full();
        let badges: Vec<u32> = post.sessions.clone();
        for badge in badges {
            let Ok(session) = self.sessions.get(badge) else {
                continue;
            };
            let mode = session.flags & linux::O_ACCMODE;
            let mut bits = 0;
            if readable && mode != linux::O_WRONLY {
                bits |= ready::READABLE;
            }
            if writable && mode != linux::O_RDONLY {
                bits |= ready::WRITABLE;
            }
            self.sessions.signal(badge, bits);
        }
    }
}
