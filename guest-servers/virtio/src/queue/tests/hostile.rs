//! A device that writes whatever it likes. These tests need no mapping, so that Miri runs them too.

use super::*;
use proptest::prelude::*;

const SIZE: u16 = 8;
const CASES: u32 = if cfg!(miri) { 6 } else { 300 };

/// A queue of single-buffer chains that may take `token` bytes each, and the device's view.
struct Victim {
    queue: Queue<u32>,
    device: DmaMemory,
    used: usize,
    _heap: Heap,
}

impl Victim {
    fn new(published: u32, unpublished: u32) -> Victim {
        let layout = layout(SIZE, 0, Notifications::EventIndex);
        let mut heap = Heap::new(layout.bytes() + 4096);
        let (mut driver, device) = heap.views();
        let data = driver.carve(4096, 64).unwrap();
        let mut queue = Queue::new(QueueIndex(3), layout, driver);
        let add = |queue: &mut Queue<u32>, token: u32| {
            let buffer = Buffer::writable(data.segment(0, token));
            queue.add(&[buffer], token).unwrap();
        };
        (1..=published).for_each(|token| add(&mut queue, token));
        let _ = queue.publish();
        (1..=unpublished).for_each(|token| add(&mut queue, published + token));
        let used = Heap::offset(queue.addresses().device);
        Victim {
            queue,
            device,
            used,
            _heap: heap,
        }
    }

    fn complete(&self, position: usize, id: u32, length: u32) {
        let at = self.used + 4 + 8 * (position % usize::from(SIZE));
        self.device.store32(at, id);
        self.device.store32(at + 4, length);
    }

    fn set_index(&self, index: u16) {
        self.device.store16(self.used + 2, index, Ordering::Release);
    }
}

const QUEUE: QueueIndex = QueueIndex(3);

#[test]
fn used_index_ahead_of_what_is_in_flight() {
    let mut victim = Victim::new(2, 3);
    victim.set_index(3);
    let fault = DeviceFault::UsedIndex {
        queue: QUEUE,
        claimed: 3,
        in_flight: 2,
    };
    assert_eq!(victim.queue.pop(), Err(fault));
    victim.set_index(0);
    assert_eq!(victim.queue.pop(), Err(fault), "the fault stays");
    assert_eq!(
        victim.queue.enable_interrupts(),
        UsedRing::Pending,
        "no sleep on a fault"
    );
    assert_eq!(victim.queue.reset(), [1, 2, 3, 4, 5]);
    assert_eq!(victim.queue.pop(), Ok(None));
}

#[test]
fn ids_that_the_device_does_not_have() {
    for id in [2, 3, 7, 8, 0x1_0000, u32::MAX] {
        let mut victim = Victim::new(2, 1);
        victim.complete(0, id, 0);
        victim.set_index(1);
        assert_eq!(
            victim.queue.pop(),
            Err(DeviceFault::UsedId { queue: QUEUE, id })
        );
    }
}

#[test]
fn the_same_id_twice() {
    let mut victim = Victim::new(3, 0);
    victim.complete(0, 1, 2);
    victim.complete(1, 1, 2);
    victim.set_index(2);
    assert_eq!(
        victim.queue.pop(),
        Ok(Some(Used {
            token: 2,
            written: 2
        }))
    );
    assert_eq!(
        victim.queue.pop(),
        Err(DeviceFault::UsedId {
            queue: QUEUE,
            id: 1
        })
    );
}

#[test]
fn more_bytes_than_the_buffer_takes() {
    let mut victim = Victim::new(3, 0);
    victim.complete(0, 1, 3);
    victim.set_index(1);
    let fault = DeviceFault::UsedLength {
        queue: QUEUE,
        length: 3,
        writable: 2,
    };
    assert_eq!(victim.queue.pop(), Err(fault));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(CASES)
    })]

    #[test]
    fn garbage_never_confuses_the_ledger(
        rounds in prop::collection::vec(
            (0u16..10, prop::collection::vec((0u32..10, 0u32..10), 8), any::<[u8; 64]>()), 1..6),
    ) {
        let mut victim = Victim::new(5, 1);
        let mut returned = vec![];
        for (index, elements, descriptors) in rounds {
            victim.device.copy_in(4096, &descriptors);
            for (position, (id, length)) in elements.iter().enumerate() {
                victim.complete(position, *id, *length);
            }
            victim.set_index(index);
            while let Ok(Some(used)) = victim.queue.pop() {
                prop_assert!(used.written <= used.token);
                returned.push(used.token);
            }
        }
        returned.extend(victim.queue.reset());
        returned.sort_unstable();
        prop_assert_eq!(returned, vec![1, 2, 3, 4, 5, 6], "every token exactly once");
        prop_assert_eq!(victim.queue.free_descriptors(), SIZE);
    }
}
