use super::*;
use crate::testing::{Guest, Heap, device_queue, interrupts};
use std::collections::VecDeque;
use std::vec;
use virtio_queue::{Queue as DeviceQueue, QueueT};

mod hostile;
mod model;
mod threads;

/// The kinds of queue that every test goes through.
const SHAPES: [(u16, Notifications); 4] = [
    (0, Notifications::Flags),
    (0, Notifications::EventIndex),
    (4, Notifications::Flags),
    (4, Notifications::EventIndex),
];

fn layout(size: u16, indirect: u16, notifications: Notifications) -> QueueLayout {
    QueueLayout {
        size: QueueSize::at_most(size),
        indirect,
        notifications,
    }
}

/// Both sides of a queue.
fn pair<T>(guest: &mut Guest, layout: QueueLayout) -> (Queue<T>, DeviceQueue) {
    let queue = Queue::new(QueueIndex(0), layout, guest.dma(layout.bytes()));
    let at = queue.addresses();
    let areas = [at.descriptors.0, at.driver.0, at.device.0];
    let event_index = layout.notifications == Notifications::EventIndex;
    let device = device_queue(layout.size.get(), areas, event_index);
    assert!(device.is_valid(&guest.memory));
    (queue, device)
}

/// Lets the device finish the next chain without writing anything.
fn serve(guest: &Guest, device: &mut DeviceQueue) -> u16 {
    let head = device
        .pop_descriptor_chain(&guest.memory)
        .unwrap()
        .head_index();
    device.add_used(&guest.memory, head, 0).unwrap();
    head
}

#[test]
fn sizes_are_powers_of_two() {
    let sizes = [
        (0, 1),
        (1, 1),
        (2, 2),
        (3, 2),
        (255, 128),
        (256, 256),
        (u16::MAX, 1 << 15),
    ];
    for (wanted, size) in sizes {
        assert_eq!(QueueSize::at_most(wanted).get(), size);
    }
}

#[test]
fn malformed_chains_are_refused() {
    let mut guest = Guest::new();
    let layout = layout(4, 2, Notifications::Flags);
    let (mut queue, _) = pair(&mut guest, layout);
    let data = guest.dma(4096);
    let (read, write) = (data.segment(0, 16), data.segment(16, 16));
    let mut add = |chain: &[Buffer]| queue.add(chain, ()).unwrap_err();
    assert_eq!(add(&[]), RingError::Empty);
    assert_eq!(
        add(&[Buffer::readable(data.segment(0, 0))]),
        RingError::Empty
    );
    assert_eq!(add(&[Buffer::readable(read); 5]), RingError::ChainTooLong);
    let order = [Buffer::writable(write), Buffer::readable(read)];
    assert_eq!(add(&order), RingError::Order);
    assert_eq!(queue.free_descriptors(), 4);
}

#[test]
fn a_full_queue_says_so_and_recovers() {
    for (indirect, notifications) in SHAPES {
        let mut guest = Guest::new();
        let (mut queue, mut device) = pair(&mut guest, layout(8, indirect, notifications));
        let data = guest.dma(4096);
        let chain = [
            Buffer::readable(data.segment(0, 8)),
            Buffer::writable(data.segment(8, 8)),
        ];
        let most = if indirect > 0 { 8 } else { 4 };
        for round in 0..3 {
            for token in 0..most {
                assert!(queue.fits(2));
                queue.add(&chain, round * 100 + token).unwrap();
            }
            assert!(!queue.fits(2));
            assert_eq!(queue.add(&chain, 0), Err(RingError::Full));
            let _ = queue.publish();
            for token in 0..most {
                serve(&guest, &mut device);
                let used = Used {
                    token: round * 100 + token,
                    written: 0,
                };
                assert_eq!(queue.pop(), Ok(Some(used)));
            }
            assert_eq!(queue.free_descriptors(), 8);
        }
    }
}

