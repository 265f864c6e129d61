use super::*;
use crate::bus::Mmio;
use crate::error::ProbeError;
use crate::spec::{self, interrupt};
use crate::testing::{FakeDevice, Guest};
use std::boxed::Box;
use std::vec::Vec;

const NOTHING: Wanted = Wanted {
    required: Features::NONE,
    optional: Features::NONE,
};
const REQUEST: QueueRequest = QueueRequest {
    index: QueueIndex(0),
    size: QueueSize::at_most(16),
    indirect: 4,
};

fn device() -> FakeDevice {
    let features = feature::EVENT_IDX | feature::INDIRECT_DESC | Features::bit(3);
    FakeDevice::new(spec::device::BLOCK, features.bits(), &[64, 0])
}

fn transport(device: &FakeDevice) -> Transport {
    Transport::new(Box::new(Mmio::probe(device.clone()).unwrap()))
}

fn probe_error(change: impl FnOnce(&FakeDevice)) -> ProbeError {
    let device = device();
    change(&device);
    Mmio::probe(device).map(|_| ()).unwrap_err()
}

#[test]
fn probe_tells_what_is_wrong() {
    let error = probe_error(|device| device.change().magic = 0xffff_ffff);
    assert_eq!(error, ProbeError::NotVirtio { magic: 0xffff_ffff });
    assert_eq!(
        probe_error(|device| device.change().version = 1),
        ProbeError::Legacy
    );
    let error = probe_error(|device| device.change().version = 3);
    assert_eq!(error, ProbeError::Version { version: 3 });
    assert_eq!(
        probe_error(|device| device.change().device = 0),
        ProbeError::Absent
    );
}

#[test]
fn wrong_device_is_named() {
    let error = transport(&device()).expect_device(spec::device::CONSOLE);
    assert_eq!(
        error,
        Err(InitError::WrongDevice {
            expected: 3,
            found: 2
        })
    );
}

#[test]
fn initialises_in_the_order_of_the_specification() {
    let device = device();
    device.change().reset_reads = 3;
    let wanted = Wanted {
        optional: feature::EVENT_IDX | Features::bit(9),
        ..NOTHING
    };
    let features = transport(&device).initialise(wanted, |_, features| Ok(features));
    let expected = feature::EVENT_IDX | feature::VERSION_1;
    assert_eq!(features, Ok(expected));
    assert_eq!(device.state().accepted, expected.bits());
    assert_eq!(device.state().statuses, [0, 1, 3, 11, 15]);
}

#[test]
fn missing_features_fail_the_device() {
    let device = device();
    device.change().offered = 0;
    let required = Features::bit(9);
    let result = transport(&device).initialise(
        Wanted {
            required,
            ..NOTHING
        },
        |_, _| Ok(()),
    );
    let missing = required | feature::VERSION_1;
    assert_eq!(result, Err(InitError::MissingFeatures { missing }));
    assert_eq!(device.state().statuses, [0, 1, 3, 0x83]);
}

#[test]
fn refused_features_fail_the_device() {
    let device = device();
    device.change().refuses_features = true;
    let result = transport(&device).initialise(NOTHING, |_, _| Ok(()));
    assert_eq!(
        result,
        Err(InitError::FeaturesRefused {
            features: feature::VERSION_1
        })
    );
    assert_eq!(device.state().statuses.last(), Some(&0x8b));
}

#[test]
fn endless_reset_is_given_up() {
    let device = device();
    device.change().reset_reads = u32::MAX;
    let result = transport(&device).initialise(NOTHING, |_, _| Ok(()));
    assert_eq!(result, Err(InitError::ResetTimeout));
}

#[test]
fn queue_is_as_large_as_both_sides_can() {
    for (max, size) in [(64, 16), (16, 16), (13, 8), (1, 1), (0x1_0000, 16)] {
        let device = device();
        device.change().queues[0].max = max;
        let mut memory = Guest::new();
        let mut dma = memory.dma(REQUEST.bytes());
        let queue: Queue<()> = transport(&device)
            .initialise(NOTHING, |transport, features| {
                transport.create_queue(REQUEST, features, &mut dma)
            })
            .unwrap();
        assert_eq!(queue.size().get(), size);
        let at = queue.addresses();
        let state = device.state();
        assert_eq!(state.queues[0].size, u32::from(size));
        assert_eq!(state.queues[0].ready, 1);
        let areas = [at.descriptors.0, at.driver.0, at.device.0];
        assert_eq!(state.queues[0].areas, areas);
    }
}

#[test]
fn absent_queue_and_small_memory_are_errors() {
    let device = device();
    let mut guest = Guest::new();
    let mut create = |index, bytes| {
        let mut dma = guest.dma(bytes);
        let request = QueueRequest {
            index: QueueIndex(index),
            ..REQUEST
        };
        transport(&device).initialise(NOTHING, |transport, features| {
            transport
                .create_queue::<()>(request, features, &mut dma)
                .map(|_| ())
        })
    };
    let no_queue = |index| InitError::NoQueue {
        queue: QueueIndex(index),
    };
    assert_eq!(create(1, 4096), Err(no_queue(1)));
    assert_eq!(create(2, 4096), Err(no_queue(2)));
    let error = create(0, 100).unwrap_err();
    assert!(
        matches!(
            error,
            InitError::OutOfMemory {
                needed: 300..,
                left: 100
            }
        ),
        "{error}"
    );
    assert_eq!(device.state().status & status::FAILED, status::FAILED);
}

#[test]
fn acknowledges_just_what_it_saw() {
    let device = device();
    let transport = transport(&device);
    device.change().interrupt = interrupt::CONFIGURATION;
    let seen = transport.acknowledge();
    assert!(seen.configuration_changed() && !seen.used_buffers());
    assert_eq!(device.state().interrupt, 0);
    device.change().interrupt = interrupt::USED_BUFFER;
    transport.acknowledge_used();
    assert_eq!(device.state().interrupt, 0);
}

#[test]
fn changing_configuration_is_read_again() {
    let device = device();
    device.configure(8, &[1, 0, 0, 0, 2, 0, 0, 0]);
    device.change().config_changes = 5;
    let transport = transport(&device);
    let halves = |config: Config<'_>| (config.u32(8), config.u64(8));
    let (half, whole) = transport.read_config(halves).unwrap();
    assert_eq!(device.state().config_changes, 0);
    assert_eq!(whole as u32, half, "both reads saw the same configuration");
    device.change().config_changes = u32::MAX;
    assert_eq!(
        transport.read_config(halves),
        Err(InitError::ConfigUnstable)
    );
}

#[test]
fn notification_is_one_write_of_the_index() {
    let device = device();
    transport(&device).notify(QueueIndex(7));
    assert_eq!(device.take_notified(), Vec::from([7]));
}
