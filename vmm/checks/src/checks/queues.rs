//! Split queues and their interrupts (virtio 1.2, 2.7 and 4.2.3), with a disk as the device.

use super::blk::{self, DATA, Disk, IN, OK, SECTOR, at};
use super::lapic::VECTOR;
use super::{Check, list};
use crate::Machine;
use crate::arch::{cpu, trap};
use crate::verdict::{Verdict, equal, holds, needs};
use crate::virtio::{Buffer, EVENT_IDX, INDIRECT, INDIRECT_DESC, register::*, write_descriptor};
use crate::{clock, ioapic};

/// All of this file.
pub const CHECKS: &[Check] = list!("queue_": interrupt, acknowledge, no_interrupt, event_index, indirect, batch,
    used_flags, notify_before_ready);

/// Leads the disk's line to this CPU.
fn listen(disk: &Disk) -> Verdict {
    needs(
        disk.device.0.gsi < ioapic::lines(),
        "the line is another I/O APIC's",
    )?;
    ioapic::set(disk.device.0.gsi, ioapic::to(0, VECTOR));
    trap::forget(0);
    cpu::interrupts_on();
    Ok(())
}

fn hush(disk: &Disk) {
    ioapic::mask(disk.device.0.gsi);
    disk.device
        .write(INTERRUPT_ACK, disk.device.read(INTERRUPT_STATUS));
}

fn interrupted(times: u32) -> bool {
    clock::wait(clock::PATIENCE_MS, || trap::count(0) >= times)
}

/// 4.2.3.3: a used buffer is an interrupt, with bit 0 in InterruptStatus; and so is the next.
fn interrupt(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    listen(&disk)?;
    for round in 1..=4 {
        equal("status", disk.request(IN, 1, SECTOR)?.0, OK)?;
        let arrived = interrupted(round);
        let status = disk.device.read(INTERRUPT_STATUS);
        disk.device.write(INTERRUPT_ACK, status);
        holds("the interrupt arrives", arrived)?;
        equal("InterruptStatus", status, 1u32)?;
        equal(
            "InterruptStatus after InterruptACK",
            disk.device.read(INTERRUPT_STATUS),
            0u32,
        )?;
    }
    hush(&disk);
    equal(
        "vector",
        trap::logged(0, 0).map_or(0, |(vector, _)| vector),
        VECTOR,
    )?;
    equal("interrupts", trap::count(0), 4u32)
}

/// 4.2.2: only the bits that are acknowledged go away.
fn acknowledge(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    disk.request(IN, 1, SECTOR)?;
    let pending = clock::wait(clock::PATIENCE_MS, || {
        disk.device.read(INTERRUPT_STATUS) == 1
    });
    holds("InterruptStatus is 1", pending)?;
    disk.device.write(INTERRUPT_ACK, 2);
    equal(
        "InterruptStatus after another bit",
        disk.device.read(INTERRUPT_STATUS),
        1u32,
    )?;
    disk.device.write(INTERRUPT_ACK, 1);
    equal(
        "InterruptStatus after its bit",
        disk.device.read(INTERRUPT_STATUS),
        0u32,
    )
}

/// 2.7.7: VIRTQ_AVAIL_F_NO_INTERRUPT is a hint that both machines take.
fn no_interrupt(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    listen(&disk)?;
    disk.queue.set_flags(1);
    equal("status", disk.request(IN, 1, SECTOR)?.0, OK)?;
    clock::pause(5);
    let silent = trap::count(0);
    disk.queue.set_flags(0);
    equal("status", disk.request(IN, 1, SECTOR)?.0, OK)?;
    let arrived = interrupted(1);
    hush(&disk);
    equal("interrupts with the flag", silent, 0u32)?;
    holds("the interrupt arrives without the flag", arrived)
}

/// 2.7.7.1, 2.7.10: with EVENT_IDX, an interrupt when the used index passes used_event only.
fn event_index(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, EVENT_IDX)?;
    needs(
        disk.features & EVENT_IDX != 0,
        "VIRTIO_F_EVENT_IDX is not offered",
    )?;
    listen(&disk)?;
    // The first one interrupts always: used_event is 0, and QEMU has not seen it yet.
    equal("status", disk.request(IN, 1, SECTOR)?.0, OK)?;
    holds("the first request interrupts", interrupted(1))?;
    disk.device.write(INTERRUPT_ACK, 1);
    trap::forget(0);
    disk.queue.set_used_event(3);
    for _ in 0..2 {
        equal("status", disk.request(IN, 1, SECTOR)?.0, OK)?;
    }
    clock::pause(5);
    let early = trap::count(0);
    equal("status", disk.request(IN, 1, SECTOR)?.0, OK)?;
    let arrived = interrupted(1);
    hush(&disk);
    equal("interrupts before the event", early, 0u32)?;
    holds("the request that passes the event interrupts", arrived)
}

