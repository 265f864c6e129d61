//! One message queue (`msgsnd`, `msgrcv`).

use crate::budget::Charge;
use crate::errno::{E2BIG, ENOMSG, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ferrix_proto::sysv::{MESSAGE_EXCEPT, MESSAGE_TRUNCATE};

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type, above 0.
    pub kind: i64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it counts for.
    pub charge: Option<Charge>,
}

/// What a receiver asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// `msgtyp`.
    pub kind: i64,
    /// Room for bytes.
    pub room: usize,
    /// `MSG_*`.
    pub flags: u32,
}

/// The queue; `W` is somebody who waits.
#[derive(Debug)]
pub struct Queue<W> {
    messages: VecDeque<Message>,
    /// So many of them no receiver that waits takes.
    refused: usize,
    bytes: usize,
    /// Bytes that it holds at most (`msg_qbytes`).
    pub limit: usize,
    /// Receivers in their order.
    receivers: VecDeque<(W, Ask)>,
    /// Senders in theirs.
    senders: VecDeque<(W, Message)>,
    /// `msg_stime`, `msg_rtime`, `msg_ctime`.
    pub times: [i64; 3],
    /// `msg_lspid`, `msg_lrpid`.
    pub last: [u32; 2],
}

impl Ask {
    /// The message that is meant.
    fn position(&self, messages: &VecDeque<Message>) -> Option<usize> {
        match self.kind {
            kind if kind < 0 => {
                let all = messages.iter().enumerate();
                let fits = all.filter(|(_, message)| self.takes(message));
                fits.min_by_key(|(at, message)| (message.kind, *at))
                    .map(|(at, _)| at)
            }
            _ => messages.iter().position(|message| self.takes(message)),
        }
    }

    fn takes(&self, message: &Message) -> bool {
        match self.kind {
            0 => true,
            kind if kind < 0 => kind.checked_neg().is_none_or(|most| message.kind <= most),
            kind => (message.kind == kind) != (self.flags & MESSAGE_EXCEPT != 0),
        }
    }
}

/// Somebody gets an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken<W> {
    /// A receiver, what it asked for, and its message, or why it gets none.
    Receiver(W, Ask, Result<Message>),
    /// A sender, whose message is for [`Queue::admit`] if it is still there.
    Sender(W, Message),
}

impl<W: PartialEq> Queue<W> {
    /// An empty queue.
    pub const fn new(limit: usize) -> Queue<W> {
        Queue {
            messages: VecDeque::new(),
            refused: 0,
            bytes: 0,
            limit,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
            times: [0; 3],
            last: [0; 2],
        }
    }

    /// Messages in it.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of so many bytes fits. (Empty ones are bounded in number too.)
    pub fn fits(&self, bytes: usize) -> bool {
        self.bytes + bytes <= self.limit && self.messages.len() < self.limit
    }

    /// Puts a message in that [fits](Self::fits); [`next_ready`](Self::next_ready) tells who gets it.
    pub fn admit(&mut self, message: Message) {
        self.bytes += message.bytes.len();
        self.messages.push_back(message);
    }

    /// Puts a message back in front that did not reach its receiver.
    pub fn put_back(&mut self, message: Message) {
        self.bytes += message.bytes.len();
        self.messages.push_front(message);
        self.refused = 0;
    }

    /// Takes the message that is asked for, whole even if its receiver has less room.
    ///
    /// # Errors
    /// `ENOMSG`: there is none; `E2BIG`.
    pub fn receive(&mut self, ask: &Ask) -> Result<Message> {
        let at = ask.position(&self.messages).ok_or(ENOMSG)?;
        self.take(at, ask)
    }

    fn take(&mut self, at: usize, ask: &Ask) -> Result<Message> {
        let bytes = self.messages[at].bytes.len();
        if bytes > ask.room && ask.flags & MESSAGE_TRUNCATE == 0 {
            return Err(E2BIG);
        }
        self.bytes -= bytes;
        self.refused -= usize::from(at < self.refused);
        self.messages.remove(at).ok_or(ENOMSG)
    }

    /// A receiver waits.
    pub fn wait_to_receive(&mut self, who: W, ask: Ask) {
        self.receivers.push_back((who, ask));
    }

    /// A sender waits.
    pub fn wait_to_send(&mut self, who: W, message: Message) {
        self.senders.push_back((who, message));
    }

    /// Somebody who can go on. All calls after one change offer each message that came to each receiver once.
    pub fn next_ready(&mut self) -> Option<Woken<W>> {
        while let Some(message) = self.messages.get(self.refused) {
            let taker = self
                .receivers
                .iter()
                .position(|(_, ask)| ask.takes(message));
            if let Some(at) = taker {
                let (who, ask) = self.receivers.remove(at)?;
                let result = self.take(self.refused, &ask);
                return Some(Woken::Receiver(who, ask, result));
            }
            self.refused += 1;
        }
        let fits = self
            .senders
            .iter()
            .position(|(_, message)| self.fits(message.bytes.len()))?;
        let (who, message) = self.senders.remove(fits)?;
        Some(Woken::Sender(who, message))
    }

    /// Somebody waits no longer.
    pub fn forget(&mut self, who: &W) {
        self.receivers.retain(|(other, _)| other != who);
        self.senders.retain(|(other, _)| other != who);
    }

    /// All that wait, when the queue goes.
    pub fn waiting(&mut self) -> Vec<W> {
        let receivers = self.receivers.drain(..).map(|(who, _)| who);
        let mut all: Vec<W> = receivers.collect();
        all.extend(self.senders.drain(..).map(|(who, _)| who));
        all
    }
}
