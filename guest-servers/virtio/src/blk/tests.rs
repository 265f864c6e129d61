use super::*;
use crate::bus::Mmio;
use crate::testing::{FakeDevice, Guest};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;
use virtio_device::DiskDevice;
use vm_memory::{Bytes, GuestAddress};

mod random;
mod virtio_device;

const SECTORS: u64 = 64;
const ALL: Features = OPTIONAL.without(spec::feature::RO);

struct Setup {
    guest: Guest,
    device: DiskDevice,
    disk: Disk<u32>,
    data: DmaMemory,
}

fn start_with(features: Features, prepare: impl FnOnce(&FakeDevice)) -> Setup {
    let mut guest = Guest::new();
    let registers = FakeDevice::new(device::BLOCK, features.bits(), &[64]);
    virtio_device::configure(&registers);
    prepare(&registers);
    let options = DiskOptions {
        depth: 32,
        segments: 8,
    };
    let transport = Transport::new(Box::new(Mmio::probe(registers.clone()).unwrap()));
    let memory = guest.dma(options.memory_bytes());
    let disk = Disk::start(transport, options, memory).unwrap();
    let data = guest.dma(1 << 20);
    Setup {
        guest,
        device: DiskDevice::new(registers, SECTORS),
        disk,
        data,
    }
}

fn start(features: Features) -> Setup {
    start_with(features, |_| {})
}

impl Setup {
    /// Submits one request and returns what becomes of it.
    fn run(&mut self, request: Request<'_>) -> Result<Outcome, BlkError> {
        self.disk.submit(request, 7).unwrap();
        self.disk.kick();
        assert_eq!(self.device.registers.take_notified(), [0]);
        assert!(self.device.serve(&self.guest.memory), "it must interrupt");
        self.disk.acknowledge();
        let (token, result) = self.disk.complete().unwrap().expect("a completion");
        assert_eq!(token, 7);
        assert!(self.disk.complete().unwrap().is_none());
        result
    }

    fn refusal(&mut self, request: Request<'_>) -> SubmitError {
        self.disk.submit(request, 0).unwrap_err()
    }
}

#[test]
fn writes_and_reads_back_through_scattered_segments() {
    let rings = feature::INDIRECT_DESC | feature::EVENT_IDX;
    for features in [ALL, ALL.without(rings), ALL.without(feature::EVENT_IDX)] {
        let mut setup = start(features);
        let text: Vec<u8> = (0..1536u32).map(|value| (value / 3) as u8).collect();
        let from = [setup.data.segment(0, 512), setup.data.segment(4096, 1024)];
        setup.guest.write(from[0], &text[..512]);
        setup.guest.write(from[1], &text[512..]);
        let written = setup.run(Request::Write {
            sector: 5,
            from: &from,
        });
        assert_eq!(written, Ok(Outcome::Transferred { bytes: 1536 }));
        assert_eq!(setup.device.data[5 * 512..8 * 512], text);
        assert_eq!(setup.run(Request::Flush), Ok(Outcome::Done));
        assert_eq!(setup.device.flushes, 1);
        let into = [
            setup.data.segment(8192, 1000),
            setup.data.segment(16384, 536),
        ];
        let read = setup.run(Request::Read {
            sector: 5,
            into: &into,
        });
        assert_eq!(read, Ok(Outcome::Transferred { bytes: 1536 }));
        assert_eq!(setup.guest.read(into[0]), text[..1000]);
        assert_eq!(setup.guest.read(into[1]), text[1000..]);
    }
}

#[test]
fn geometry_holds_what_the_device_says() {
    let setup = start(ALL);
    let geometry = setup.disk.geometry();
    assert_eq!((geometry.sectors, geometry.block_bytes), (SECTORS, 4096));
    assert_eq!(
        (geometry.max_segments, geometry.max_segment_bytes),
        (6, 65_536)
    );
    assert_eq!(setup.disk.max_segments(), 6);
    let topology = geometry.topology.unwrap();
    assert_eq!(
        (topology.physical_block_exponent, topology.min_io_blocks),
        (3, 2)
    );
    assert_eq!(geometry.discard.unwrap().alignment_sectors, 8);
    assert!(geometry.write_zeroes.unwrap().may_unmap);
    assert!(!geometry.read_only);
    let bare = start(Features::NONE);
    let geometry = bare.disk.geometry();
    assert_eq!((geometry.block_bytes, geometry.max_segments), (512, 1));
    assert_eq!((geometry.discard, geometry.write_zeroes), (None, None));
}

#[test]
fn discards_zeroes_and_identity() {
    let mut setup = start(ALL);
    setup.device.data.fill(9);
    assert_eq!(
        setup.run(Request::Discard {
            sector: 3,
            sectors: 2
        }),
        Ok(Outcome::Done)
    );
    assert_eq!(setup.device.discarded, [(3, 2)]);
    let zeroes = Request::WriteZeroes {
        sector: 10,
        sectors: 3,
        unmap: Unmap::Allowed,
    };
    assert_eq!(setup.run(zeroes), Ok(Outcome::Done));
    assert!(
        setup.device.data[10 * 512..13 * 512]
            .iter()
            .all(|byte| *byte == 0)
    );
    assert_eq!(setup.device.data[13 * 512], 9);
    let Ok(Outcome::Identity(identity)) = setup.run(Request::GetId) else {
        panic!("no identity");
    };
    assert_eq!(identity.as_bytes(), b"ferrix-test");
}

