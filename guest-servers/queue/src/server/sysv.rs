//! System V message queues and semaphores: what they have in common, and message queues.

use super::parcels::{Letter, Origin};
use super::{Place, Server, identity};
use alloc::vec::Vec;
use ferrix_abi::ipc::FOREVER;
use ferrix_proto::attributes::Plain;
use ferrix_proto::sysv::{self as proto, MESSAGE_MAX, NO_WAIT, QUEUE_BYTES, QUEUES_MAX, stat};
use ferrix_queue::errno::{EAGAIN, EIDRM, EINVAL, ENOMEM, EPERM, Errno, Result};
use ferrix_queue::names::Who;
use ferrix_queue::parked::Parcel;
use ferrix_queue::sysv::messages::{Ask, Message, Queue, Woken};
use ferrix_queue::sysv::semaphores::Set;
use ferrix_queue::sysv::{READ, Registry, WRITE};
use ferrix_rt::clock::realtime_seconds;
use ferrix_rt::service::{Outcome, Reply, Request};

/// Both kinds.
pub struct Sysv {
    /// Message queues.
    pub messages: Registry<Queue<u64>>,
    /// Sets of semaphores.
    pub sets: Registry<Set<u64>>,
}

impl Sysv {
    /// None yet.
    pub const fn new() -> Sysv {
        Sysv {
            messages: Registry::new(QUEUES_MAX),
            sets: Registry::new(proto::SETS_MAX),
        }
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    realtime_seconds() as i64
}

/// The ids that decide.
pub fn who(request: &Request) -> Result<Who> {
    let ids = identity(request)?;
    Ok(Who {
        uid: ids.euid,
        gid: ids.egid,
    })
}

/// Both halves of a word.
pub const fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// The id that a `…_STAT` means, and the permission that it takes.
pub fn stat_target<T>(all: &Registry<T>, word: u64) -> Result<(u32, u32)> {
    let (id, how) = halves(word);
    match u64::from(how) {
        stat::ID => Ok((id, READ)),
        stat::COUNT => Ok((id, 0)),
        stat::INDEX => Ok((all.id_at(id)?, READ)),
        stat::INDEX_ANY => Ok((all.id_at(id)?, 0)),
        _ => Err(EINVAL),
    }
}

fn letter(id: u32, message: Message, room: usize) -> Letter {
    let kind = message.kind;
    Parcel {
        bytes: message.bytes,
        room,
        origin: Some(Origin::Messages { id, kind }),
        charge: message.charge,
    }
}

impl Server {
    pub(super) fn dispatch_sysv(&mut self, operation: u16, request: &Request) -> Outcome {
        match operation {
            proto::DEPOSIT => self.deposit(request),
            proto::MESSAGE_GET => self.message_get(request),
            proto::MESSAGE_SEND => self.message_send(request),
            proto::MESSAGE_RECEIVE => self.message_receive(request),
            proto::MESSAGE_STAT => self.message_stat(request),
            proto::MESSAGE_SET => self.message_set(request),
            proto::MESSAGE_REMOVE => self.message_remove(request),
            proto::MESSAGE_SUMMARY => Ok(Some(self.message_summary())),
            operation => self.dispatch_semaphores(operation, request),
        }
    }

    /// `msgget(2)`.
    fn message_get(&mut self, request: &Request) -> Outcome {
        let (key, flags) = halves(request.words[0]);
        let make = || {
            let mut queue = Queue::new(QUEUE_BYTES as usize);
            queue.times[2] = now();
            Ok(queue)
        };
        let who = who(request)?;
        let id = self.sysv.messages.get(key, flags, who, |_| Ok(()), make)?;
        Ok(Some(Reply::value(0).with_words([id.into(), 0, 0])))
    }

    /// `msgsnd(2)`.
    fn message_send(&mut self, request: &Request) -> Outcome {
        let (id, flags) = halves(request.words[0]);
        let sent = self.inline_or_deposited(request)?;
        let length = sent.bytes.len();
        let kind = request.words[1] as i64;
        if kind < 1 || length as u64 > MESSAGE_MAX {
            return Err(EINVAL);
        }
        let who = who(request)?;
        self.sysv.messages.find(id, who, WRITE)?;
        let charge = match sent.charge {
            None => self.charge(request, length, ENOMEM)?,
            Some(charge) => charge,
        };
        let message = Message {
            kind,
            bytes: sent.bytes,
            charge: Some(charge),
        };
        let queue = &mut self.sysv.messages.find(id, who, WRITE)?.what;
        if !queue.fits(length) {
            if flags & NO_WAIT != 0 {
                return Err(EAGAIN);
            }
            queue.wait_to_send(request.caller.token, message);
            self.wait(request.caller, FOREVER, Place::Messages(id), EAGAIN);
            return Ok(None);
        }
        queue.admit(message);
        (queue.last[0], queue.times[0]) = (request.caller.pid, now());
        self.wake_messages(id);
        Ok(Some(Reply::value(0)))
    }

