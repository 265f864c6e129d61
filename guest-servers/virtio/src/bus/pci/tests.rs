use super::*;
use crate::spec::{blk, device, feature, status};
use crate::testing::pci::{MULTIPLIER, PciState, Window, pci};
use crate::testing::{FakeDevice, Guest};
use crate::transport::{QueueRequest, Wanted};
use crate::{Queue, Transport};
use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;

const NOTHING: Wanted = Wanted {
    required: Features::NONE,
    optional: Features::NONE,
};

fn fake() -> FakeDevice {
    FakeDevice::new(device::BLOCK, feature::EVENT_IDX.bits(), &[64, 64, 0])
}

fn request(index: u16) -> QueueRequest {
    QueueRequest {
        index: QueueIndex(index),
        size: QueueSize::at_most(16),
        indirect: 0,
    }
}

fn start(
    bus: Pci<Window>,
    guest: &mut Guest,
    index: u16,
) -> (Transport, Result<Queue<()>, InitError>) {
    let mut transport = Transport::new(Box::new(bus));
    let mut memory = guest.dma(request(index).bytes());
    let queue = transport.initialise(NOTHING, |transport, features| {
        transport.create_queue(request(index), features, &mut memory)
    });
    (transport, queue)
}

#[test]
fn a_queue_is_set_up_with_its_vector_and_notified_at_its_place() {
    let device = fake();
    let (bus, state) = pci(&device, 64);
    state.borrow_mut().first_notification = 2;
    let mut guest = Guest::new();
    let (transport, queue) = start(bus, &mut guest, 1);
    let (queue, at) = queue
        .map(|queue| {
            let at = queue.addresses();
            (queue, at)
        })
        .unwrap();
    let set = device.state().queues[1].clone();
    assert_eq!((set.size, set.ready), (16, 1));
    assert_eq!(set.areas, [at.descriptors.0, at.driver.0, at.device.0]);
    assert_eq!(state.borrow().vectors(), (0, &[0xffff, 0, 0xffff][..]));
    transport.notify(queue.index());
    assert_eq!(state.borrow().notified, [(3 * MULTIPLIER as usize, 1)]);
    assert_eq!(device.state().statuses, [0, 1, 3, 11, 15]);
}

fn failure(index: u16, change: impl FnOnce(&RefCell<PciState>)) -> InitError {
    let device = fake();
    let (bus, state): (_, Rc<RefCell<PciState>>) = pci(&device, 64);
    change(&state);
    let (_, queue) = start(bus, &mut Guest::new(), index);
    assert_eq!(device.state().status & status::FAILED, status::FAILED);
    queue.map(|_| ()).unwrap_err()
}

#[test]
fn absent_queues_vectors_and_wild_notifications_are_errors() {
    for index in [2, 3, 0xffff] {
        let queue = QueueIndex(index);
        assert_eq!(failure(index, |_| {}), InitError::NoQueue { queue });
    }
    let no_vector = failure(0, |state| state.borrow_mut().has_vector = false);
    assert_eq!(no_vector, InitError::NoVector);
    for unit in [8, 0xffff] {
        let outside = failure(0, |state| state.borrow_mut().first_notification = unit);
        let queue = QueueIndex(0);
        assert_eq!(outside, InitError::NotificationOutside { queue });
    }
}

#[test]
fn the_shared_interrupt_always_means_buffers_and_sometimes_configuration() {
    let device = fake();
    let (bus, _) = pci(&device, 64);
    let seen = bus.acknowledge();
    assert!(seen.used_buffers() && !seen.configuration_changed());
    device.change().interrupt = interrupt::CONFIGURATION;
    let seen = bus.acknowledge();
    assert!(seen.used_buffers() && seen.configuration_changed());
    assert!(!bus.acknowledge().configuration_changed(), "read clears it");
}

#[test]
fn configuration_ends_where_the_structure_does() {
    let device = fake();
    device.configure(0, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let (bus, _) = pci(&device, 7);
    assert_eq!(bus.config32(0), 0x0403_0201);
    assert_eq!(bus.config32(4), 0, "one byte of it is outside");
    assert_eq!((bus.config16(4), bus.config8(6)), (0x0605, 7));
    assert_eq!(bus.config8(7), 0);
    assert_eq!(bus.config32(usize::MAX), 0);
}

#[test]
fn a_disk_starts_again_after_a_reset() {
    let device = FakeDevice::new(device::BLOCK, blk::feature::FLUSH.bits(), &[64]);
    device.configure(0, &64u64.to_le_bytes());
    let (bus, state) = pci(&device, 64);
    let mut guest = Guest::new();
    let options = crate::blk::DiskOptions {
        depth: 8,
        segments: 2,
    };
    let memory = guest.dma(options.memory_bytes());
    let mut disk =
        crate::blk::Disk::<()>::start(Transport::new(Box::new(bus)), options, memory).unwrap();
    assert_eq!(disk.geometry().sectors, 64);
    assert_eq!(disk.reset_and_recover().device, Ok(()));
    assert_eq!(state.borrow().vectors(), (0, &[0][..]), "asked for again");
    disk.submit(crate::blk::Request::Flush, ()).unwrap();
    disk.kick();
    assert_eq!(state.borrow().notified, [(0, 0)]);
}