#[test]
fn requests_that_cannot_work_are_refused_with_the_reason() {
    let mut setup = start(ALL);
    let sector = [setup.data.segment(0, 512)];
    let read = |sector, into| Request::Read { sector, into };
    let out = SubmitError::OutOfRange { sectors: SECTORS };
    assert_eq!(setup.refusal(read(SECTORS, &sector)), out);
    assert_eq!(setup.refusal(read(u64::MAX, &sector)), out);
    let odd = [setup.data.segment(0, 500)];
    assert_eq!(
        setup.refusal(read(0, &odd)),
        SubmitError::NotWholeSectors { bytes: 500 }
    );
    assert_eq!(
        setup.refusal(read(0, &[])),
        SubmitError::NotWholeSectors { bytes: 0 }
    );
    let many = [sector[0]; 7];
    assert_eq!(
        setup.refusal(read(0, &many)),
        SubmitError::TooManySegments { most: 6 }
    );
    let long = [setup.data.segment(0, 131_072)];
    assert_eq!(
        setup.refusal(read(0, &long)),
        SubmitError::TooLong { most: 65_536 }
    );
    let discard = Request::Discard {
        sector: 0,
        sectors: 33,
    };
    assert_eq!(setup.refusal(discard), SubmitError::TooLong { most: 32 });
    let mut bare = start(Features::NONE);
    assert_eq!(bare.refusal(Request::Flush), SubmitError::Unsupported);
    assert_eq!(bare.refusal(discard), SubmitError::Unsupported);
    let mut read_only = start(ALL | spec::feature::RO);
    let write = Request::Write {
        sector: 0,
        from: &sector,
    };
    assert_eq!(read_only.refusal(write), SubmitError::ReadOnly);
    assert_eq!(read_only.refusal(discard), SubmitError::ReadOnly);
}

#[test]
fn failures_of_the_device_are_typed() {
    let cases = [
        (1, BlkError::Io),
        (2, BlkError::Unsupported),
        (77, BlkError::UndefinedStatus { status: 77 }),
        (0xff, BlkError::UndefinedStatus { status: 0xff }),
    ];
    let mut setup = start(ALL);
    for (status, error) in cases {
        setup.device.forced_status = Some(status);
        assert_eq!(setup.run(Request::Flush), Err(error));
    }
}

#[test]
fn a_full_ring_refuses_and_takes_again_after_a_completion() {
    for (features, most) in [(ALL, 32), (ALL.without(feature::INDIRECT_DESC), 10)] {
        let mut setup = start(features);
        let into = [setup.data.segment(0, 512)];
        let read = Request::Read {
            sector: 1,
            into: &into,
        };
        for token in 0..most {
            setup.disk.submit(read, token).unwrap();
        }
        assert_eq!(setup.disk.submit(read, 99), Err(SubmitError::Full));
        assert_eq!(setup.disk.in_flight(), most as u16);
        setup.disk.kick();
        setup.device.serve(&setup.guest.memory);
        assert!(setup.disk.complete().unwrap().is_some());
        setup.disk.submit(read, 99).unwrap();
    }
}

#[test]
fn recovers_from_a_device_that_lies() {
    let mut setup = start(ALL);
    let into = [setup.data.segment(0, 512)];
    for token in 0..5 {
        setup
            .disk
            .submit(
                Request::Read {
                    sector: 0,
                    into: &into,
                },
                token,
            )
            .unwrap();
    }
    setup.disk.kick();
    let used = setup.device.registers.state().queues[0].areas[2];
    let memory = &setup.guest.memory;
    memory.write_obj(1000u32, GuestAddress(used + 4)).unwrap();
    memory.write_obj(1u16, GuestAddress(used + 2)).unwrap();
    let fault = setup.disk.complete().unwrap_err();
    assert!(
        matches!(fault, DeviceFault::UsedId { id: 1000, .. }),
        "{fault}"
    );
    let recovery = setup.disk.reset_and_recover();
    assert_eq!(
        (recovery.lost, recovery.device),
        (vec![0, 1, 2, 3, 4], Ok(()))
    );
    setup.device.restart();
    setup.device.registers.take_notified();
    assert_eq!(setup.run(Request::Flush), Ok(Outcome::Done));
}

#[test]
fn a_device_that_stays_broken_gives_the_tokens_back() {
    let mut setup = start(ALL);
    setup.disk.submit(Request::Flush, 3).unwrap();
    setup.device.registers.change().refuses_features = true;
    let recovery = setup.disk.reset_and_recover();
    assert_eq!(recovery.lost, [3]);
    assert!(matches!(
        recovery.device,
        Err(InitError::FeaturesRefused { .. })
    ));
}

#[test]
fn unusable_devices_are_refused() {
    let start = |change: &dyn Fn(&FakeDevice)| {
        let mut guest = Guest::new();
        let registers = FakeDevice::new(device::BLOCK, ALL.bits(), &[64]);
        virtio_device::configure(&registers);
        change(&registers);
        let options = DiskOptions {
            depth: 32,
            segments: 8,
        };
        let transport = Transport::new(Box::new(Mmio::probe(registers).unwrap()));
        let memory = guest.dma(options.memory_bytes());
        Disk::<u32>::start(transport, options, memory)
            .map(|_| ())
            .unwrap_err()
    };
    let error = start(&|device| device.change().device = device::CONSOLE);
    assert_eq!(
        error,
        InitError::WrongDevice {
            expected: 2,
            found: 3
        }
    );
    let error = start(&|device| device.configure(20, &1000u32.to_le_bytes()));
    assert_eq!(
        error,
        InitError::ConfigInvalid {
            field: "blk_size",
            value: 1000
        }
    );
    let error = start(&|device| device.change().queues[0].max = 2);
    assert_eq!(error, InitError::Ring(RingError::ChainTooLong));
}