    /// `msgrcv(2)`.
    fn message_receive(&mut self, request: &Request) -> Outcome {
        let (id, flags) = halves(request.words[0]);
        let ask = Ask {
            kind: request.words[1] as i64,
            room: request.head.length() as usize,
            flags,
        };
        let who = who(request)?;
        let queue = &mut self.sysv.messages.find(id, who, READ)?.what;
        match queue.receive(&ask) {
            Ok(message) => {
                (queue.last[1], queue.times[1]) = (request.caller.pid, now());
                self.wake_messages(id);
                let letter = letter(id, message, ask.room);
                Ok(Some(self.hand(request.caller, letter)))
            }
            Err(ferrix_queue::errno::ENOMSG) if flags & NO_WAIT == 0 => {
                queue.wait_to_receive(request.caller.token, ask);
                self.wait(request.caller, FOREVER, Place::Messages(id), EAGAIN);
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }

    fn message_queue(&mut self, id: u32) -> Option<&mut Queue<u64>> {
        let found = self.sysv.messages.find(id, Who { uid: 0, gid: 0 }, 0);
        found.ok().map(|entry| &mut entry.what)
    }

    /// A message did not reach its receiver; if its queue is gone so is the message.
    pub(super) fn return_to_messages(&mut self, id: u32, message: Message) {
        if let Some(queue) = self.message_queue(id) {
            queue.put_back(message);
            self.wake_messages(id);
        }
    }

    /// Senders and receivers go on as far as they can.
    fn wake_messages(&mut self, id: u32) {
        while let Some(woken) = self.message_queue(id).and_then(Queue::next_ready) {
            match woken {
                Woken::Receiver(token, ask, result) => {
                    let letter = result.map(|message| letter(id, message, ask.room));
                    self.wake_receiver(id, token, letter);
                }
                Woken::Sender(token, message) => {
                    let Some(wait) = self.waits.take(token) else {
                        continue;
                    };
                    // Who has died meanwhile has sent nothing.
                    if wait.caller.reply(&Reply::value(0)).is_ok()
                        && let Some(queue) = self.message_queue(id)
                    {
                        (queue.last[0], queue.times[0]) = (wait.caller.pid, now());
                        queue.admit(message);
                    }
                }
            }
        }
    }

    fn wake_receiver(&mut self, id: u32, token: u64, letter: Result<Letter>) {
        let wait = self.waits.take(token);
        let back = match (letter, wait) {
            (Err(errno), Some(wait)) => {
                // Who has died meanwhile needs no answer.
                let _ = wait.caller.reply(&Reply::error(errno));
                return;
            }
            (Err(_), None) => return,
            (Ok(letter), None) => Some(letter),
            (Ok(letter), Some(wait)) => match self.bring(wait.caller, letter) {
                None => {
                    if let Some(queue) = self.message_queue(id) {
                        (queue.last[1], queue.times[1]) = (wait.caller.pid, now());
                    }
                    None
                }
                back => back,
            },
        };
        // The caller goes on with whoever waits next; `put_back` would come here again, once for each that has died.
        if let Some(Parcel {
            bytes,
            charge,
            origin: Some(Origin::Messages { kind, .. }),
            ..
        }) = back
            && let Some(queue) = self.message_queue(id)
        {
            queue.put_back(Message {
                kind,
                bytes,
                charge,
            });
        }
    }

    /// `msgctl(IPC_STAT)` and its relatives.
    fn message_stat(&mut self, request: &Request) -> Outcome {
        let (id, asked) = stat_target(&self.sysv.messages, request.words[0])?;
        let entry = self.sysv.messages.find(id, who(request)?, asked)?;
        let queue = &entry.what;
        let stat = proto::MessageQueue {
            owned: entry.owned,
            times: queue.times,
            bytes: queue.bytes() as u64,
            messages: queue.len() as u64,
            limit: queue.limit as u64,
            last: queue.last,
        };
        Ok(Some(Reply::inline(stat.to_bytes())))
    }

    /// `msgctl(IPC_SET)`.
    fn message_set(&mut self, request: &Request) -> Outcome {
        let ((id, mode), (uid, gid)) = (halves(request.words[0]), halves(request.words[1]));
        let (limit, who) = (request.words[2], who(request)?);
        self.sysv.messages.find_owned(id, who)?;
        if limit > QUEUE_BYTES && who.uid != 0 {
            return Err(EPERM);
        }
        self.sysv
            .messages
            .set_owner(id, who, Who { uid, gid }, mode)?;
        if let Some(queue) = self.message_queue(id) {
            queue.limit = limit.min(1 << 20) as usize;
            queue.times[2] = now();
        }
        self.wake_messages(id);
        Ok(Some(Reply::value(0)))
    }

    /// `msgctl(IPC_RMID)`.
    fn message_remove(&mut self, request: &Request) -> Outcome {
        let (id, _) = halves(request.words[0]);
        let mut queue = self.sysv.messages.remove(id, who(request)?)?;
        self.end_waits(queue.waiting(), EIDRM);
        Ok(Some(Reply::value(0)))
    }

    /// Ends waits for something that is gone.
    pub(super) fn end_waits(&mut self, tokens: Vec<u64>, why: Errno) {
        for token in tokens {
            if let Some(wait) = self.waits.take(token) {
                // Who died meanwhile needs no answer.
                let _ = wait.caller.reply(&Reply::error(why));
            }
        }
    }

    fn message_summary(&mut self) -> Reply {
        let (count, highest) = self.sysv.messages.count();
        let (mut messages, mut bytes) = (0, 0);
        for entry in self.sysv.messages.iter_mut() {
            messages += entry.what.len() as u64;
            bytes += entry.what.bytes() as u64;
        }
        let first = count as u64 | u64::from(highest) << 32;
        Reply::value(0).with_words([first, messages, bytes])
    }
}
