use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};

use super::*;
use crate::console::out::Out;
use crate::control::Control;

#[derive(Clone, Default)]
struct Edges(Arc<AtomicUsize>);

impl Line for Edges {
    fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Rig {
    serial: Serial,
    edges: Edges,
    typed: OwnedFd,
    printed: OwnedFd,
}

fn rig() -> Rig {
    let (stdin, typed) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (printed, stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let input = Input::open(stdin.as_fd(), Arc::new(Control::new().unwrap())).unwrap();
    let out = Buffered::new(Out::open(stdout.as_fd()).unwrap());
    let edges = Edges::default();
    let attention = EventFd::new(libc::EFD_NONBLOCK).unwrap();
    let serial = Serial::new(Box::new(edges.clone()), input, out, attention);
    serial.write(IDENTIFICATION, &[FIFO_ENABLE]);
    Rig {
        serial,
        edges,
        typed,
        printed,
    }
}

impl Rig {
    fn read(&self, offset: u16) -> u8 {
        let mut value = [0];
        self.serial.read(offset, &mut value);
        value[0]
    }

    fn edges(&self) -> usize {
        self.edges.0.load(Ordering::SeqCst)
    }

    /// Input arrives as in the event loop.
    fn arrive(&self) {
        let mut state = self.serial.0.state.lock();
        state.input.fill();
        state.receive();
        state.update();
    }
}

#[test]
fn input_interrupts_once_until_it_is_read() {
    let rig = rig();
    rig.serial.write(INTERRUPT_ENABLE, &[ON_INPUT]);
    rustix::io::write(&rig.typed, b"0123456789abcdefghij").unwrap();
    rig.arrive();
    rig.arrive();
    assert_eq!(rig.edges(), 1);
    assert_eq!(rig.read(IDENTIFICATION), INPUT_PENDING | FIFOS_ON);
    let mut got = Vec::new();
    while rig.read(LINE_STATUS) & HAS_INPUT != 0 {
        got.push(rig.read(DATA));
    }
    assert_eq!(got, b"0123456789abcdefghij");
    assert_eq!(rig.read(IDENTIFICATION), NONE_PENDING | FIFOS_ON);
    rustix::io::write(&rig.typed, b"!").unwrap();
    rig.arrive();
    assert_eq!(rig.edges(), 2);
}

#[test]
fn a_transmitter_with_room_interrupts_when_asked() {
    let rig = rig();
    rig.serial.write(INTERRUPT_ENABLE, &[ON_ROOM]);
    assert_eq!(rig.edges(), 1);
    assert_eq!(rig.read(IDENTIFICATION), ROOM_PENDING | FIFOS_ON);
    assert_eq!(rig.read(IDENTIFICATION), NONE_PENDING | FIFOS_ON);
    rig.serial.write(DATA, b"x");
    assert_eq!(rig.edges(), 2, "empty again");
}

#[test]
fn output_waits_while_nobody_reads_and_keeps_every_byte() {
    let rig = rig();
    let mut sent = Vec::new();
    while rig.read(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
        let byte = (sent.len() % 251) as u8;
        rig.serial.write(DATA, &[byte]);
        sent.push(byte);
        assert!(sent.len() < 1 << 20, "a pipe that nobody reads is full");
    }
    let printed = rig.printed.try_clone().unwrap();
    let length = sent.len();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; length];
        File::from(printed).read_exact(&mut got).unwrap();
        got
    });
    rig.serial.flush(Patience::Endless);
    assert_ne!(rig.read(LINE_STATUS) & TRANSMITTER_EMPTY, 0);
    assert!(reader.join().unwrap() == sent);
    assert_eq!(rig.serial.counters().bytes_out, length as u64);
}

#[test]
fn the_carrier_is_lost_with_the_end_of_the_input() {
    let mut rig = rig();
    rig.serial.write(INTERRUPT_ENABLE, &[ON_INPUT | ON_MODEM]);
    rustix::io::write(&rig.typed, b"x").unwrap();
    rig.arrive();
    rig.typed = rustix::io::dup(&rig.printed).unwrap();
    rig.arrive();
    assert_eq!(
        rig.read(MODEM_STATUS),
        READY | CARRIER,
        "there is input yet"
    );
    assert_eq!(
        (rig.read(DATA), rig.edges()),
        (b'x', 1),
        "the line stays high"
    );
    assert_eq!(rig.read(IDENTIFICATION), MODEM_PENDING | FIFOS_ON);
    assert_eq!(rig.read(MODEM_STATUS), READY | CARRIER_CHANGED);
    assert_eq!(rig.read(MODEM_STATUS), READY);
    assert_eq!(rig.read(IDENTIFICATION), NONE_PENDING | FIFOS_ON);
}

#[test]
fn loop_mode_returns_what_is_sent() {
    let rig = rig();
    rig.serial.write(MODEM_CONTROL, &[LOOP | 0xb]);
    rig.serial.write(DATA, b"a");
    assert_eq!(rig.read(DATA), b'a');
    assert_eq!(rig.read(MODEM_STATUS), 0xb0);
    rig.serial.write(LINE_CONTROL, &[DIVISOR_ACCESS]);
    rig.serial.write(DATA, &[12]);
    assert_eq!(rig.read(DATA), 12, "the divisor");
}
