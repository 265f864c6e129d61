use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use virtio_queue::mock::MockSplitQueue;
use vm_memory::GuestAddress;

use super::*;
use crate::virtio::read_from;
use crate::virtio::testing::{
    ACKNOWLEDGE, DRIVER, DRIVER_OK, Driver, FEATURES_OK, VERSION_1, event, interrupt, ram,
};

/// Has one feature, two queues and four bytes of configuration; counts what is done to it.
#[derive(Clone, Default)]
struct Probe {
    activations: Arc<AtomicU32>,
    resets: Arc<AtomicU32>,
}

const FEATURE: u64 = 1 << 3;

impl VirtioDevice for Probe {
    fn id(&self) -> u32 {
        42
    }

    fn features(&self) -> u64 {
        FEATURE
    }

    fn queue_sizes(&self) -> &[u16] {
        &[16, 32]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        read_from(&[1, 2, 3, 4], offset, data);
    }

    fn activate(&mut self, activation: Activation) {
        assert!(activation.queues.iter().all(|q| !q.ready() || q.size() > 0));
        self.activations.fetch_add(1, Ordering::SeqCst);
    }

    fn reset(&mut self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }
}

fn probe() -> (Probe, Driver, Arc<Interrupt>) {
    let (probe, (interrupt, _)) = (Probe::default(), interrupt());
    let driver = Driver::new(
        Box::new(probe.clone()),
        &ram(),
        &interrupt,
        vec![event(), event()],
    );
    (probe, driver, interrupt)
}

#[test]
fn identity_and_configuration_can_be_read() {
    let (_, driver, _) = probe();
    assert_eq!(
        driver.get(VIRTIO_MMIO_MAGIC_VALUE),
        u32::from_le_bytes(*b"virt")
    );
    assert_eq!(driver.get(VIRTIO_MMIO_VERSION), 2);
    assert_eq!(driver.get(VIRTIO_MMIO_DEVICE_ID), 42);
    assert_eq!(driver.get(VIRTIO_MMIO_SHM_LEN_LOW), u32::MAX);
    let mut bytes = [9; 2];
    driver.transport.read(0x102, &mut bytes);
    assert_eq!(bytes, [3, 4]);
    driver.transport.read(0x103, &mut bytes);
    assert_eq!(bytes, [4, 0], "beyond the end is zero");
    driver.transport.read(0, &mut bytes);
    assert_eq!(bytes, [0, 0], "registers are 32 bits wide");
}

#[test]
fn features_are_negotiated_once() {
    let (_, driver, _) = probe();
    let offered = driver.offered();
    assert_eq!(offered & (FEATURE | VERSION_1), FEATURE | VERSION_1);
    assert!(!driver.negotiate(FEATURE), "VERSION_1 is a must");
    assert!(!driver.negotiate(VERSION_1 | 1 << 4), "not offered");
    assert!(driver.negotiate(offered));
    driver.set(VIRTIO_MMIO_DRIVER_FEATURES, 0);
    assert!(driver.go(), "a late change is ignored");
}

#[test]
fn a_device_runs_after_the_steps_in_order() {
    let (probe, driver, interrupt) = probe();
    driver.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
    assert_eq!(driver.status() & DRIVER_OK, 0, "not without FEATURES_OK");
    assert!(driver.negotiate(VERSION_1));
    let ring = MockSplitQueue::new(driver.ram.as_ref(), 16);
    assert!(driver.set_mock(0, &ring, 16));
    interrupt.used_buffers();
    assert_eq!(interrupt.status(), 0, "silent before DRIVER_OK");
    assert!(driver.go());
    assert_eq!(probe.activations.load(Ordering::SeqCst), 1);
    assert!(
        driver.transport.queue_events()[0].read().is_ok(),
        "looks at the rings once"
    );
    driver.set(VIRTIO_MMIO_QUEUE_NUM, 8);
    assert!(driver.go(), "writing the same status again changes nothing");
    assert_eq!(probe.activations.load(Ordering::SeqCst), 1);
    driver.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assert_ne!(
        driver.status() & DRIVER_OK,
        0,
        "bits cannot be cleared one by one"
    );
}

#[test]
fn reset_starts_over() {
    let (probe, driver, interrupt) = probe();
    driver.negotiate(VERSION_1);
    let ring = MockSplitQueue::new(driver.ram.as_ref(), 16);
    driver.set_mock(1, &ring, 16);
    driver.go();
    interrupt.used_buffers();
    assert_eq!(driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
    driver.set(VIRTIO_MMIO_STATUS, 0);
    assert_eq!(driver.status(), 0);
    assert_eq!(driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    driver.set(VIRTIO_MMIO_QUEUE_SEL, 1);
    assert_eq!(driver.get(VIRTIO_MMIO_QUEUE_READY), 0);
    assert!(probe.resets.load(Ordering::SeqCst) >= 1);
    assert!(driver.negotiate(VERSION_1) && driver.set_mock(1, &ring, 16) && driver.go());
    assert_eq!(probe.activations.load(Ordering::SeqCst), 2);
}

#[test]
fn impossible_queues_are_not_ready() {
    let (_, driver, _) = probe();
    driver.negotiate(VERSION_1);
    driver.set(VIRTIO_MMIO_QUEUE_SEL, 7);
    assert_eq!(driver.get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0, "no such queue");
    driver.set(VIRTIO_MMIO_QUEUE_SEL, 1);
    assert_eq!(driver.get(VIRTIO_MMIO_QUEUE_NUM_MAX), 32);
    let end = GuestAddress(2 << 20).0;
    assert!(
        !driver.set_queue(0, [end - 16, 0x1000, 0x2000], 16),
        "descriptors outside RAM"
    );
    assert!(
        !driver.set_queue(0, [0x1000, end, 0x2000], 16),
        "available ring outside RAM"
    );
    assert!(
        !driver.set_queue(0, [0x1000, 0x2000, u64::MAX - 3], 16),
        "used ring outside RAM"
    );
    assert!(driver.set_queue(0, [0x1000, 0x2000, 0x3000], 16));
}

#[test]
fn interrupts_are_acknowledged_bit_by_bit() {
    let (_, driver, interrupt) = probe();
    driver.negotiate(VERSION_1);
    driver.go();
    let generation = driver.get(VIRTIO_MMIO_CONFIG_GENERATION);
    interrupt.used_buffers();
    interrupt.config_changed();
    assert_eq!(driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
    assert_ne!(driver.get(VIRTIO_MMIO_CONFIG_GENERATION), generation);
    driver.set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
    assert_eq!(driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
}

proptest! {
    #[test]
    fn no_sequence_of_accesses_panics(accesses in prop::collection::vec((0u64..0x110, any::<u32>(), 0usize..9), 0..200)) {
        let (_, driver, _) = probe();
        for (offset, value, width) in accesses {
            let bytes = [value.to_le_bytes(), value.to_le_bytes()].concat();
            driver.transport.write(offset, &bytes[..width]);
            driver.transport.write(offset & !3, &(value & 0xff).to_le_bytes());
            let mut read = [0; 8];
            driver.transport.read(offset, &mut read[..width]);
        }
    }
}
