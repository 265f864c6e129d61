//! virtio-blk (virtio 1.2, 5.2): requests and their statuses.
//!
//! The disk is a scratch file: byte n of sector s is `s + n / 2`, as whoever runs this made it.

use super::{Check, list};
use crate::Machine;
use crate::arch::{phys, start};
use crate::verdict::{Stop, Verdict, equal, holds, skip, there, within};
use crate::virtio::{self, Buffer, Device, NEXT, Queue, WRITE};

/// All of this file.
pub const CHECKS: &[Check] = list!("blk_": capacity, read, read_many, write_and_read, flush, get_id, beyond_the_end,
    part_of_a_sector, unknown_type, read_only_header, split_header);

/// Device id.
pub const ID: u32 = 2;
/// Request types (5.2.6).
pub const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const FEATURE_RO: u64 = 1 << 5;
const FEATURE_FLUSH: u64 = 1 << 9;
/// Statuses.
pub const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;
/// A status that no device writes.
const NOT_WRITTEN: u8 = 0xee;

/// Offsets in the arena.
const HEADER: u64 = 0x8_0000;
const STATUS: u64 = 0x8_0100;
/// Data of a request.
pub const DATA: u64 = 0x9_0000;
/// Bytes of a sector.
pub const SECTOR: u32 = 512;

/// Physical address of a place in the arena.
pub fn at(offset: u64) -> u64 {
    start::arena().start + offset
}

/// A disk with its queue.
pub struct Disk {
    /// Its registers.
    pub device: Device,
    /// Its queue.
    pub queue: Queue,
    /// What it offers.
    pub features: u64,
}

impl Disk {
    /// The first disk, ready, with some of the features of rings.
    pub fn start(machine: &Machine, wanted: u64) -> Result<Self, Stop> {
        let Some(device) = virtio::find(machine, ID) else {
            return skip("no virtio-blk device");
        };
        let features = device.features();
        let chosen = features & (wanted | FEATURE_FLUSH | FEATURE_RO);
        let [queue, _] = there("a device that gets ready", device.start(chosen, 0..1))?;
        Ok(Self {
            device,
            queue,
            features,
        })
    }

    /// Bytes that the device says the disk has.
    pub fn sectors(&self) -> u64 {
        u64::from(self.device.config32(0)) | u64::from(self.device.config32(4)) << 32
    }

    /// Describes a request from descriptor 0 on: header, data, status.
    pub fn describe(&self, kind: u32, sector: u64, length: u32) {
        write_header(kind, sector);
        let data_flags = if kind == OUT { NEXT } else { NEXT | WRITE };
        let status = if length == 0 { 1 } else { 2 };
        self.queue.describe(
            0,
            Buffer {
                address: at(HEADER),
                length: 16,
                flags: NEXT,
                next: 1,
            },
        );
        self.queue.describe(
            1,
            Buffer {
                address: at(DATA),
                length,
                flags: data_flags,
                next: 2,
            },
        );
        self.queue.describe(
            status,
            Buffer {
                address: at(STATUS),
                length: 1,
                flags: WRITE,
                next: 0,
            },
        );
    }

    /// Offers descriptor 0 and waits; status and used length.
    pub fn finish(&mut self) -> Result<(u8, u32), Stop> {
        let number = self.queue.offered;
        self.queue.offer(0);
        self.queue.notify();
        holds("the request is used", self.queue.all_used())?;
        let (head, length) = self.queue.used_element(number);
        equal("head of the used element", head, 0u32)?;
        Ok((status(), length))
    }

    /// A request.
    pub fn request(&mut self, kind: u32, sector: u64, length: u32) -> Result<(u8, u32), Stop> {
        self.describe(kind, sector, length);
        self.finish()
    }
}

/// Fills the header, and spoils the status.
pub fn write_header(kind: u32, sector: u64) {
    phys::write(at(HEADER), kind);
    phys::write(at(HEADER) + 4, 0u32);
    phys::write(at(HEADER) + 8, sector);
    phys::write(at(STATUS), NOT_WRITTEN);
}

/// The status byte.
pub fn status() -> u8 {
    phys::read(at(STATUS))
}

/// Whether the data are those of a sector, by a few bytes.
pub fn data_are(sector: u64) -> Verdict {
    for byte in [0, 1, 255, 511] {
        let got = phys::read::<u8>(at(DATA) + byte);
        equal("a byte of the sector", got, (sector + byte / 2) as u8)?;
    }
    Ok(())
}

/// 5.2.4: a disk has sectors.
fn capacity(machine: &Machine) -> Verdict {
    within("sectors", Disk::start(machine, 0)?.sectors(), 8..=1 << 40)
}

/// VIRTIO_BLK_T_IN: the sector's bytes, status 0, and the length of both.
fn read(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    for sector in [0, 3, disk.sectors() - 1] {
        (0..64).for_each(|word| phys::write(at(DATA) + 8 * word, u64::MAX));
        let (status, length) = disk.request(IN, sector, SECTOR)?;
        equal("status", status, OK)?;
        equal("used length", length, SECTOR + 1)?;
        data_are(sector)?;
    }
    Ok(())
}

