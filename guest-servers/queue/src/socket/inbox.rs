//! What a socket has to receive.

use super::Credentials;
use crate::budget::Charge;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes that wait for one socket at most (`SO_RCVBUF`, unless set).
pub const LIMIT: usize = 212_992;
/// Messages that wait for one socket at most.
const PACKETS: usize = 256;
/// Pieces of a stream up to this size are joined.
const JOINED: usize = 16384;

/// A message, or a piece of a stream.
#[derive(Debug)]
pub struct Packet<R> {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many of them have been received.
    pub start: usize,
    /// Descriptors.
    pub rights: Vec<R>,
    /// Who sent it.
    pub credentials: Credentials,
    /// `sun_path` of the sender.
    pub from: Vec<u8>,
    /// What it counts for.
    pub charge: Option<Charge>,
}

impl<R> Packet<R> {
    /// What has not been received.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Messages in their order.
#[derive(Debug)]
pub struct Inbox<R> {
    /// They.
    pub packets: VecDeque<Packet<R>>,
    bytes: usize,
    /// Bytes that there may be.
    pub limit: usize,
}

impl<R> Default for Inbox<R> {
    fn default() -> Inbox<R> {
        Inbox {
            packets: VecDeque::new(),
            bytes: 0,
            limit: LIMIT,
        }
    }
}

impl<R> Inbox<R> {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Bytes that have not been received.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the first message.
    pub fn first_bytes(&self) -> usize {
        self.packets.front().map_or(0, |first| first.rest().len())
    }

    /// Bytes for which there is room.
    pub fn room(&self) -> usize {
        if self.packets.len() >= PACKETS {
            return 0;
        }
        self.limit.saturating_sub(self.bytes)
    }

    /// Whether `poll` should say so: when there is little room it is not worth while to wake a sender.
    pub fn is_roomy(&self) -> bool {
        self.room() >= self.limit / 2
    }

    /// Adds a message.
    pub fn push(&mut self, packet: Packet<R>) {
        self.bytes += packet.bytes.len();
        self.packets.push_back(packet);
    }

    /// Adds a piece of a stream, to the last one if it can be.
    pub fn push_piece(&mut self, mut packet: Packet<R>) {
        if let Some(last) = self.packets.back_mut()
            && last.rights.is_empty()
            && packet.rights.is_empty()
            && last.credentials == packet.credentials
            && last.bytes.len() + packet.bytes.len() <= JOINED
        {
            self.bytes += packet.bytes.len();
            last.bytes.extend_from_slice(&packet.bytes);
            if let (Some(all), Some(mut more)) = (&mut last.charge, packet.charge.take()) {
                more.shrink(packet.bytes.len());
                all.absorb(more);
            }
            return;
        }
        self.push(packet);
    }

    /// Takes the first message out.
    pub fn pop(&mut self) -> Option<Packet<R>> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.rest().len();
        Some(packet)
    }

    /// The first piece has gone whole, `taken` bytes.
    pub fn forget_first(&mut self, taken: usize) {
        self.packets.pop_front();
        self.bytes -= taken;
    }

    /// `taken` bytes of the first piece have been received; it goes when nothing is left.
    pub fn advance(&mut self, taken: usize) {
        if let Some(first) = self.packets.front_mut() {
            first.start += taken;
            self.bytes -= taken;
            if first.rest().is_empty() {
                self.packets.pop_front();
            }
        }
    }
}
