//! What does not fit into a message, and messages that did not reach their receivers.

use super::{Place, Server, identity, lives, sockets};
use alloc::vec::Vec;
use ferrix_abi::ipc::LONG_MAX;
use ferrix_proto::socket::DATA_MAX;
use ferrix_queue::budget::{Charge, Client};
use ferrix_queue::errno::{EINVAL, ENOMEM, Errno, Result};
use ferrix_queue::message::Message;
use ferrix_queue::parked::{Parcel, Thread};
use ferrix_queue::socket::OVERHEAD;
use ferrix_queue::sysv::messages;
use ferrix_rt::service::{Caller, Outcome, Reply, Request};

/// When so much is kept for threads, that of dead ones is looked for.
const MANY: usize = 128;

/// The queue that a message was taken out of, for who may not get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A message queue.
    Queue { id: u32, priority: u32 },
    /// One of System V.
    Messages { id: u32, kind: i64 },
}

impl Origin {
    /// What the receiver is told beside the bytes.
    const fn word(self) -> u64 {
        match self {
            Origin::Queue { priority, .. } => priority as u64,
            Origin::Messages { kind, .. } => kind as u64,
        }
    }
}

/// A message on its way.
pub type Letter = Parcel<Origin>;

/// The thread that calls.
pub const fn thread(caller: Caller) -> Thread {
    Thread {
        pid: caller.pid,
        tid: caller.token as u32,
    }
}

impl Server {
    /// Holds bytes for who asks.
    ///
    /// # Errors
    /// `refused` when it has too much already.
    pub(super) fn charge(
        &mut self,
        request: &Request,
        bytes: usize,
        refused: Errno,
    ) -> Result<Charge> {
        let client = Client {
            pid: request.caller.pid,
            uid: identity(request)?.ruid,
        };
        let charge = self.budget.charge(client, bytes + OVERHEAD);
        charge.ok_or(refused)
    }

    /// Keeps what the calling thread will send next.
    pub(super) fn deposit(&mut self, request: &Request) -> Outcome {
        let charge = self.charge(request, request.head.length() as usize, ENOMEM)?;
        let bytes = request.payload(&self.connections, DATA_MAX)?;
        self.keep(request.caller, bytes, Some(charge));
        Ok(Some(Reply::value(0)))
    }

    /// The same for bytes that are here.
    pub(super) fn keep(&mut self, caller: Caller, bytes: Vec<u8>, charge: Option<Charge>) {
        let parcel = Parcel {
            room: bytes.len(),
            bytes,
            origin: None,
            charge,
        };
        self.park(caller, parcel);
    }

    /// What the calling thread deposited.
    pub(super) fn deposited(&mut self, request: &Request) -> Result<Letter> {
        let kept = self.parked.take(thread(request.caller)).ok_or(EINVAL)?;
        match kept.origin {
            None => Ok(kept),
            Some(_) => {
                self.put_back(kept);
                Err(EINVAL)
            }
        }
    }

    /// A payload that came with the request, or before it.
    pub(super) fn inline_or_deposited(&mut self, request: &Request) -> Result<Letter> {
        if request.words[2] == 1 {
            return self.deposited(request);
        }
        let (bytes, length) = request.inline()?;
        Ok(Parcel {
            bytes: bytes[..length].to_vec(),
            room: length,
            origin: None,
            charge: None,
        })
    }

    /// Keeps what the thread will [`take`](Self::take), or send; its number.
    fn park(&mut self, caller: Caller, parcel: Letter) -> u64 {
        if self.parked.len() >= MANY {
            let dead = self.parked.take_of(|pid| !lives(pid));
            dead.into_iter().for_each(|parcel| self.put_back(parcel));
        }
        let thread = thread(caller);
        if let Some(before) = self.parked.put(thread, parcel) {
            self.put_back(before);
        }
        thread.tid.into()
    }

    /// The reply that brings a letter, and the letter unless it is left to be taken.
    fn envelope(&mut self, caller: Caller, letter: Letter) -> (Reply, Option<Letter>) {
        let first = letter.origin.map_or(0, Origin::word);
        let length = letter.bytes.len().min(letter.room);
        if length <= LONG_MAX {
            let reply = Reply::inline(&letter.bytes[..length]);
            return (reply.with_words([first, 0, 0]), Some(letter));
        }
        let number = self.park(caller, letter);
        let reply = Reply::value(length as u64);
        (reply.with_words([first, number, 0]), None)
    }

    /// Brings a letter to who waits for it; it comes back if nobody does any more.
    pub(super) fn bring(&mut self, caller: Caller, letter: Letter) -> Option<Letter> {
        let (reply, letter) = self.envelope(caller, letter);
        match caller.reply(&reply) {
            Ok(()) => None,
            Err(_) => letter.or_else(|| self.parked.take(thread(caller))),
        }
    }

    /// The reply to the request in hand that brings a letter, which goes back if the reply does not arrive.
    pub(super) fn hand(&mut self, caller: Caller, letter: Letter) -> Reply {
        let (reply, letter) = self.envelope(caller, letter);
        self.leaving = letter.map(|letter| (caller.token, letter));
        reply
    }

    /// Answers what did not fit into an earlier reply.
    pub(super) fn take(&mut self, request: &Request) -> Outcome {
        let thread = thread(request.caller);
        if request.words[0] != u64::from(thread.tid) || !sockets::is_in_window(request) {
            return Err(EINVAL);
        }
        let letter = self.parked.take(thread).ok_or(EINVAL)?;
        let bytes = &letter.bytes[..letter.bytes.len().min(letter.room)];
        let answer = request.answer_bytes(&self.connections, bytes);
        match answer {
            Ok(_) => self.leaving = Some((request.caller.token, letter)),
            Err(_) => self.put_back(letter),
        }
        answer.map(Some)
    }

    /// The reply to a request did not arrive.
    pub(super) fn not_delivered(&mut self, caller: Caller) {
        let leaving = self.leaving.take();
        let letter = leaving.filter(|(token, _)| *token == caller.token);
        let letter = letter.map(|(_, letter)| letter);
        if let Some(letter) = letter.or_else(|| self.parked.take(thread(caller))) {
            self.put_back(letter);
        }
    }

    /// A message that did not reach its receiver goes to another one, or back to its place.
    pub(super) fn put_back(&mut self, letter: Letter) {
        let Parcel { bytes, charge, .. } = letter;
        match letter.origin {
            None => {}
            Some(Origin::Queue { id, priority }) => {
                self.return_message(id, Message { priority, bytes });
            }
            Some(Origin::Messages { id, kind }) => {
                let message = messages::Message {
                    kind,
                    bytes,
                    charge,
                };
                self.return_to_messages(id, message);
            }
        }
    }

    /// A process has ended: it waits for nothing, and what it did not fetch is for others.
    pub(super) fn forget_process(&mut self, pid: u32) {
        for token in self.waits.tokens() {
            if self
                .waits
                .get(token)
                .is_some_and(|wait| wait.caller.pid == pid)
            {
                self.stop_waiting(token);
            }
        }
        let left = self.parked.take_of(|other| other == pid);
        left.into_iter().for_each(|letter| self.put_back(letter));
    }

    /// A caller waits for something that costs what it sends, until its deadline at most.
    pub(super) fn wait_with(
        &mut self,
        caller: Caller,
        deadline: u64,
        (place, late): (Place, Errno),
        charge: Option<Charge>,
    ) {
        self.wait(caller, deadline, place, late);
        if let Some(wait) = self.waits.get_mut(caller.token) {
            wait.charge = charge;
        }
    }
}
