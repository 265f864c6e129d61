//! The driver's side of a split virtqueue (section 2.7).
//!
//! A request is a chain of [`Buffer`]s and a token of the driver's own. [`Queue::add`] puts it into
//! the ring, [`Queue::publish`] shows all that was added to the device and tells whether it wants to
//! be notified, [`Queue::pop`] returns the token when the device is done, in any order.
//!
//! `rings` is the shared memory, `ledger` the private book of what is in it. Decisions are made
//! from the ledger only; what the device writes is checked against it.
//!
//! Interrupts: drain with [`pop`](Queue::pop) until `None`, then
//! [`enable_interrupts`](Queue::enable_interrupts); drain again if it says [`UsedRing::Pending`].
//! Sleep after [`UsedRing::Empty`] only: then the next completion is sure to interrupt.

use crate::dma::{DmaMemory, PhysAddr, Segment};
use crate::error::DeviceFault;
use crate::spec::ring;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use ledger::{Ledger, Outstanding};
use rings::{Descriptor, Rings};
use thiserror::Error;

mod layout;
mod ledger;
mod rings;

pub use layout::{Notifications, QueueLayout, QueueSize};

/// Which of a device's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueIndex(pub u16);

impl fmt::Display for QueueIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the device does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It only reads it.
    DeviceReads,
    /// It only writes it.
    DeviceWrites,
}

/// One buffer of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The memory.
    pub segment: Segment,
    /// Its direction.
    pub access: Access,
}

impl Buffer {
    /// A buffer for the device to read.
    pub const fn readable(segment: Segment) -> Buffer {
        let access = Access::DeviceReads;
        Buffer { segment, access }
    }

    /// A buffer for the device to write.
    pub const fn writable(segment: Segment) -> Buffer {
        let access = Access::DeviceWrites;
        Buffer { segment, access }
    }
}

/// Why a chain was not added; nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RingError {
    /// Too few free descriptors: wait for completions.
    #[error("virtqueue is full")]
    Full,
    /// More buffers than the ring (or an indirect table) can ever hold (section 2.7.5.3.1).
    #[error("virtqueue chain has too many buffers")]
    ChainTooLong,
    /// No buffer, or one of no bytes.
    #[error("virtqueue chain is empty or has an empty buffer")]
    Empty,
    /// A buffer to be read stands behind one to be written (section 2.7.4.2).
    #[error("virtqueue chain has a readable buffer behind a writable one")]
    Order,
    /// The buffers hold 4 GiB or more in all (section 2.7.5).
    #[error("virtqueue chain is too large")]
    TooLarge,
}

/// A finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used<T> {
    /// What was given to [`Queue::add`].
    pub token: T,
    /// Bytes that the device says it wrote: at most what was writable, but they may be any.
    pub written: u32,
}

/// Whether the device wants to hear of new chains.
#[must_use = "the device may be asleep"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Write the queue's index to `QueueNotify`.
    Needed,
    /// It looks by itself; a notification would be wasted.
    NotNeeded,
}

/// What the used ring holds after interrupts were enabled.
#[must_use = "pending completions will not interrupt"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedRing {
    /// Nothing: the next completion interrupts.
    Empty,
    /// Something has come meanwhile, possibly without an interrupt: drain again.
    Pending,
}

/// Where the three parts of a queue are, for the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddresses {
    /// Descriptor table.
    pub descriptors: PhysAddr,
    /// Available ring ("driver area").
    pub driver: PhysAddr,
    /// Used ring ("device area").
    pub device: PhysAddr,
}

/// A split virtqueue with a token of type `T` for every request in flight.
#[derive(Debug)]
pub struct Queue<T> {
    index: QueueIndex,
    rings: Rings,
    ledger: Ledger<T>,
    notifications: Notifications,
    /// Position of the next chain in the available ring; free-running.
    next_available: u16,
    /// The available index that the device sees.
    published: u16,
    /// Position of the next element in the used ring; free-running.
    next_used: u16,
    fault: Option<DeviceFault>,
}

