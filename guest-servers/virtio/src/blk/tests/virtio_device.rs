//! A disk in memory behind the device's side of the `virtio-queue` crate.

use crate::spec::{blk as spec, interrupt};
use crate::testing::{FakeDevice, interrupts};
use std::vec;
use std::vec::Vec;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Fills the configuration space; which fields are valid is for the features to say.
pub fn configure(device: &FakeDevice) {
    use spec::config;
    device.configure(config::CAPACITY, &super::SECTORS.to_le_bytes());
    let words = [
        (config::SIZE_MAX, 65_536u32),
        (config::SEG_MAX, 6),
        (config::BLK_SIZE, 4096),
        (config::MAX_DISCARD_SECTORS, 32),
        (config::DISCARD_SECTOR_ALIGNMENT, 8),
        (config::MAX_WRITE_ZEROES_SECTORS, 16),
    ];
    for (offset, value) in words {
        device.configure(offset, &value.to_le_bytes());
    }
    device.configure(config::PHYSICAL_BLOCK_EXP, &[3]);
    device.configure(config::MIN_IO_SIZE, &[2, 0]);
    device.configure(config::WRITE_ZEROES_MAY_UNMAP, &[1]);
}

/// A request that the device took, not yet answered.
pub struct Taken {
    head: u16,
    readable: Vec<u8>,
    writable: Vec<(GuestAddress, u32)>,
}

pub struct DiskDevice {
    pub registers: FakeDevice,
    pub data: Vec<u8>,
    pub flushes: u32,
    pub discarded: Vec<(u64, u32)>,
    /// Answer with this instead of doing anything.
    pub forced_status: Option<u8>,
    queue: Queue,
}

impl DiskDevice {
    pub fn new(registers: FakeDevice, sectors: u64) -> DiskDevice {
        let queue = registers.queue(0);
        let data = vec![0; sectors as usize * 512];
        let (discarded, forced_status) = (Vec::new(), None);
        DiskDevice {
            registers,
            data,
            flushes: 0,
            discarded,
            forced_status,
            queue,
        }
    }

    /// After the driver set the queue up anew.
    pub fn restart(&mut self) {
        self.queue = self.registers.queue(0);
    }

    /// Serves all that is there; returns whether it interrupts.
    pub fn serve(&mut self, memory: &GuestMemoryMmap) -> bool {
        let mut interrupts = false;
        loop {
            while let Some(taken) = self.take(memory) {
                interrupts |= self.finish(memory, &taken);
            }
            if !self.queue.enable_notification(memory).unwrap() {
                return interrupts;
            }
        }
    }

    pub fn take(&mut self, memory: &GuestMemoryMmap) -> Option<Taken> {
        let chain = self.queue.pop_descriptor_chain(memory)?;
        let head = chain.head_index();
        let (mut readable, mut writable) = (Vec::new(), Vec::new());
        for buffer in chain {
            if buffer.is_write_only() {
                writable.push((GuestAddress(buffer.addr().0), buffer.len()));
            } else {
                let mut bytes = vec![0; buffer.len() as usize];
                memory.read_slice(&mut bytes, buffer.addr()).unwrap();
                readable.extend(bytes);
            }
        }
        Some(Taken {
            head,
            readable,
            writable,
        })
    }

    /// Carries a request out; returns whether it interrupts.
    pub fn finish(&mut self, memory: &GuestMemoryMmap, taken: &Taken) -> bool {
        let (status_at, data) = taken.writable.split_last().expect("a status byte");
        assert_eq!(status_at.1, 1);
        let room = data.iter().map(|(_, length)| *length as usize).sum();
        let (status, answer) = match self.forced_status {
            Some(status) => (status, Vec::new()),
            None => self.execute(&taken.readable, room),
        };
        let mut rest = answer.as_slice();
        for (address, length) in data {
            let (piece, behind) = rest.split_at(rest.len().min(*length as usize));
            memory.write_slice(piece, *address).unwrap();
            rest = behind;
        }
        if status != 0xff {
            memory.write_obj(status, status_at.0).unwrap();
        }
        let written = answer.len() as u32 + 1;
        self.queue.add_used(memory, taken.head, written).unwrap();
        let interrupts = interrupts(&mut self.queue, memory);
        if interrupts {
            self.registers.change().interrupt |= interrupt::USED_BUFFER;
        }
        interrupts
    }

    /// Status and what to write to the driver.
    fn execute(&mut self, request: &[u8], room: usize) -> (u8, Vec<u8>) {
        let kind = u32::from_le_bytes(request[..4].try_into().unwrap());
        let at = u64::from_le_bytes(request[8..16].try_into().unwrap()) as usize * 512;
        let payload = &request[16..];
        match kind {
            spec::request::IN => (0, self.data[at..at + room].to_vec()),
            spec::request::OUT => {
                self.data[at..at + payload.len()].copy_from_slice(payload);
                (0, Vec::new())
            }
            spec::request::FLUSH => {
                self.flushes += 1;
                (0, Vec::new())
            }
            spec::request::GET_ID => (0, b"ferrix-test\0\0\0\0\0\0\0\0\0".to_vec()),
            spec::request::DISCARD | spec::request::WRITE_ZEROES => {
                self.range(kind, payload);
                (0, Vec::new())
            }
            _ => (spec::status::UNSUPP, Vec::new()),
        }
    }

    fn range(&mut self, kind: u32, payload: &[u8]) {
        assert_eq!(payload.len(), 16);
        let sector = u64::from_le_bytes(payload[..8].try_into().unwrap());
        let count = u32::from_le_bytes(payload[8..12].try_into().unwrap());
        let flags = u32::from_le_bytes(payload[12..].try_into().unwrap());
        if kind == spec::request::DISCARD {
            assert_eq!(flags, 0);
            self.discarded.push((sector, count));
        } else {
            assert_eq!(flags & !spec::request::UNMAP, 0);
            let from = sector as usize * 512;
            self.data[from..from + count as usize * 512].fill(0);
        }
    }
}
