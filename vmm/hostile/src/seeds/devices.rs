//! Sessions of drivers.

use virtio_bindings::virtio_blk::*;
use virtio_bindings::virtio_mmio::*;

use crate::device::{SIZE, VERSION_1};
use crate::op::{Descriptor, Op, Place, encode};

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const EVENT_IDX: u64 = 1 << 29;
const INDIRECT_DESC: u64 = 1 << 28;
/// Where requests have their header, their data and their status.
const HEADER: Place = Place::Data(0);
const STATUS: Place = Place::Data(0x100);
const BUFFER: Place = Place::Data(0x200);
/// Where there is a table of descriptors.
const TABLE: Place = Place::Data(0x1000);

fn describe(queue: u8, index: u8, place: Place, length: u32, flags: u16, next: u16) -> Op {
    let descriptor = Descriptor {
        index,
        place,
        length,
        flags,
        next,
    };
    Op::Describe(queue, descriptor)
}

fn header(kind: u32, sector: u64) -> Op {
    let bytes = [u64::from(kind).to_le_bytes(), sector.to_le_bytes()].concat();
    Op::Fill(HEADER, bytes)
}

/// A request of three descriptors from `first` on.
fn request(first: u8, kind: u32, sector: u64, length: u32, direction: u16) -> Vec<Op> {
    let next = |ahead: u8| u16::from(first + ahead);
    vec![
        header(kind, sector),
        describe(0, first, HEADER, 16, NEXT, next(1)),
        describe(0, first + 1, BUFFER, length, NEXT | direction, next(2)),
        describe(0, first + 2, STATUS, 1, WRITE, 0),
        Op::Offer(0, first.into()),
    ]
}

fn range(sector: u64, count: u32, flags: u32) -> Op {
    let mut bytes = sector.to_le_bytes().to_vec();
    bytes.extend([count, flags].iter().flat_map(|word| word.to_le_bytes()));
    Op::Fill(BUFFER, bytes)
}

fn on_disk(mode: u8, parts: &[&[Op]]) -> Vec<u8> {
    [vec![mode], encode(&parts.concat())].concat()
}

/// virtio-blk: each kind of request, a full ring, indirect tables, loops, restarts.
pub fn blk() -> Vec<Vec<u8>> {
    let serve = [Op::Serve];
    let kinds = [
        (VIRTIO_BLK_T_IN, 3, 1024, WRITE),
        (VIRTIO_BLK_T_OUT, 4, 512, 0),
        (VIRTIO_BLK_T_FLUSH, 0, 0, 0),
        (VIRTIO_BLK_T_GET_ID, 0, 20, WRITE),
        (VIRTIO_BLK_T_IN, 63, 1024, WRITE),
        (77, 0, 512, WRITE),
    ];
    let mut seeds = Vec::new();
    for mode in 0..3 {
        for (kind, sector, length, direction) in kinds {
            let request = request(0, kind, sector, length, direction);
            seeds.push(on_disk(mode, &[&request, &serve]));
        }
        for (kind, flags) in [(VIRTIO_BLK_T_DISCARD, 0), (VIRTIO_BLK_T_WRITE_ZEROES, 1)] {
            let request = request(0, kind, 0, 16, 0);
            seeds.push(on_disk(mode, &[&request, &[range(8, 9, flags)], &serve]));
        }
    }
    let full: Vec<_> = (0..5)
        .flat_map(|n| request(3 * n, VIRTIO_BLK_T_IN, n.into(), 512, WRITE))
        .collect();
    seeds.push(on_disk(2, &[&full, &serve, &full, &serve]));
    let restart = [Op::Restart(VERSION_1 | EVENT_IDX | INDIRECT_DESC, SIZE)];
    seeds.push(on_disk(2, &[&restart, &full, &serve, &restart, &serve]));
    seeds.push(on_disk(2, &[&restart, &indirect(), &serve]));
    let circle = [
        describe(0, 0, BUFFER, 512, NEXT | WRITE, 0),
        Op::Offer(0, 0),
    ];
    seeds.push(on_disk(0, &[&circle, &serve, &[Op::Jump(0, 1000)], &serve]));
    seeds
}

