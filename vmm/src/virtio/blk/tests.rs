use std::io::Write;

use virtio_queue::mock::MockSplitQueue;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::config::{DiskConfig, DiskMode};
use crate::memory::Ram;
use crate::sandbox::Sandbox;
use crate::virtio::testing::Part::{In, Out};
use crate::virtio::testing::{Driver, Edges, Part, VERSION_1, event, interrupt, offer, ram, used};

const HEADER: u64 = 0x10_0000;
const DATA: u64 = 0x10_1000;
const STATUS: u64 = 0x10_0100;
const SECTORS: u64 = 16;

struct Rig {
    driver: Driver,
    worker: Worker,
    edges: Edges,
    file: tempfile::NamedTempFile,
}

fn rig(read_only: bool, features: u64) -> Rig {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    (0..SECTORS).for_each(|sector| file.write_all(&[sector as u8; 512]).unwrap());
    let config = DiskConfig {
        path: file.path().into(),
        mode: match read_only {
            true => DiskMode::ReadOnly,
            false => DiskMode::ReadWrite,
        },
        holds: None,
    };
    let disk = Arc::new(Disk::open(&config).unwrap());
    let (ram, (interrupt, edges), desk) = (ram(), interrupt(), Desk::default());
    let notified = event();
    let driver = Driver::new(
        Box::new(Blk::new(disk.clone(), desk.clone())),
        &ram,
        &interrupt,
        vec![notified.try_clone().unwrap()],
    );
    let worker = Worker::new(disk, ram, desk, interrupt, notified);
    assert!(driver.negotiate(VERSION_1 | features));
    Rig {
        driver,
        worker,
        edges,
        file,
    }
}

impl Rig {
    fn ring<'a>(&self, ram: &'a Ram) -> MockSplitQueue<'a, Ram> {
        let ring = MockSplitQueue::new(ram, 16);
        assert!(self.driver.set_mock(0, &ring, 16) && self.driver.go());
        ring
    }

    fn header(&self, kind: u32, sector: u64) {
        let bytes = [u64::from(kind).to_le_bytes(), sector.to_le_bytes()].concat();
        self.driver
            .ram
            .write_slice(&bytes, GuestAddress(HEADER))
            .unwrap();
        self.driver
            .ram
            .write_obj(0xffu8, GuestAddress(STATUS))
            .unwrap();
    }

    fn status(&self) -> u32 {
        self.driver.bytes(STATUS, 1)[0].into()
    }

    /// One request on a fresh ring; status and used length.
    fn request(&self, kind: u32, sector: u64, data: &[Part]) -> (u32, u32) {
        let ram = self.driver.ram.clone();
        self.driver.negotiate(VERSION_1);
        ram.write_slice(&[0; 0x400], GuestAddress(0)).unwrap();
        let ring = self.ring(&ram);
        self.header(kind, sector);
        let parts = [&[Out(HEADER, 16)], data, &[In(STATUS, 1)]].concat();
        offer(&ring, 0, &parts);
        self.worker.serve_now();
        assert_eq!(used(&ring).0, 1);
        (self.status(), used(&ring).1)
    }
}

#[test]
fn configuration_describes_the_disk() {
    let rig = rig(false, 0);
    let mut capacity = [0; 8];
    rig.driver.transport.read(0x100, &mut capacity);
    assert_eq!(u64::from_le_bytes(capacity), SECTORS);
    let offered = rig.driver.offered();
    assert_eq!(offered >> VIRTIO_BLK_F_RO & 1, 0);
    assert_eq!(offered >> VIRTIO_BLK_F_DISCARD & 1, 1);
    let read_only = self::rig(true, 0).driver.offered();
    assert_eq!(read_only >> VIRTIO_BLK_F_RO & 1, 1);
    assert_eq!(read_only >> VIRTIO_BLK_F_DISCARD & 1, 0);
}

