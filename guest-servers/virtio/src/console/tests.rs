use super::*;
use crate::bus::Mmio;
use crate::spec::interrupt;
use crate::testing::{FakeDevice, Guest, interrupts};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;
use virtio_queue::{Queue as DeviceQueue, QueueT};
use vm_memory::Bytes;

struct Setup {
    guest: Guest,
    device: FakeDevice,
    console: Console,
    input: DeviceQueue,
    output: DeviceQueue,
}

fn start(features: Features) -> Setup {
    let mut guest = Guest::new();
    let device = FakeDevice::new(device::CONSOLE, features.bits(), &[64, 64]);
    let transport = Transport::new(Box::new(Mmio::probe(device.clone()).unwrap()));
    let memory = guest.dma(Console::MEMORY_BYTES);
    let console = Console::start(transport, memory).unwrap();
    let (input, output) = (device.queue(0), device.queue(1));
    Setup {
        guest,
        device,
        console,
        input,
        output,
    }
}

impl Setup {
    /// The user types; returns whether the device interrupts.
    fn type_in(&mut self, text: &[u8]) -> bool {
        let memory = &self.guest.memory;
        let mut chain = self
            .input
            .pop_descriptor_chain(memory)
            .expect("a posted buffer");
        let (head, buffer) = (chain.head_index(), chain.next().unwrap());
        assert!(buffer.is_write_only());
        memory.write_slice(text, buffer.addr()).unwrap();
        self.input
            .add_used(memory, head, text.len() as u32)
            .unwrap();
        interrupts(&mut self.input, memory)
    }

    fn received(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let total = self
            .console
            .receive(|piece| text.extend_from_slice(piece))
            .unwrap();
        assert_eq!(total, text.len());
        text
    }

    /// The device prints up to `most` chains; returns the text and whether it interrupts.
    fn print(&mut self, most: usize) -> (Vec<u8>, bool) {
        let memory = &self.guest.memory;
        let mut text = Vec::new();
        for _ in 0..most {
            let Some(chain) = self.output.pop_descriptor_chain(memory) else {
                break;
            };
            let head = chain.head_index();
            for buffer in chain {
                let mut piece = vec![0; buffer.len() as usize];
                memory.read_slice(&mut piece, buffer.addr()).unwrap();
                text.extend(piece);
            }
            self.output.add_used(memory, head, 0).unwrap();
        }
        let interrupts = interrupts(&mut self.output, memory);
        (text, interrupts)
    }
}

const FEATURES: [Features; 2] = [Features::NONE, feature::EVENT_IDX];

#[test]
fn input_arrives_in_order_and_buffers_are_posted_again() {
    for features in FEATURES {
        let mut setup = start(features);
        assert_eq!(setup.device.take_notified(), [0]);
        for round in 0..40u8 {
            assert!(setup.type_in(&[round, 1]), "input interrupts");
            setup.type_in(&[round, 2, 3]);
            assert_eq!(setup.received(), [round, 1, round, 2, 3]);
            assert_eq!(setup.received(), []);
        }
    }
}

#[test]
fn output_that_fits_causes_no_interrupt() {
    for features in FEATURES {
        let mut setup = start(features);
        setup.device.take_notified();
        let text: Vec<u8> = (0..1000u32).map(|value| value as u8).collect();
        for _ in 0..20 {
            assert_eq!(setup.console.transmit(&text), Ok(1000));
            assert!(!setup.console.is_drained().unwrap());
            assert_eq!(setup.print(100), (text.clone(), false));
            assert!(setup.console.is_drained().unwrap());
            setup
                .output
                .enable_notification(&setup.guest.memory)
                .unwrap();
        }
        assert_eq!(
            setup.device.take_notified(),
            [1; 20],
            "one notification each"
        );
    }
}

#[test]
fn output_that_does_not_fit_interrupts_when_there_is_room() {
    for features in FEATURES {
        let mut setup = start(features);
        let text: Vec<u8> = (0..20_000u32).map(|value| (value / 7) as u8).collect();
        let mut printed = Vec::new();
        let mut sent = setup.console.transmit(&text).unwrap();
        assert_eq!(sent, SLOT_BYTES * usize::from(TRANSMIT_SLOTS));
        while printed.len() < text.len() {
            let full = sent < text.len();
            let (piece, interrupts) = setup.print(3);
            assert!(interrupts || !full, "the driver waits for room");
            printed.extend(piece);
            sent += setup.console.transmit(&text[sent..]).unwrap();
        }
        assert_eq!(printed, text);
    }
}

#[test]
fn window_size_is_read_if_offered() {
    let setup = start(Features::NONE);
    assert_eq!(setup.console.window_size(), Ok(None));
    let setup = start(spec::feature::SIZE);
    assert_eq!(setup.console.window_size(), Ok(None), "0 by 0 is unknown");
    setup.device.configure(0, &[80, 0, 25, 0]);
    setup.device.change().interrupt = interrupt::CONFIGURATION;
    assert!(setup.console.acknowledge().configuration_changed());
    let size = WindowSize {
        columns: 80,
        rows: 25,
    };
    assert_eq!(setup.console.window_size(), Ok(Some(size)));
}

#[test]
fn recovers_from_a_device_that_lies() {
    let mut setup = start(feature::EVENT_IDX);
    setup.console.transmit(b"lost").unwrap();
    let memory = &setup.guest.memory;
    let head = setup
        .input
        .pop_descriptor_chain(memory)
        .unwrap()
        .head_index();
    setup
        .input
        .add_used(memory, head, SLOT_BYTES as u32 + 1)
        .unwrap();
    let fault = setup
        .console
        .receive(|_| panic!("no input came"))
        .unwrap_err();
    assert!(
        matches!(fault, DeviceFault::UsedLength { writable: 256, .. }),
        "{fault}"
    );
    setup.console.reset_and_recover().unwrap();
    (setup.input, setup.output) = (setup.device.queue(0), setup.device.queue(1));
    setup.type_in(b"again");
    assert_eq!(setup.received(), b"again");
    assert_eq!(setup.console.transmit(b"works"), Ok(5));
    assert_eq!(setup.print(9).0, b"works");
}
