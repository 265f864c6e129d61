//! How a queue's parts lie in its memory.

use crate::spec::ring;

/// A queue's number of descriptors: a power of two up to 32768 (section 2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueSize(u16);

impl QueueSize {
    /// The largest valid size that is not above `wanted`; 1 for 0.
    pub const fn at_most(wanted: u16) -> QueueSize {
        let wanted = if wanted > ring::MAX_SIZE {
            ring::MAX_SIZE
        } else {
            wanted
        };
        QueueSize(if wanted == 0 { 1 } else { 1 << wanted.ilog2() })
    }

    /// Descriptors.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// How either side says when it wants to hear from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notifications {
    /// By a flag in its ring: on or off.
    Flags,
    /// By naming the index at which it does (VIRTIO_F_EVENT_IDX, section 2.7.10).
    EventIndex,
}

/// Shape of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLayout {
    /// Descriptors.
    pub size: QueueSize,
    /// Entries of the indirect table that each descriptor has; 0 or 1: none (they are of use from 2
    /// on, and only if VIRTIO_F_INDIRECT_DESC was negotiated).
    pub indirect: u16,
    /// When to notify.
    pub notifications: Notifications,
}

/// What the parts are aligned to; at least 16 is required (section 2.7). A cache line each keeps the
/// two sides out of each other's way.
pub(super) const ALIGNMENT: usize = 64;

impl QueueLayout {
    /// Bytes of memory that a queue of this shape needs, with its alignment.
    pub const fn bytes(&self) -> usize {
        self.indirect_offset() + self.count() * self.table_bytes() + ALIGNMENT
    }

    /// Most buffers that a chain can have: not more than the ring's size, even in an indirect table
    /// (section 2.7.5.3.1).
    pub const fn max_chain(&self) -> u16 {
        self.size.get()
    }

    const fn count(&self) -> usize {
        self.size.get() as usize
    }

    /// Bytes of one indirect table.
    pub(super) const fn table_bytes(&self) -> usize {
        self.indirect as usize * ring::DESCRIPTOR_BYTES
    }

    /// Where the available ring is: flags, index, ring, used_event.
    pub(super) const fn available_offset(&self) -> usize {
        (self.count() * ring::DESCRIPTOR_BYTES).next_multiple_of(ALIGNMENT)
    }

    /// Where the used ring is: flags, index, ring, avail_event.
    pub(super) const fn used_offset(&self) -> usize {
        (self.available_offset() + 6 + 2 * self.count()).next_multiple_of(ALIGNMENT)
    }

    /// Where the indirect tables are.
    pub(super) const fn indirect_offset(&self) -> usize {
        let end = self.used_offset() + 6 + ring::USED_ELEMENT_BYTES * self.count();
        end.next_multiple_of(ALIGNMENT)
    }
}