#[test]
fn reads_cross_descriptors() {
    let rig = rig(false, 0);
    let data = [In(DATA, 500), In(DATA + 0x800, 524)];
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, 2, &data),
        (VIRTIO_BLK_S_OK, 1025)
    );
    assert_eq!(rig.driver.bytes(DATA, 500), [2; 500]);
    assert_eq!(rig.driver.bytes(DATA + 0x800, 12), [2; 12]);
    assert_eq!(rig.driver.bytes(DATA + 0x80c, 512), [3; 512]);
    assert!(rig.edges.count() > 0);
}

#[test]
fn writes_reach_the_file() {
    let rig = rig(false, 1 << VIRTIO_BLK_F_FLUSH);
    rig.driver
        .ram
        .write_slice(&[0xab; 1024], GuestAddress(DATA))
        .unwrap();
    assert_eq!(
        rig.request(VIRTIO_BLK_T_OUT, 4, &[Out(DATA, 1024)]),
        (VIRTIO_BLK_S_OK, 1)
    );
    assert_eq!(rig.request(VIRTIO_BLK_T_FLUSH, 0, &[]).0, VIRTIO_BLK_S_OK);
    let bytes = std::fs::read(rig.file.path()).unwrap();
    assert_eq!(bytes[2048..3072], [0xab; 1024]);
    assert_eq!(
        (bytes[2047], bytes[3072]),
        (3, 6),
        "neighbours are untouched"
    );
    let counters = rig.worker.counters();
    assert_eq!(
        (counters.writes, counters.bytes_written, counters.flushes),
        (1, 1024, 1)
    );
}

#[test]
fn impossible_transfers_are_io_errors_and_change_nothing() {
    let rig = rig(false, 0);
    let before = std::fs::read(rig.file.path()).unwrap();
    for (kind, sector, data) in [
        (VIRTIO_BLK_T_IN, SECTORS, In(DATA, 512)),
        (VIRTIO_BLK_T_IN, SECTORS - 1, In(DATA, 1024)),
        (VIRTIO_BLK_T_IN, u64::MAX, In(DATA, 512)),
        (VIRTIO_BLK_T_IN, 0, In(DATA, 100)),
        (VIRTIO_BLK_T_IN, 0, In(2 << 20, 512)),
        (VIRTIO_BLK_T_OUT, SECTORS, Out(DATA, 512)),
        (VIRTIO_BLK_T_OUT, 0, Out(u64::MAX - 100, 512)),
        (VIRTIO_BLK_T_DISCARD, 0, Out(DATA, 7)),
    ] {
        assert_eq!(
            rig.request(kind, sector, &[data]),
            (VIRTIO_BLK_S_IOERR, 1),
            "{kind} {sector}"
        );
    }
    assert_eq!(rig.request(77, 0, &[]), (VIRTIO_BLK_S_UNSUPP, 1));
    assert_eq!(std::fs::read(rig.file.path()).unwrap(), before);
    assert_eq!(rig.worker.counters().errors, 9);
}

#[test]
fn a_read_only_disk_refuses_changes() {
    let rig = rig(true, 0);
    assert_eq!(
        rig.request(VIRTIO_BLK_T_OUT, 0, &[Out(DATA, 512)]).0,
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &[Out(DATA, 16)]).0,
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, 0, &[In(DATA, 512)]).0,
        VIRTIO_BLK_S_OK
    );
}

#[test]
fn zeroes_discards_and_identity() {
    let rig = rig(false, 0);
    let range = |sector: u64, count: u32, flags: u32| {
        let bytes = [
            &sector.to_le_bytes()[..],
            &count.to_le_bytes(),
            &flags.to_le_bytes(),
        ]
        .concat();
        rig.driver
            .ram
            .write_slice(&bytes, GuestAddress(DATA))
            .unwrap();
    };
    range(1, 2, 1);
    assert_eq!(
        rig.request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &[Out(DATA, 16)])
            .0,
        VIRTIO_BLK_S_OK
    );
    let bytes = std::fs::read(rig.file.path()).unwrap();
    assert_eq!(bytes[512..1536], [0; 1024]);
    assert_eq!((bytes[511], bytes[1536]), (0, 3));
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &[Out(DATA, 16)]).0,
        VIRTIO_BLK_S_UNSUPP
    );
    range(SECTORS - 1, 2, 0);
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &[Out(DATA, 16)]).0,
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_GET_ID, 0, &[In(DATA, 20)]),
        (VIRTIO_BLK_S_OK, 21)
    );
}