#[test]
fn notifies_a_sleeping_device_once() {
    for (indirect, notifications) in SHAPES {
        let mut guest = Guest::new();
        let (mut queue, mut device) = pair(&mut guest, layout(8, indirect, notifications));
        let data = guest.dma(64);
        let chain = [Buffer::readable(data.segment(0, 8))];
        assert_eq!(queue.publish(), Notify::NotNeeded, "nothing was added");
        queue.add(&chain, ()).unwrap();
        assert_eq!(queue.publish(), Notify::Needed);
        device.disable_notification(&guest.memory).unwrap();
        queue.add(&chain, ()).unwrap();
        assert_eq!(queue.publish(), Notify::NotNeeded, "it is awake");
        serve(&guest, &mut device);
        serve(&guest, &mut device);
        assert!(!device.enable_notification(&guest.memory).unwrap());
        queue.add(&chain, ()).unwrap();
        queue.add(&chain, ()).unwrap();
        assert_eq!(queue.publish(), Notify::Needed, "it went to sleep");
    }
}

#[test]
fn interrupts_come_when_asked_for() {
    for (indirect, notifications) in SHAPES {
        let mut guest = Guest::new();
        let (mut queue, mut device) = pair(&mut guest, layout(8, indirect, notifications));
        let data = guest.dma(64);
        let chain = [Buffer::readable(data.segment(0, 8))];
        let mut finish_one = |queue: &mut Queue<()>| {
            queue.add(&chain, ()).unwrap();
            let _ = queue.publish();
            serve(&guest, &mut device);
            interrupts(&mut device, &guest.memory)
        };
        assert!(finish_one(&mut queue), "a new queue interrupts");
        queue.disable_interrupts();
        assert!(!finish_one(&mut queue));
        assert_eq!(queue.enable_interrupts(), UsedRing::Pending);
        assert!(queue.pop().unwrap().is_some() && queue.pop().unwrap().is_some());
        assert_eq!(queue.enable_interrupts(), UsedRing::Empty);
        assert!(finish_one(&mut queue));
    }
}

#[test]
fn event_crossing_survives_the_wrap() {
    assert!(crosses(0, 0, 1));
    assert!(!crosses(1, 0, 1));
    assert!(crosses(u16::MAX, u16::MAX, 0));
    assert!(crosses(0, u16::MAX, 1));
    assert!(!crosses(1, u16::MAX, 1));
    assert!(!crosses(5, 6, 9), "already passed");
}

#[test]
fn indices_wrap_after_65536_requests() {
    let mut guest = Guest::new();
    let (mut queue, mut device) = pair(&mut guest, layout(4, 0, Notifications::EventIndex));
    let data = guest.dma(64);
    let chain = [Buffer::readable(data.segment(0, 8))];
    for token in 0..70_000u32 {
        queue.add(&chain, token).unwrap();
        let _ = queue.publish();
        serve(&guest, &mut device);
        assert_eq!(queue.pop().unwrap().map(|used| used.token), Some(token));
    }
}

#[test]
fn reset_returns_the_tokens_in_order() {
    let mut guest = Guest::new();
    let (mut queue, mut device) = pair(&mut guest, layout(8, 0, Notifications::Flags));
    let data = guest.dma(64);
    let chain = [Buffer::readable(data.segment(0, 8))];
    for token in 0..6 {
        queue.add(&chain, token).unwrap();
    }
    let _ = queue.publish();
    let first = device
        .pop_descriptor_chain(&guest.memory)
        .unwrap()
        .head_index();
    let second = serve(&guest, &mut device);
    assert_ne!(first, second);
    assert_eq!(queue.pop().unwrap().map(|used| used.token), Some(1));
    queue.add(&chain, 6).unwrap();
    assert_eq!(queue.reset(), vec![0, 2, 3, 4, 5, 6]);
    assert_eq!((queue.free_descriptors(), queue.outstanding()), (8, 0));
    assert_eq!(queue.pop(), Ok(None));
}