/// The rings' indices go round.
fn read_many(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    for round in 0..40 {
        equal("status", disk.request(IN, round % 4, SECTOR)?.0, OK)?;
    }
    equal("used index", disk.queue.used_index(), 40u16)?;
    data_are(3)
}

/// VIRTIO_BLK_T_OUT: what was written is read, and its neighbours are as before.
fn write_and_read(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    if disk.features & FEATURE_RO != 0 {
        let (status, _) = disk.request(OUT, 5, SECTOR)?;
        return equal("status of a write to a read-only disk", status, IOERR);
    }
    for word in 0..64 {
        phys::write(at(DATA) + 8 * word, 0x0123_4567_89ab_cdefu64 ^ word);
    }
    let (status, length) = disk.request(OUT, 5, SECTOR)?;
    equal("status of the write", status, OK)?;
    equal("used length of the write", length, 1u32)?;
    (0..64).for_each(|word| phys::write(at(DATA) + 8 * word, 0u64));
    equal("status of the read", disk.request(IN, 5, SECTOR)?.0, OK)?;
    for word in [0, 1, 63] {
        equal(
            "a word of the sector",
            phys::read::<u64>(at(DATA) + 8 * word),
            0x0123_4567_89ab_cdefu64 ^ word,
        )?;
    }
    for sector in [4, 6] {
        disk.request(IN, sector, SECTOR)?;
        data_are(sector)?;
    }
    // As it was, for the next run.
    (0..512).for_each(|byte| phys::write(at(DATA) + byte, (5 + byte / 2) as u8));
    equal(
        "status of the second write",
        disk.request(OUT, 5, SECTOR)?.0,
        OK,
    )
}

/// VIRTIO_BLK_T_FLUSH, where it is offered.
fn flush(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    if disk.features & FEATURE_FLUSH == 0 {
        return skip("VIRTIO_BLK_F_FLUSH is not offered");
    }
    let (status, length) = disk.request(FLUSH, 0, 0)?;
    equal("status", status, OK)?;
    equal("used length", length, 1u32)
}

/// VIRTIO_BLK_T_GET_ID: 20 bytes of text, padded with zero bytes.
fn get_id(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    (0..24).for_each(|byte| phys::write(at(DATA) + byte, 0xffu8));
    let (status, length) = disk.request(GET_ID, 0, 20)?;
    equal("status", status, OK)?;
    // The device may write no more than the name (QEMU), or all 20 bytes.
    within("used length", length.into(), 1..=21)?;
    let byte = |number| phys::read::<u8>(at(DATA) + number);
    let text = (0..20)
        .map(byte)
        .take_while(|&byte| byte != 0)
        .filter(|&byte| byte != 0xff);
    holds(
        "the name is ASCII",
        text.clone().all(|byte| byte.is_ascii()),
    )?;
    equal("the byte after the buffer", byte(20), 0xffu8)
}

/// 5.2.6.2: what does not lie on the disk is an I/O error.
fn beyond_the_end(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    let end = disk.sectors();
    for sector in [end, end + 1, u64::MAX / 512, u64::MAX] {
        equal(
            "status of a read",
            disk.request(IN, sector, SECTOR)?.0,
            IOERR,
        )?;
    }
    equal(
        "status of a read over the end",
        disk.request(IN, end - 1, 2 * SECTOR)?.0,
        IOERR,
    )?;
    equal(
        "status of a read before the end",
        disk.request(IN, end - 1, SECTOR)?.0,
        OK,
    )
}

/// 5.2.6.1: lengths are multiples of 512; others are errors.
fn part_of_a_sector(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    equal("status", disk.request(IN, 0, 100)?.0, IOERR)?;
    equal(
        "status of a whole sector",
        disk.request(IN, 0, SECTOR)?.0,
        OK,
    )
}

/// 5.2.6.2: a type that the device does not know is unsupported.
fn unknown_type(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    // Odd types write (5.2.6, VIRTIO_BLK_T_OUT is bit 0): an even one.
    equal("status", disk.request(0x4242, 0, SECTOR)?.0, UNSUPP)?;
    equal("status of a read", disk.request(IN, 0, SECTOR)?.0, OK)
}

/// The device writes no buffer that is not its to write.
fn read_only_header(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    disk.request(IN, 2, SECTOR)?;
    equal("type in the header", phys::read::<u32>(at(HEADER)), IN)?;
    equal(
        "sector in the header",
        phys::read::<u64>(at(HEADER) + 8),
        2u64,
    )
}

/// 2.7.4.2: no assumption about framing: header, data and status in more pieces than usual.
fn split_header(machine: &Machine) -> Verdict {
    let mut disk = Disk::start(machine, 0)?;
    write_header(IN, 2);
    let pieces = [
        (HEADER, 4, NEXT),
        (HEADER + 4, 12, NEXT),
        (DATA, 100, NEXT | WRITE),
        (DATA + 100, 412, NEXT | WRITE),
        (STATUS, 1, WRITE),
    ];
    for (number, (offset, length, flags)) in pieces.into_iter().enumerate() {
        let next = number as u16 + 1;
        disk.queue.describe(
            number as u16,
            Buffer {
                address: at(offset),
                length,
                flags,
                next,
            },
        );
    }
    equal("status", disk.finish()?.0, OK)?;
    data_are(2)
}