#[test]
fn chains_without_header_or_status_do_no_harm() {
    let rig = rig(false, 0);
    let ram = rig.driver.ram.clone();
    let ring = rig.ring(&ram);
    rig.header(VIRTIO_BLK_T_IN, 0);
    offer(&ring, 0, &[Out(HEADER, 16)]);
    offer(&ring, 1, &[Out(HEADER, 3), In(STATUS, 1)]);
    offer(
        &ring,
        3,
        &[
            Out(HEADER, 5),
            Out(HEADER + 5, 11),
            In(DATA, 511),
            In(DATA + 511, 2),
        ],
    );
    rig.worker.serve_now();
    assert_eq!(
        used(&ring),
        (3, 513),
        "the last one is whole, only oddly cut"
    );
    assert_eq!(
        rig.status(),
        VIRTIO_BLK_S_IOERR,
        "the second had too short a header"
    );
}

#[test]
fn a_nonsensical_available_index_costs_no_time() {
    let rig = rig(false, 0);
    let ram = rig.driver.ram.clone();
    let ring = rig.ring(&ram);
    ring.avail().idx().store(1000u16.to_le());
    rig.worker.serve_now();
    assert_eq!(used(&ring).0, 0);
}

#[test]
fn the_thread_serves_notifications_until_it_is_dropped() {
    let mut rig = rig(false, 0);
    rig.worker.start(Sandbox::Off).unwrap();
    drop(rig.worker);
}

#[test]
fn a_driver_that_wants_no_interrupts_gets_none() {
    let rig = rig(false, 0);
    let ram = rig.driver.ram.clone();
    let ring = rig.ring(&ram);
    rig.header(VIRTIO_BLK_T_FLUSH, 0);
    let parts = [Out(HEADER, 16), In(STATUS, 1)];
    for (first, flags, edges) in [(0, 1u16, 0), (2, 0, 1)] {
        ram.write_obj(flags, ring.avail_addr()).unwrap();
        offer(&ring, first, &parts);
        rig.worker.serve_now();
        assert_eq!(rig.status(), VIRTIO_BLK_S_OK);
        assert_eq!(rig.edges.count(), edges, "avail.flags {flags}");
    }
    assert_eq!(used(&ring).0, 2);
}

#[test]
fn requests_in_flight_are_given_back_in_any_order() {
    let rig = rig(false, 0);
    let ram = rig.driver.ram.clone();
    let ring = rig.ring(&ram);
    rig.header(VIRTIO_BLK_T_IN, 1);
    for (first, length) in [(0, 512), (3, 1024)] {
        offer(
            &ring,
            first,
            &[Out(HEADER, 16), In(DATA, length), In(STATUS, 1)],
        );
    }
    let first = rig.worker.take().unwrap();
    let second = rig.worker.take().unwrap();
    assert!(rig.worker.take().is_none());
    rig.worker.finish(second);
    assert_eq!(used(&ring), (1, 1025));
    rig.worker.finish(first);
    assert_eq!(used(&ring), (2, 513));
    assert_eq!(rig.edges.count(), 2);
}

#[test]
fn a_reset_waits_for_requests_in_flight() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    let rig = rig(false, 0);
    let ram = rig.driver.ram.clone();
    let ring = rig.ring(&ram);
    rig.header(VIRTIO_BLK_T_IN, 0);
    offer(&ring, 0, &[Out(HEADER, 16), In(DATA, 512), In(STATUS, 1)]);
    let job = rig.worker.take().unwrap();
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let resetter = scope.spawn(|| {
            rig.driver.transport.reset();
            assert!(finished.load(SeqCst), "the reset did not wait");
        });
        while rig.worker.desk_is_full() {
            std::thread::yield_now();
        }
        finished.store(true, SeqCst);
        rig.worker.finish(job);
        resetter.join().unwrap();
    });
    assert_eq!(used(&ring).0, 0, "the ring is not the device's any more");
}

