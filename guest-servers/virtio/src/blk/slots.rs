//! Headers, status bytes and small data of the requests in flight, in device memory.

use super::{Identity, Request, SlotData};
use crate::dma::{DmaMemory, Segment};
use crate::spec::blk::{HEADER_BYTES, ID_BYTES, RANGE_BYTES};
use alloc::vec::Vec;

/// Bytes of a slot: a cache line.
const SLOT_BYTES: usize = 64;
/// Offset of the header: type u32, reserved u32, sector u64 (section 5.2.6).
const HEADER: usize = 0;
/// Offset of the range of a discard or write-zeroes, or of the identity string.
const DATA: usize = 16;
/// Offset of the status byte.
const STATUS: usize = 48;
/// What the status byte holds until the device writes it: no valid status.
const UNWRITTEN: u8 = 0xff;

/// One request's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u16);

/// The parts of a chain that are in the slot.
#[derive(Debug)]
pub(super) struct Frame {
    pub header: Segment,
    pub data: SlotData,
    pub status: Segment,
}

#[derive(Debug)]
pub(super) struct Slots {
    memory: DmaMemory,
    free: Vec<Slot>,
}

impl Slots {
    /// Bytes for `count` slots, with their alignment.
    pub const fn bytes(count: u16) -> usize {
        count as usize * SLOT_BYTES + SLOT_BYTES
    }

    /// Takes over memory of [`bytes`](Self::bytes)`(count)`.
    pub fn new(count: u16, mut memory: DmaMemory) -> Slots {
        let memory = memory
            .carve(usize::from(count) * SLOT_BYTES, SLOT_BYTES)
            .expect("memory of `Slots::bytes`");
        Slots {
            memory,
            free: (0..count).rev().map(Slot).collect(),
        }
    }

    pub fn take(&mut self) -> Option<Slot> {
        self.free.pop()
    }

    pub fn give_back(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// Writes a request's header and its data, if it has no segments of its own.
    pub fn fill(&self, slot: Slot, request: &Request<'_>) -> Frame {
        let base = Self::base(slot);
        self.memory.store32(base + HEADER, request.kind());
        self.memory.store32(base + HEADER + 4, 0);
        self.memory
            .store64(base + HEADER + 8, request.header_sector());
        self.memory.store8(base + STATUS, UNWRITTEN);
        Frame {
            header: self.memory.segment(base + HEADER, HEADER_BYTES),
            data: self.fill_data(base + DATA, request),
            status: self.memory.segment(base + STATUS, 1),
        }
    }

    fn fill_data(&self, at: usize, request: &Request<'_>) -> SlotData {
        if let Request::GetId = request {
            self.memory.copy_in(at, &[0; ID_BYTES as usize]);
            return Some(self.memory.segment(at, ID_BYTES));
        }
        let (sector, sectors, flags) = request.range()?;
        self.memory.store64(at, sector);
        self.memory.store32(at + 8, sectors);
        self.memory.store32(at + 12, flags);
        Some(self.memory.segment(at, RANGE_BYTES))
    }

    /// The status byte, as the device left it.
    pub fn status(&self, slot: Slot) -> u8 {
        self.memory.load8(Self::base(slot) + STATUS)
    }

    /// The identity string, as the device left it.
    pub fn identity(&self, slot: Slot) -> Identity {
        let mut bytes = [0; ID_BYTES as usize];
        self.memory.copy_out(Self::base(slot) + DATA, &mut bytes);
        Identity::new(bytes)
    }

    fn base(slot: Slot) -> usize {
        usize::from(slot.0) * SLOT_BYTES
    }
}
