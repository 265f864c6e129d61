//! The shared memory of a queue: descriptor table, rings, indirect tables (sections 2.7.5 to 2.7.8).

use super::layout::ALIGNMENT;
use super::{Access, Buffer, QueueAddresses, QueueLayout};
use crate::dma::{DmaMemory, Segment};
use crate::spec::ring;
use core::sync::atomic::Ordering;

/// Offset of the index in either ring.
const INDEX: usize = 2;
/// Offset of the elements in either ring.
const ELEMENTS: usize = 4;

/// A descriptor as it is written (section 2.7.5).
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    segment: Segment,
    flags: u16,
    next: u16,
}

impl Descriptor {
    /// The descriptor of a buffer, with another behind it or none.
    pub fn new(buffer: Buffer, next: Option<u16>) -> Descriptor {
        let write = match buffer.access {
            Access::DeviceReads => 0,
            Access::DeviceWrites => ring::DESC_WRITE,
        };
        Descriptor {
            segment: buffer.segment,
            flags: write | next.map_or(0, |_| ring::DESC_NEXT),
            next: next.unwrap_or(0),
        }
    }
}

#[derive(Debug)]
pub(super) struct Rings {
    layout: QueueLayout,
    memory: DmaMemory,
}

impl Rings {
    pub fn new(layout: QueueLayout, memory: DmaMemory) -> Rings {
        let mut memory = memory;
        let memory = memory
            .carve(layout.bytes() - ALIGNMENT, ALIGNMENT)
            .expect("memory of `QueueLayout::bytes`");
        memory.zero();
        Rings { layout, memory }
    }

    pub fn layout(&self) -> &QueueLayout {
        &self.layout
    }

    pub fn addresses(&self) -> QueueAddresses {
        let at = |offset| self.memory.segment(offset, 0).address();
        QueueAddresses {
            descriptors: at(0),
            driver: at(self.layout.available_offset()),
            device: at(self.layout.used_offset()),
        }
    }

    /// Back to the state of a new queue.
    pub fn clear(&self) {
        self.memory.zero();
    }

    /// Writes an entry of the main table.
    pub fn write(&self, index: u16, descriptor: Descriptor) {
        self.write_at(usize::from(index) * ring::DESCRIPTOR_BYTES, descriptor);
    }

    /// Writes a chain into the indirect table of `head`, and `head` to point there.
    pub fn write_indirect(&self, head: u16, chain: &[Buffer]) {
        let table = self.layout.indirect_offset() + usize::from(head) * self.layout.table_bytes();
        for (position, buffer) in chain.iter().enumerate() {
            let next = (position + 1 < chain.len()).then_some(position as u16 + 1);
            let offset = table + position * ring::DESCRIPTOR_BYTES;
            self.write_at(offset, Descriptor::new(*buffer, next));
        }
        let bytes = chain.len() * ring::DESCRIPTOR_BYTES;
        let pointer = Descriptor {
            segment: self.memory.segment(table, bytes as u32),
            flags: ring::DESC_INDIRECT,
            next: 0,
        };
        self.write(head, pointer);
    }

    fn write_at(&self, offset: usize, descriptor: Descriptor) {
        let Descriptor {
            segment,
            flags,
            next,
        } = descriptor;
        self.memory.store64(offset, segment.address().0);
        self.memory.store32(offset + 8, segment.length());
        self.memory.store16(offset + 12, flags, Ordering::Relaxed);
        self.memory.store16(offset + 14, next, Ordering::Relaxed);
    }

    /// Puts a head at a position of the available ring; not yet visible.
    pub fn set_available(&self, position: u16, head: u16) {
        let offset = ELEMENTS + 2 * self.wrap(position);
        self.store(self.layout.available_offset() + offset, head);
    }

    /// Makes the available ring visible up to `index`; all writes so far come before it.
    pub fn publish(&self, index: u16) {
        let offset = self.layout.available_offset() + INDEX;
        self.memory.store16(offset, index, Ordering::Release);
    }

    /// The device's index; what it wrote before (elements, data) is visible after it.
    pub fn used_index(&self) -> u16 {
        let offset = self.layout.used_offset() + INDEX;
        self.memory.load16(offset, Ordering::Acquire)
    }

    /// Id and length at a position of the used ring.
    pub fn used_element(&self, position: u16) -> (u32, u32) {
        let element = ELEMENTS + ring::USED_ELEMENT_BYTES * self.wrap(position);
        let offset = self.layout.used_offset() + element;
        (self.memory.load32(offset), self.memory.load32(offset + 4))
    }

    /// Whether the device's flag says that it needs no notification.
    pub fn notify_suppressed(&self) -> bool {
        self.load(self.layout.used_offset()) & ring::USED_NO_NOTIFY != 0
    }

    /// `avail_event`: the index whose passing the device wants to hear of.
    pub fn available_event(&self) -> u16 {
        let elements = ring::USED_ELEMENT_BYTES * usize::from(self.layout.size.get());
        self.load(self.layout.used_offset() + ELEMENTS + elements)
    }

    /// Sets the driver's flag that no interrupt is needed.
    pub fn set_interrupt_flag(&self, flag: u16) {
        self.store(self.layout.available_offset(), flag);
    }

    /// Sets `used_event`: the index whose passing we want to hear of.
    pub fn set_used_event(&self, index: u16) {
        let elements = 2 * usize::from(self.layout.size.get());
        self.store(self.layout.available_offset() + ELEMENTS + elements, index);
    }

    fn load(&self, offset: usize) -> u16 {
        self.memory.load16(offset, Ordering::Relaxed)
    }

    fn store(&self, offset: usize, value: u16) {
        self.memory.store16(offset, value, Ordering::Relaxed);
    }

    fn wrap(&self, position: u16) -> usize {
        usize::from(position & (self.layout.size.get() - 1))
    }
}