#[test]
fn errors_of_the_host_reach_the_guest() {
    let rig = rig(false, 0);
    rig.file.as_file().set_len(1024).unwrap();
    let read = |sector| rig.request(VIRTIO_BLK_T_IN, sector, &[In(DATA, 512)]).0;
    assert_eq!(read(0), VIRTIO_BLK_S_OK);
    assert_eq!(read(8), VIRTIO_BLK_S_IOERR);
    assert_eq!(rig.worker.counters().errors, 1);
}

/// As a busy driver does it: all of the ring at once, with all threads awake.
#[test]
fn threads_serve_a_full_ring() {
    let mut rig = rig(false, 0);
    let ram = rig.driver.ram.clone();
    let ring = rig.ring(&ram);
    rig.header(VIRTIO_BLK_T_IN, 2);
    for first in 0..5 {
        offer(
            &ring,
            3 * first,
            &[Out(HEADER, 16), In(DATA, 512), In(STATUS, 1)],
        );
    }
    rig.worker.start(Sandbox::Off).unwrap();
    rig.driver
        .set(virtio_bindings::virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    while used(&ring).0 < 5 {
        std::thread::yield_now();
    }
    assert_eq!(
        (rig.worker.counters().reads, rig.driver.bytes(DATA, 1)[0]),
        (5, 2)
    );
}

/// Descriptors as a hostile driver writes them: any address, length, flags and successor.
fn garbage() -> impl proptest::strategy::Strategy<Value = Vec<(u64, u32, u16, u16)>> {
    use proptest::prelude::*;
    let address = prop_oneof![
        Just(HEADER),
        Just(DATA),
        0u64..0x22_0000,
        (0u64..64).prop_map(|back| (2 << 20) - back),
        any::<u64>(),
    ];
    let length = prop_oneof![0u32..40, Just(512), Just(16), any::<u32>()];
    proptest::collection::vec((address, length, 0u16..8, 0u16..20), 16)
}

proptest::proptest! {
    /// Whatever is in a queue, the device serves it in finite time, touches a read-only disk never, and
    /// still serves an honest request afterwards.
    #[test]
    fn a_queue_of_garbage_does_no_harm(
        descriptors in garbage(),
        heads in proptest::collection::vec(0u16..20, 16),
        available: u16,
        header: [u64; 2],
        kind in 0u32..16,
    ) {
        let rig = rig(true, 0);
        let before = std::fs::read(rig.file.path()).unwrap();
        let ram = rig.driver.ram.clone();
        let ring = rig.ring(&ram);
        let put = |address: u64, bytes: &[u8]| ram.write_slice(bytes, GuestAddress(address)).unwrap();
        put(HEADER, &[(header[0] & !15 | u64::from(kind)).to_le_bytes(), header[1].to_le_bytes()].concat());
        for (index, (address, length, flags, next)) in descriptors.iter().enumerate() {
            let mut bytes = address.to_le_bytes().to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend([flags, next].iter().flat_map(|half| half.to_le_bytes()));
            put(ring.desc_table_addr().0 + 16 * index as u64, &bytes);
        }
        for (index, head) in heads.iter().enumerate() {
            put(ring.avail_addr().0 + 4 + 2 * index as u64, &head.to_le_bytes());
        }
        put(ring.avail_addr().0 + 2, &available.to_le_bytes());
        rig.worker.serve_now();
        proptest::prop_assert!(std::fs::read(rig.file.path()).unwrap() == before);
        let (status, _) = rig.request(VIRTIO_BLK_T_IN, 3, &[In(DATA, 512)]);
        proptest::prop_assert_eq!(status, VIRTIO_BLK_S_OK);
        proptest::prop_assert_eq!(rig.driver.bytes(DATA, 1)[0], 3);
    }
}
