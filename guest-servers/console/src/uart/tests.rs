//! The driver against a model of the device whose interrupt line is seen by its edges only.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A 16550 with a slow line: [`Chip::pass`] moves bytes.
#[derive(Default)]
struct Chip {
    scratch: u8,
    enabled: u8,
    dlab: bool,
    received: VecDeque<u8>,
    /// Bytes of the FIFO have waited for long.
    aged: bool,
    transmit: VecDeque<u8>,
    sent: Vec<u8>,
    room_pending: bool,
    line: bool,
    edges: usize,
    overruns: usize,
}

impl Chip {
    fn input_pending(&self) -> bool {
        self.enabled & ON_INPUT != 0
            && (self.received.len() >= 8 || self.aged && !self.received.is_empty())
    }

    fn update(&mut self) {
        let line = self.input_pending() || self.enabled & ON_ROOM != 0 && self.room_pending;
        self.edges += usize::from(line && !self.line);
        self.line = line;
    }

    fn read(&mut self, index: u16) -> u8 {
        let value = match index {
            DATA => self.received.pop_front().unwrap_or(0),
            IDENTIFICATION if self.input_pending() => 0xc4,
            IDENTIFICATION if self.enabled & ON_ROOM != 0 && self.room_pending => {
                self.room_pending = false;
                0xc2
            }
            IDENTIFICATION => 0xc1,
            LINE_STATUS => {
                u8::from(!self.received.is_empty()) | u8::from(self.transmit.is_empty()) << 5
            }
            SCRATCH => self.scratch,
            _ => 0,
        };
        self.update();
        value
    }

    fn write(&mut self, index: u16, value: u8) {
        match index {
            DATA if !self.dlab => {
                self.overruns += usize::from(self.transmit.len() >= FIFO);
                self.transmit.push_back(value);
                self.room_pending = false;
            }
            INTERRUPT_ENABLE if !self.dlab => {
                let newly = value & !self.enabled & ON_ROOM != 0;
                self.room_pending |= newly && self.transmit.is_empty();
                self.enabled = value;
            }
            LINE_CONTROL => self.dlab = value & DIVISOR_ACCESS != 0,
            SCRATCH => self.scratch = value,
            _ => {}
        }
        self.update();
    }

    /// Time passes: some bytes leave, some arrive.
    fn pass(&mut self, leave: usize, arrive: &mut VecDeque<u8>, count: usize) {
        for _ in 0..leave.min(self.transmit.len()) {
            self.sent.extend(self.transmit.pop_front());
            self.room_pending |= self.transmit.is_empty();
        }
        let room = FIFO - self.received.len();
        let count = count.min(arrive.len()).min(room);
        self.aged = count == 0;
        self.received.extend(arrive.drain(..count));
        self.update();
    }
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Chip>>);

impl Registers for Shared {
    fn read(&self, index: u16) -> u8 {
        self.0.borrow_mut().read(index)
    }

    fn write(&self, index: u16, value: u8) {
        self.0.borrow_mut().write(index, value);
    }
}

struct Nothing;

impl Registers for Nothing {
    fn read(&self, _: u16) -> u8 {
        NOTHING
    }

    fn write(&self, _: u16, _: u8) {}
}

#[test]
fn where_there_is_no_uart_none_is_found() {
    assert!(Uart::start(Nothing).is_none());
}

#[test]
fn output_without_room_interrupts_when_there_is_some() {
    let chip = Shared::default();
    let mut uart = Uart::start(chip.clone()).unwrap();
    assert_eq!(uart.transmit(&[7; 40]), FIFO);
    assert_eq!(chip.0.borrow().edges, 0);
    chip.0.borrow_mut().pass(FIFO, &mut VecDeque::new(), 0);
    assert_eq!(chip.0.borrow().edges, 1);
    assert_eq!(uart.receive(&mut |_| {}), Input::Drained);
    assert!(!chip.0.borrow().line, "asking has lowered the line");
}

#[test]
fn input_seen_while_transmitting_is_reported() {
    let chip = Shared::default();
    let mut uart = Uart::start(chip.clone()).unwrap();
    let mut typed = VecDeque::from([3]);
    chip.0.borrow_mut().pass(0, &mut typed, 1);
    assert_eq!(uart.transmit(b"x"), 1);
    assert!(uart.saw_input());
    assert_eq!(
        uart.receive(&mut |bytes| assert_eq!(bytes, [3])),
        Input::Drained
    );
    assert!(!uart.saw_input());
}

#[test]
fn what_was_typed_before_the_start_is_kept() {
    let chip = Shared::default();
    let mut typed = VecDeque::from(*b"early");
    chip.0.borrow_mut().pass(0, &mut typed, 5);
    let mut uart = Uart::start(chip.clone()).unwrap();
    let mut got = Vec::new();
    uart.receive(&mut |bytes| got.extend_from_slice(bytes));
    assert_eq!(got, b"early");
}

proptest! {
    /// Whatever the line's pace, a driver that acts only on edges loses nothing and comes to an end.
    #[test]
    fn all_bytes_pass_in_both_directions(
        output in proptest::collection::vec(any::<u8>(), 0..600),
        input in proptest::collection::vec(any::<u8>(), 0..600),
        pace in proptest::collection::vec((0usize..20, 0usize..20), 1..20),
    ) {
        let chip = Shared::default();
        let mut uart = Uart::start(chip.clone()).unwrap();
        let (mut got, mut done, mut seen) = (Vec::new(), 0, 0);
        let mut arrive = VecDeque::from(input.clone());
        done += uart.transmit(&output);
        for step in 0..10_000 {
            let (leave, count) = pace[step % pace.len()];
            chip.0.borrow_mut().pass(leave, &mut arrive, count);
            // Now and then nothing arrives, so that a few bytes grow old.
            chip.0.borrow_mut().pass(1, &mut arrive, usize::from(step % 2 == 0));
            if chip.0.borrow().edges == seen {
                continue;
            }
            seen = chip.0.borrow().edges;
            while uart.receive(&mut |bytes| got.extend_from_slice(bytes)) == Input::More {}
            if done < output.len() {
                done += uart.transmit(&output[done..]);
            }
        }
        prop_assert_eq!(got, input);
        prop_assert_eq!(&chip.0.borrow().sent, &output);
        prop_assert_eq!(chip.0.borrow().overruns, 0);
    }
}
