//! One message queue (XSH `mq_send`, `mq_receive`): messages by priority, first come first within one; senders that wait
//! for room and receivers that wait for messages, the most urgent first, then the one that has waited longest.
//!
//! Receivers wait only while there is no message, senders only while there is no room. Who waits is a value of type
//! `W`, handed back when something comes of it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Greater is received earlier.
    pub priority: u32,
    /// What was sent.
    pub bytes: Vec<u8>,
}

/// How many messages, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Messages that the queue holds.
    pub messages: usize,
    /// Bytes that a message has at most.
    pub size: usize,
}

/// What sending comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the queue, which was empty before.
    First,
    /// It is in the queue behind or before others.
    Queued,
    /// There is no room.
    Full(Message),
}

/// Where a message stands: by priority, then by age.
type Place = (Reverse<u32>, i64);

#[derive(Debug)]
struct Waiting<W, T> {
    who: W,
    rank: u32,
    what: T,
}

/// The queue.
#[derive(Debug)]
pub struct MessageQueue<W> {
    shape: Shape,
    messages: BTreeMap<Place, Vec<u8>>,
    next: i64,
    receivers: VecDeque<Waiting<W, ()>>,
    senders: VecDeque<Waiting<W, Message>>,
}

/// Puts a waiter behind all that are as urgent.
fn line_up<W, T>(line: &mut VecDeque<Waiting<W, T>>, new: Waiting<W, T>) {
    let at = line.partition_point(|other| other.rank >= new.rank);
    line.insert(at, new);
}

fn step_out<W: PartialEq, T>(line: &mut VecDeque<Waiting<W, T>>, who: &W) -> bool {
    let at = line.iter().position(|waiting| waiting.who == *who);
    at.and_then(|at| line.remove(at)).is_some()
}

impl<W: PartialEq> MessageQueue<W> {
    /// An empty queue.
    pub const fn new(shape: Shape) -> MessageQueue<W> {
        MessageQueue {
            shape,
            messages: BTreeMap::new(),
            next: 0,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
        }
    }

    /// How many messages, and how large.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Messages in it.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether there is room for no more.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= self.shape.messages
    }

    /// Bytes of all messages.
    pub fn bytes(&self) -> usize {
        self.messages.values().map(Vec::len).sum()
    }

    /// The receiver who waits for the next message, and does so no longer.
    pub fn next_receiver(&mut self) -> Option<W> {
        self.receivers.pop_front().map(|receiver| receiver.who)
    }

    /// Sends, when no [receiver](Self::next_receiver) waits; the size has been checked.
    pub fn send(&mut self, message: Message) -> Sent {
        if self.is_full() {
            return Sent::Full(message);
        }
        let first = self.messages.is_empty();
        self.insert(message);
        if first { Sent::First } else { Sent::Queued }
    }

    /// Sends whatever room there is: without any the oldest of the least urgent messages goes. Whether one went.
    pub fn send_over(&mut self, message: Message) -> (Sent, bool) {
        match self.send(message) {
            Sent::Full(message) => {
                let last = self.messages.keys().next_back().map(|place| place.0);
                let oldest = last.and_then(|least| {
                    let same = self.messages.range((least, i64::MIN)..);
                    same.map(|(place, _)| *place).next()
                });
                if let Some(place) = oldest {
                    self.messages.remove(&place);
                }
                (self.send(message), oldest.is_some())
            }
            sent => (sent, false),
        }
    }

    fn insert(&mut self, message: Message) {
        let place = (Reverse(message.priority), self.next);
        self.next += 1;
        self.messages.insert(place, message.bytes);
    }

    /// Takes the first message. There may be a [sender](Self::next_sender) for its room.
    pub fn receive(&mut self) -> Option<Message> {
        let ((priority, _), bytes) = self.messages.pop_first()?;
        let priority = priority.0;
        Some(Message { priority, bytes })
    }

    /// The sender who waits for the room that there is, with its message: for [`admit`](Self::admit), if it is still there.
    pub fn next_sender(&mut self) -> Option<(W, Message)> {
        if self.is_full() {
            return None;
        }
        self.senders
            .pop_front()
            .map(|sender| (sender.who, sender.what))
    }

    /// Puts in the message of a sender that waited.
    pub fn admit(&mut self, message: Message) {
        self.insert(message);
    }

    /// Puts a message back in front of its equals: its receiver was gone. There may be one more than the queue holds then.
    pub fn put_back(&mut self, message: Message) {
        let oldest = self.messages.keys().map(|place| place.1).min();
        let place = (Reverse(message.priority), oldest.unwrap_or(self.next) - 1);
        self.next = self.next.max(place.1 + 1);
        self.messages.insert(place, message.bytes);
    }

    /// A sender waits for room; the greater its rank the sooner it gets some.
    pub fn wait_to_send(&mut self, who: W, rank: u32, message: Message) {
        let what = message;
        line_up(&mut self.senders, Waiting { who, rank, what });
    }

    /// A receiver waits for a message.
    pub fn wait_to_receive(&mut self, who: W, rank: u32) {
        let what = ();
        line_up(&mut self.receivers, Waiting { who, rank, what });
    }

    /// Whether a receiver waits.
    pub fn has_receiver(&self) -> bool {
        !self.receivers.is_empty()
    }

    /// Somebody waits no longer; whether it did.
    pub fn forget(&mut self, who: &W) -> bool {
        step_out(&mut self.receivers, who) || step_out(&mut self.senders, who)
    }
}

#[cfg(test)]
mod tests;
