use super::*;
use crate::bus::Mmio;
use crate::testing::{FakeDevice, Guest, interrupts};
use std::boxed::Box;
use std::vec;
use virtio_queue::QueueT;
use vm_memory::Bytes;

#[test]
fn fills_from_short_answers() {
    for features in [0, feature::EVENT_IDX.bits()] {
        let mut guest = Guest::new();
        let device = FakeDevice::new(device::ENTROPY, features, &[8]);
        let transport = Transport::new(Box::new(Mmio::probe(device.clone()).unwrap()));
        let memory = guest.dma(Entropy::MEMORY_BYTES);
        let mut entropy = Entropy::start(transport, memory).unwrap();
        let mut queue = device.queue(0);
        let mut next = 0u8;
        let mut bytes = vec![0; 200];
        let answer = || {
            assert_eq!(device.take_notified(), [0]);
            let mut chain = queue.pop_descriptor_chain(&guest.memory).unwrap();
            let (head, buffer) = (chain.head_index(), chain.next().unwrap());
            for offset in 0..30 {
                let at = vm_memory::GuestAddress(buffer.addr().0 + offset);
                next += 1;
                guest.memory.write_obj(next, at).unwrap();
            }
            queue.add_used(&guest.memory, head, 30).unwrap();
            assert!(interrupts(&mut queue, &guest.memory));
            assert!(!queue.enable_notification(&guest.memory).unwrap());
        };
        entropy.fill(&mut bytes, answer).unwrap();
        let expected = (1..=200).collect::<vec::Vec<u8>>();
        assert_eq!(bytes, expected);
    }
}
