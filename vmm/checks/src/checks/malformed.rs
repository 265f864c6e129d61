//! Rings that no driver should write (virtio 1.2, 2.7): whatever the device makes of them, it
//! touches nothing else, says "needs reset" at most, and works after a reset.

use super::blk::{self, DATA, Disk, IN, OK, SECTOR, at};
use super::{Check, list};
use crate::Machine;
use crate::arch::phys;
use crate::clock;
use crate::verdict::{Verdict, equal, holds};
use crate::virtio::{
    Buffer, DRIVER_OK, INDIRECT, INDIRECT_DESC, NEXT, Queue, SIZE, VERSION_1, WRITE, register::*,
};

/// All of this file.
pub const CHECKS: &[Check] = list!("malformed_": buffer_outside_ram, header_outside_ram, loop_of_descriptors, zero_length,
    head_out_of_range, next_out_of_range, index_jumps, indirect_table_outside_ram, indirect_in_indirect, odd_indirect_length,
    rings_outside_ram, no_status_byte, notify_unknown_queue, bad_register_accesses);

/// Where there is neither RAM nor a device.
const NOWHERE: u64 = 0xa_0000_0000_0000;
const HEADER: u64 = 0x8_0000;

/// Writes the rings wrongly, offers them, and sees that the machine goes on.
fn survives(machine: &Machine, spoil: fn(&mut Disk)) -> Verdict {
    let mut disk = Disk::start(machine, INDIRECT_DESC)?;
    disk.describe(IN, 1, SECTOR);
    spoil(&mut disk);
    disk.queue.notify();
    // Nothing need happen: a moment for what may.
    clock::wait(20, || disk.queue.used_index() != 0);
    works(machine)
}

/// After a reset the disk does what it should.
fn works(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    equal(
        "status of a read after a reset",
        disk.request(IN, 1, SECTOR)?.0,
        OK,
    )?;
    blk::data_are(1)
}

fn header(disk: &Disk, next: u16) {
    disk.queue.describe(
        0,
        Buffer {
            address: at(HEADER),
            length: 16,
            flags: NEXT,
            next,
        },
    );
}

fn buffer_outside_ram(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            1,
            Buffer {
                address: NOWHERE,
                length: SECTOR,
                flags: NEXT | WRITE,
                next: 2,
            },
        );
        disk.queue.offer(0);
    })
}

fn header_outside_ram(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            0,
            Buffer {
                address: u64::MAX - 7,
                length: 16,
                flags: NEXT,
                next: 1,
            },
        );
        disk.queue.offer(0);
    })
}

fn loop_of_descriptors(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            1,
            Buffer {
                address: at(DATA),
                length: SECTOR,
                flags: NEXT | WRITE,
                next: 1,
            },
        );
        disk.queue.offer(0);
    })
}

fn zero_length(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            1,
            Buffer {
                address: at(DATA),
                length: 0,
                flags: NEXT | WRITE,
                next: 2,
            },
        );
        disk.queue.offer(0);
    })
}

fn head_out_of_range(machine: &Machine) -> Verdict {
    survives(machine, |disk| disk.queue.offer(SIZE + 5))
}

fn next_out_of_range(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        header(disk, 60_000);
        disk.queue.offer(0);
    })
}

/// The available index is ahead by more than the queue has entries.
fn index_jumps(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        phys::write(disk.queue.available() + 2, 40_000u16)
    })
}

fn indirect_table_outside_ram(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            0,
            Buffer {
                address: NOWHERE,
                length: 48,
                flags: INDIRECT,
                next: 0,
            },
        );
        disk.queue.offer(0);
    })
}

/// 2.7.5.3.1: a table in a table is not allowed.
fn indirect_in_indirect(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        let table = Buffer {
            address: disk.queue.table(),
            length: 48,
            flags: INDIRECT,
            next: 0,
        };
        disk.queue.describe(0, table);
        disk.queue.offer(0);
    })
}

/// A table's length is a multiple of 16.
fn odd_indirect_length(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            0,
            Buffer {
                address: at(HEADER),
                length: 17,
                flags: INDIRECT,
                next: 0,
            },
        );
        disk.queue.offer(0);
    })
}

/// The device is told rings that are nowhere.
fn rings_outside_ram(machine: &Machine) -> Verdict {
    let disk = Disk::start(machine, 0)?;
    let device = disk.device;
    holds("FEATURES_OK stays", device.negotiate(VERSION_1))?;
    device.write(QUEUE_SEL, 0);
    device.write(QUEUE_NUM, SIZE.into());
    for register in [QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE] {
        device.write_address(register, NOWHERE);
    }
    device.write(QUEUE_READY, 1);
    device.advance(DRIVER_OK);
    device.write(QUEUE_NOTIFY, 0);
    clock::pause(5);
    works(machine)
}

/// A request without a byte for its status cannot be answered.
fn no_status_byte(machine: &Machine) -> Verdict {
    survives(machine, |disk| {
        disk.queue.describe(
            0,
            Buffer {
                address: at(HEADER),
                length: 16,
                flags: 0,
                next: 0,
            },
        );
        disk.queue.offer(0);
    })
}

/// A notification for a queue that is not there.
fn notify_unknown_queue(machine: &Machine) -> Verdict {
    let disk = Disk::start(machine, 0)?;
    for queue in [1, 7, 0xffff, u32::MAX] {
        disk.device.write(QUEUE_NOTIFY, queue);
    }
    works(machine)
}

/// 4.2.2.2: registers are 32 bits wide; other accesses, and registers that are not there, do no harm.
fn bad_register_accesses(machine: &Machine) -> Verdict {
    let disk = Disk::start(machine, 0)?;
    let base = disk.device.0.base;
    phys::write(base + STATUS, 0xffu8);
    phys::write(base + QUEUE_NUM, 0xffffu16);
    for register in [0x018, 0x048, 0x0f0] {
        phys::write(base + register, u32::MAX);
        phys::read::<u32>(base + register);
    }
    phys::read::<u8>(base + 1);
    phys::read::<u16>(base + 2);
    phys::write(base + MAGIC_VALUE, 0u32);
    equal(
        "magic value",
        disk.device.read(MAGIC_VALUE),
        u32::from_le_bytes(*b"virt"),
    )?;
    holds(
        "an empty queue can be made",
        Queue::new(disk.device, 0).index == 0,
    )?;
    works(machine)
}
