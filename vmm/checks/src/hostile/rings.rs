//! Garbage for a virtio device: registers in any order, rings of any content, resets while it works.

use super::chance::Chance;
use crate::arch::{phys, start};
use crate::virtio::{
    Buffer, DRIVER_OK, Device, INDIRECT, NEXT, Queue, SIZE, VERSION_1, WRITE, register::*,
};

/// Offset in the arena of what devices may write, and its bytes.
const FREE: (u64, u64) = (0x8_0000, 0x10_0000);
/// Where there is neither RAM nor a device.
const NOWHERE: u64 = 0xa_0000_0000_0000;
/// Registers that a driver writes, but for those with addresses.
const REGISTERS: [u64; 10] = [
    DEVICE_FEATURES_SEL,
    DRIVER_FEATURES_SEL,
    DRIVER_FEATURES,
    QUEUE_SEL,
    QUEUE_NUM,
    QUEUE_READY,
    QUEUE_NOTIFY,
    INTERRUPT_ACK,
    STATUS,
    CONFIG,
];

/// A device and the rings that it may know.
#[derive(Clone, Copy)]
pub struct Victim {
    /// The device.
    pub device: Device,
    queues: [Queue; 2],
}

impl Victim {
    /// A device in whatever state.
    pub fn new(device: Device) -> Self {
        Self {
            device,
            queues: [0, 1].map(|index| Queue::new(device, index)),
        }
    }

    /// One thing that no driver does, or that drivers do at other times.
    pub fn torment(&mut self, chance: &mut Chance) {
        let queue = chance.below(2) as usize;
        match chance.below(16) {
            0..4 => self.restart(chance),
            4 => self.write_register(chance),
            5 => self.place_queue(chance),
            6 => core::mem::drop(self.device.read(chance.below(0x400) & !3)),
            7 => self.device.write(STATUS, 0),
            8 => {
                let jump = self.queues[queue].available() + 2;
                phys::write(jump, chance.word() as u16);
            }
            9..12 => self.request(queue, chance),
            _ => self.chains(queue, chance),
        }
    }

    /// As a driver does it, with any features that it offers. What the rings held before stays in them.
    fn restart(&mut self, chance: &mut Chance) {
        let features = self.device.features() & chance.word() | VERSION_1;
        if !self.device.negotiate(features) {
            return;
        }
        for queue in &mut self.queues {
            queue.offered = 0;
            phys::write(queue.available(), 0u32);
            phys::write(queue.used(), 0u32);
            queue.enable();
        }
        self.device.advance(DRIVER_OK);
    }

    fn write_register(&self, chance: &mut Chance) {
        let register = chance.one_of(&REGISTERS);
        let value = match chance.below(3) {
            0 => chance.below(17) as u32,
            1 => 1 << chance.below(32),
            _ => chance.word() as u32,
        };
        self.device.write(register, value);
    }

    /// Queues in the arena, or nowhere.
    fn place_queue(&self, chance: &mut Chance) {
        self.device.write(QUEUE_SEL, chance.below(3) as u32);
        let register = chance.one_of(&[QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE]);
        let address = match chance.below(3) {
            0 => NOWHERE | chance.word() >> 16,
            _ => place(chance, FREE.1),
        };
        self.device.write_address(register, address);
        self.device.write(QUEUE_READY, chance.below(2) as u32);
    }

    /// Something like a disk's request: header, data, status.
    fn request(&mut self, queue: usize, chance: &mut Chance) {
        let ring = &mut self.queues[queue];
        let header = place(chance, 0x1000) & !7;
        phys::write(header, chance.one_of(&[0u32, 1, 4, 8, 11, 13, 99]));
        phys::write(header + 8, chance.below(0x900));
        let data = NEXT | chance.one_of(&[0, WRITE]);
        let length = 512 * chance.below(9) as u32;
        let status = place(chance, 1);
        let parts = [
            (header, 16, NEXT),
            (place(chance, 0x2000), length, data),
            (status, 1, WRITE),
        ];
        for (number, (address, length, flags)) in parts.into_iter().enumerate() {
            let buffer = Buffer {
                address,
                length,
                flags,
                next: number as u16 + 1,
            };
            ring.describe(number as u16, buffer);
        }
        ring.offer(0);
        ring.notify();
    }

    /// Descriptors of any content, several chains at once.
    fn chains(&mut self, queue: usize, chance: &mut Chance) {
        let ring = &mut self.queues[queue];
        for _ in 0..1 + chance.below(6) {
            let number = chance.below(SIZE.into()) as u16;
            ring.describe(number, buffer(chance));
        }
        for _ in 0..1 + chance.below(3) {
            ring.offer(chance.below(u64::from(SIZE) + 1) as u16);
        }
        ring.set_used_event(chance.word() as u16);
        ring.set_flags(chance.below(2) as u16);
        ring.notify();
    }
}

/// Any descriptor, whose buffer is in the arena or nowhere.
fn buffer(chance: &mut Chance) -> Buffer {
    let length = match chance.below(4) {
        0 => chance.below(40),
        1 => 512 * chance.below(9),
        2 => 16 * chance.below(300),
        _ => chance.below(0x8000),
    };
    let (address, length) = match chance.below(8) {
        0 => (NOWHERE | chance.word() >> 16, chance.word() as u32),
        1 => (u64::MAX - chance.below(64), chance.word() as u32),
        2 => (chance.one_of(&[0xd000_0000, 0xfee0_0000]), length as u32),
        _ => (place(chance, length), length as u32),
    };
    let flags = match chance.below(8) {
        // A table in the arena: what is there may be anything, but seldom an address of RAM.
        0 => INDIRECT,
        1 => chance.word() as u16,
        _ => chance.one_of(&[0, NEXT, WRITE, NEXT | WRITE]),
    };
    Buffer {
        address,
        length,
        flags,
        next: chance.below(u64::from(SIZE) + 2) as u16,
    }
}

/// So many bytes of the arena.
fn place(chance: &mut Chance, length: u64) -> u64 {
    start::arena().start + FREE.0 + chance.below((FREE.1 - length).max(1))
}