/// A read whose descriptors are in a table elsewhere.
fn indirect() -> Vec<Op> {
    let table: Vec<u8> = [
        (0x8_0000u64, 16u32, NEXT, 1u16),
        (0x8_0200, 512, NEXT | WRITE, 2),
        (0x8_0100, 1, WRITE, 0),
    ]
    .iter()
    .flat_map(|(address, length, flags, next)| {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend([flags, next].iter().flat_map(|half| half.to_le_bytes()));
        bytes
    })
    .collect();
    vec![
        header(VIRTIO_BLK_T_IN, 5),
        Op::Fill(TABLE, table),
        describe(0, 0, TABLE, 48, INDIRECT, 0),
        Op::Offer(0, 0),
    ]
}

/// Register accesses: what a driver does to start a device, and every register with odd widths.
pub fn mmio() -> Vec<Vec<u8>> {
    let set = |register: u32, value: u64| Op::Write(register as u16, 4, value);
    let start = [
        set(VIRTIO_MMIO_STATUS, 0),
        set(VIRTIO_MMIO_STATUS, 1),
        set(VIRTIO_MMIO_STATUS, 3),
        set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1),
        set(VIRTIO_MMIO_DRIVER_FEATURES, 1),
        set(VIRTIO_MMIO_STATUS, 11),
        set(VIRTIO_MMIO_QUEUE_SEL, 0),
        set(VIRTIO_MMIO_QUEUE_NUM, SIZE.into()),
        set(VIRTIO_MMIO_QUEUE_DESC_LOW, 0),
        set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x1000),
        set(VIRTIO_MMIO_QUEUE_USED_LOW, 0x2000),
        set(VIRTIO_MMIO_QUEUE_READY, 1),
        set(VIRTIO_MMIO_STATUS, 15),
        set(VIRTIO_MMIO_QUEUE_NOTIFY, 0),
        Op::Serve,
        set(VIRTIO_MMIO_INTERRUPT_ACK, 1),
    ];
    let all: Vec<_> = (0..0x120u16)
        .step_by(4)
        .flat_map(|register| {
            let read = Op::Read(register, 4);
            let value = u64::from(u32::MAX);
            [
                read,
                Op::Read(register + 1, 2),
                Op::Write(register, 4, value),
            ]
        })
        .collect();
    let mut seeds = Vec::new();
    for device in 0..3 {
        for ops in [&start[..], &all[..]] {
            seeds.push([vec![device], encode(ops)].concat());
        }
    }
    seeds
}

/// virtio-console: output, input, buffers that do not suit, restarts.
pub fn console() -> Vec<Vec<u8>> {
    let text = Op::Fill(BUFFER, b"hello, world\n".to_vec());
    let write = [
        text,
        describe(1, 0, BUFFER, 13, 0, 0),
        Op::Offer(1, 0),
        Op::Serve,
    ];
    let read = [
        describe(0, 0, BUFFER, 100, WRITE, 0),
        Op::Offer(0, 0),
        Op::Type(b"ls -l\r".to_vec()),
        Op::Serve,
    ];
    let odd = [
        describe(1, 0, Place::End(4), 100, NEXT, 1),
        describe(1, 1, BUFFER, 0, NEXT | WRITE, 2),
        describe(1, 2, Place::Any(u64::MAX - 3), 8, 0, 0),
        Op::Offer(1, 0),
        describe(0, 0, BUFFER, 100, 0, 0),
        Op::Offer(0, 0),
        Op::Type(b"x".to_vec()),
        Op::Serve,
    ];
    let restart = [
        Op::Restart(VERSION_1 | EVENT_IDX | 1, SIZE),
        Op::Read(0x100, 4),
    ];
    let sessions: [&[&[Op]]; 5] = [
        &[&write],
        &[&read],
        &[&read, &write, &restart, &write, &read],
        &[&odd],
        &[&[Op::Type(vec![b'x'; 255])], &restart, &odd, &restart],
    ];
    sessions.iter().map(|ops| encode(&ops.concat())).collect()
}