impl<T> Queue<T> {
    /// Makes an empty queue in memory of at least [`QueueLayout::bytes`].
    ///
    /// # Panics
    /// If the memory is smaller.
    pub fn new(index: QueueIndex, layout: QueueLayout, memory: DmaMemory) -> Queue<T> {
        Queue {
            index,
            ledger: Ledger::new(layout.size),
            rings: Rings::new(layout, memory),
            notifications: layout.notifications,
            next_available: 0,
            published: 0,
            next_used: 0,
            fault: None,
        }
    }

    /// Which queue of the device it is.
    pub fn index(&self) -> QueueIndex {
        self.index
    }

    /// Its size in descriptors.
    pub fn size(&self) -> QueueSize {
        self.rings.layout().size
    }

    /// Where its parts are.
    pub fn addresses(&self) -> QueueAddresses {
        self.rings.addresses()
    }

    /// Descriptors that are free; an indirect chain takes one.
    pub fn free_descriptors(&self) -> u16 {
        self.ledger.free()
    }

    /// Requests that were added and not yet popped.
    pub fn outstanding(&self) -> u16 {
        self.ledger.outstanding()
    }

    /// Most buffers that a chain can have.
    pub fn max_chain(&self) -> u16 {
        self.rings.layout().max_chain()
    }

    /// Whether a chain of `buffers` fits now.
    pub fn fits(&self, buffers: usize) -> bool {
        self.descriptors_for(buffers)
            .is_ok_and(|needed| needed <= self.free_descriptors())
    }

    /// Adds a chain. The device sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// See [`RingError`]; the token is dropped then.
    pub fn add(&mut self, chain: &[Buffer], token: T) -> Result<(), RingError> {
        let writable = check_chain(chain)?;
        let needed = self.descriptors_for(chain.len())?;
        let outstanding = Outstanding {
            token,
            descriptors: needed,
            writable,
            position: self.next_available,
        };
        let head = self.ledger.take(outstanding).ok_or(RingError::Full)?;
        if usize::from(needed) == chain.len() {
            self.write_direct(head, chain);
        } else {
            self.rings.write_indirect(head, chain);
        }
        self.rings.set_available(self.next_available, head);
        self.next_available = self.next_available.wrapping_add(1);
        Ok(())
    }

    /// Shows the device all chains added so far (sections 2.7.13.3 and 2.7.13.4).
    pub fn publish(&mut self) -> Notify {
        let old = self.published;
        if old == self.next_available {
            return Notify::NotNeeded;
        }
        self.published = self.next_available;
        self.rings.publish(self.published);
        // The index must be visible before we look whether the device sleeps: it does the reverse.
        fence(Ordering::SeqCst);
        let needed = match self.notifications {
            Notifications::Flags => !self.rings.notify_suppressed(),
            Notifications::EventIndex => crosses(self.rings.available_event(), old, self.published),
        };
        if needed {
            Notify::Needed
        } else {
            Notify::NotNeeded
        }
    }