/// 2.7.5.3: a descriptor that is a table of descriptors.
fn indirect(machine: &Machine) -> Verdict {
    const TABLE: u64 = 0x8_1000;
    let mut disk = Disk::start(machine, INDIRECT_DESC)?;
    needs(
        disk.features & INDIRECT_DESC != 0,
        "VIRTIO_F_INDIRECT_DESC is not offered",
    )?;
    disk.describe(IN, 3, SECTOR);
    for number in 0..3 {
        let (from, to) = (disk.queue.table() + 16 * number, at(TABLE) + 16 * number);
        (0..2).for_each(|word| {
            crate::arch::phys::write(
                to + 8 * word,
                crate::arch::phys::read::<u64>(from + 8 * word),
            );
        });
    }
    let table = Buffer {
        address: at(TABLE),
        length: 48,
        flags: INDIRECT,
        next: 0,
    };
    write_descriptor(disk.queue.table(), table);
    equal("status", disk.finish()?.0, OK)?;
    blk::data_are(3)
}

/// Several chains with one notification: all are used, each once.
fn batch(machine: &Machine) -> Verdict {
    const CHAINS: u16 = 4;
    let mut disk = Disk::start(machine, 0)?;
    blk::write_header(IN, 1);
    let [header, data, status] = [0x8_0000, DATA, 0x8_0200].map(at);
    for chain in 0..CHAINS {
        let first = 3 * chain;
        let link = |number| first + number;
        let own_data = data + 0x1000 * u64::from(chain);
        let chain_of = [
            Buffer {
                address: header,
                length: 16,
                flags: 1,
                next: link(1),
            },
            Buffer {
                address: own_data,
                length: SECTOR,
                flags: 3,
                next: link(2),
            },
            Buffer {
                address: status + u64::from(chain),
                length: 1,
                flags: 2,
                next: 0,
            },
        ];
        for (number, buffer) in chain_of.into_iter().enumerate() {
            disk.queue.describe(link(number as u16), buffer);
        }
        crate::arch::phys::write(status + u64::from(chain), 0xffu8);
        disk.queue.offer(first);
    }
    disk.queue.notify();
    holds("all are used", disk.queue.all_used())?;
    let heads = (0..CHAINS).map(|number| disk.queue.used_element(number).0);
    equal(
        "heads in the used ring, as bits",
        heads.fold(0, |set, head| set | 1u32 << head),
        0b0010_0100_1001u32,
    )?;
    for chain in 0..u64::from(CHAINS) {
        equal("status", crate::arch::phys::read::<u8>(status + chain), OK)?;
    }
    Ok(())
}

/// 2.7.9: while the device waits it wants notifications: used.flags is 0.
fn used_flags(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    disk.request(IN, 1, SECTOR)?;
    let at = disk.queue.used();
    let wanted = clock::wait(clock::PATIENCE_MS, || {
        crate::arch::phys::read::<u16>(at) == 0
    });
    holds("the device wants notifications", wanted)
}

/// 3.1.1: buffers that are there before DRIVER_OK are used after it, with a notification.
fn notify_before_ready(machine: &Machine) -> Verdict {
    let disk = Disk::start(machine, 0)?;
    let device = disk.device;
    holds(
        "FEATURES_OK stays",
        device.negotiate(crate::virtio::VERSION_1),
    )?;
    let mut queue = crate::virtio::Queue::new(device, 0);
    holds("the queue is ready", queue.enable())?;
    Disk { queue, ..disk }.describe(IN, 2, SECTOR);
    queue.offer(0);
    equal("used index before DRIVER_OK", queue.used_index(), 0u16)?;
    device.advance(crate::virtio::DRIVER_OK);
    queue.notify();
    holds("the request is used", queue.all_used())?;
    equal("status", blk::status(), OK)?;
    blk::data_are(2)
}