    /// Takes the next finished request.
    ///
    /// # Errors
    /// If the device broke the rules: again and again from then on, until [`reset`](Self::reset).
    pub fn pop(&mut self) -> Result<Option<Used<T>>, DeviceFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let used = self.try_pop();
        self.fault = used.as_ref().err().copied();
        used
    }

    /// Asks the device not to interrupt: a hint, it may still do so.
    pub fn disable_interrupts(&mut self) {
        match self.notifications {
            Notifications::Flags => self.rings.set_interrupt_flag(ring::AVAIL_NO_INTERRUPT),
            // An event that has just passed: 65,535 completions away.
            Notifications::EventIndex => self.rings.set_used_event(self.next_used.wrapping_sub(1)),
        }
    }

    /// Asks for an interrupt at the next completion, and looks for those that came before the device
    /// could know.
    pub fn enable_interrupts(&mut self) -> UsedRing {
        match self.notifications {
            Notifications::Flags => self.rings.set_interrupt_flag(0),
            Notifications::EventIndex => self.rings.set_used_event(self.next_used),
        }
        // The wish must be visible before we look: the device does the reverse.
        fence(Ordering::SeqCst);
        if self.fault.is_none() && self.rings.used_index() == self.next_used {
            UsedRing::Empty
        } else {
            UsedRing::Pending
        }
    }

    /// Empties the queue and returns the tokens of all that was outstanding, oldest first.
    ///
    /// Call it while the device is reset only: it must not touch the rings.
    pub fn reset(&mut self) -> Vec<T> {
        self.rings.clear();
        let next = core::mem::take(&mut self.next_available);
        self.published = 0;
        self.next_used = 0;
        self.fault = None;
        self.ledger.drain(next)
    }

    /// Descriptors of the main table that a chain takes.
    fn descriptors_for(&self, buffers: usize) -> Result<u16, RingError> {
        if buffers > usize::from(self.max_chain()) {
            return Err(RingError::ChainTooLong);
        }
        let buffers = buffers as u16;
        let indirect = buffers > 1 && buffers <= self.rings.layout().indirect;
        Ok(if indirect { 1 } else { buffers })
    }

    fn write_direct(&self, head: u16, chain: &[Buffer]) {
        let mut at = head;
        for (position, buffer) in chain.iter().enumerate() {
            let next = (position + 1 < chain.len()).then(|| self.ledger.next(at));
            self.rings.write(at, Descriptor::new(*buffer, next));
            at = next.unwrap_or(at);
        }
    }

    fn try_pop(&mut self) -> Result<Option<Used<T>>, DeviceFault> {
        let queue = self.index;
        let claimed = self.rings.used_index().wrapping_sub(self.next_used);
        if claimed == 0 {
            return Ok(None);
        }
        let unpublished = self.next_available.wrapping_sub(self.published);
        let in_flight = self.ledger.outstanding() - unpublished;
        if claimed > in_flight {
            return Err(DeviceFault::UsedIndex {
                queue,
                claimed,
                in_flight,
            });
        }
        let (id, length) = self.rings.used_element(self.next_used);
        let head = self
            .published_head(id)
            .ok_or(DeviceFault::UsedId { queue, id })?;
        let writable = self.ledger.get(head).map_or(0, |chain| chain.writable);
        if length > writable {
            return Err(DeviceFault::UsedLength {
                queue,
                length,
                writable,
            });
        }
        self.next_used = self.next_used.wrapping_add(1);
        let token = self.ledger.give_back(head);
        Ok(token.map(|token| Used {
            token,
            written: length,
        }))
    }

    /// The head that `id` names, if the device has that chain.
    fn published_head(&self, id: u32) -> Option<u16> {
        let head = u16::try_from(id).ok()?;
        let chain = self.ledger.get(head)?;
        let age = self.next_available.wrapping_sub(chain.position);
        let unpublished = self.next_available.wrapping_sub(self.published);
        (age > unpublished).then_some(head)
    }
}

/// Whether the index that moved from `old` to `new` passed `event` (section 2.7.10,
/// `vring_need_event`).
fn crosses(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Checks a chain's form; returns its writable bytes.
fn check_chain(chain: &[Buffer]) -> Result<u32, RingError> {
    if chain.is_empty() {
        return Err(RingError::Empty);
    }
    let (mut total, mut writable) = (0u32, 0u32);
    for buffer in chain {
        let length = buffer.segment.length();
        if length == 0 {
            return Err(RingError::Empty);
        }
        total = total.checked_add(length).ok_or(RingError::TooLarge)?;
        match buffer.access {
            Access::DeviceWrites => writable += length,
            Access::DeviceReads if writable > 0 => return Err(RingError::Order),
            Access::DeviceReads => {}
        }
    }
    Ok(writable)
}

#[cfg(test)]
mod tests;
