use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use virtio_queue::mock::MockSplitQueue;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::console::input::Input;
use crate::console::out::{Buffered, Out, Patience};
use crate::control::Control;
use crate::memory::Ram;
use crate::virtio::testing::Part;
use crate::virtio::testing::{Driver, VERSION_1, event, interrupt, offer, ram, used};

const DATA: u64 = 0x10_0000;
const SIZE: WindowSize = WindowSize {
    columns: 132,
    rows: 43,
};

struct Rig {
    driver: Driver,
    back: ConsoleBack,
    window: Arc<Window>,
    interrupt: Arc<Interrupt>,
    typed: OwnedFd,
    printed: OwnedFd,
}

fn rig() -> Rig {
    let (ram, (interrupt, _), slot) = (ram(), interrupt(), Slot::default());
    let window = Arc::new(Window::new(SIZE, interrupt.clone()));
    let front = Console::new(slot.clone(), window.clone());
    let (stdin, typed) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (printed, stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let input = Input::open(stdin.as_fd(), Arc::new(Control::new().unwrap())).unwrap();
    let out = Buffered::new(Out::open(stdout.as_fd()).unwrap());
    let driver = Driver::new(Box::new(front), &ram, &interrupt, vec![event(), event()]);
    let notified = [event(), event()];
    let back = ConsoleBack::new(slot, ram, interrupt.clone(), notified, (input, out));
    Rig {
        driver,
        back,
        window,
        interrupt,
        typed,
        printed,
    }
}

fn rings<'a>(rig: &Rig, ram: &'a Ram) -> [MockSplitQueue<'a, Ram>; 2] {
    let rings = [0, 0x8000].map(|base| MockSplitQueue::create(ram, GuestAddress(base), 64));
    assert!(rig.driver.negotiate(VERSION_1 | 1 << VIRTIO_CONSOLE_F_SIZE));
    assert!(rig.driver.set_mock(0, &rings[0], 64) && rig.driver.set_mock(1, &rings[1], 64));
    assert!(rig.driver.go());
    rings
}

#[test]
fn window_size_is_configuration_and_a_change_interrupts() {
    let rig = rig();
    let ram = rig.driver.ram.clone();
    let _rings = rings(&rig, &ram);
    let mut size = [0; 4];
    rig.driver.transport.read(0x100, &mut size);
    assert_eq!(size, [132, 0, 43, 0]);
    rig.window.resize(SIZE);
    assert_eq!(rig.interrupt.status(), 0, "no change, no interrupt");
    rig.window.resize(WindowSize {
        columns: 80,
        rows: 25,
    });
    assert_eq!(rig.interrupt.status(), 2);
    rig.driver.transport.read(0x100, &mut size);
    assert_eq!(size, [80, 0, 25, 0]);
}

#[test]
fn output_keeps_every_byte_when_nobody_reads_for_a_while() {
    let mut rig = rig();
    let ram = rig.driver.ram.clone();
    let [_, transmit] = rings(&rig, &ram);
    let text: Vec<u8> = (0..400_000u32).map(|i| (i % 253) as u8).collect();
    ram.write_slice(&text, GuestAddress(DATA)).unwrap();
    let (first, second) = (150_000, 250_000);
    offer(
        &transmit,
        0,
        &[Part::Out(DATA, 1), Part::Out(DATA + 1, first - 1)],
    );
    offer(&transmit, 2, &[Part::Out(DATA + u64::from(first), second)]);
    // Until the pipe is full.
    while rig.back.transmit() {}
    assert!(used(&transmit).0 < 2, "the rest stays in the ring");
    let printed = rig.printed.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 400_000];
        File::from(printed).read_exact(&mut got).unwrap();
        got
    });
    rig.back.flush(Patience::Endless);
    assert!(reader.join().unwrap() == text);
    assert_eq!(used(&transmit), (2, 0));
    assert_eq!(rig.back.counters().bytes_out, 400_000);
}

#[test]
fn input_waits_for_buffers_and_fills_them_in_order() {
    let mut rig = rig();
    let ram = rig.driver.ram.clone();
    let [receive, _] = rings(&rig, &ram);
    rustix::io::write(&rig.typed, b"hello world").unwrap();
    rig.back.input_ready();
    rig.back.receive();
    assert_eq!(used(&receive).0, 0, "no buffer yet");
    offer(&receive, 0, &[Part::In(DATA, 2), Part::In(DATA + 2, 3)]);
    offer(&receive, 2, &[Part::In(DATA + 0x100, 100)]);
    offer(&receive, 3, &[Part::In(DATA + 0x200, 100)]);
    rig.back.receive();
    assert_eq!(used(&receive), (2, 6), "the third buffer stays available");
    assert_eq!(rig.driver.bytes(DATA, 5), b"hello");
    assert_eq!(rig.driver.bytes(DATA + 0x100, 6), b" world");
    rustix::io::write(&rig.typed, b"!").unwrap();
    rig.back.input_ready();
    rig.back.receive();
    assert_eq!(used(&receive), (3, 1));
    assert_eq!(rig.driver.bytes(DATA + 0x200, 1), b"!");
}

#[test]
fn the_end_of_input_is_one_empty_buffer() {
    let mut rig = rig();
    let ram = rig.driver.ram.clone();
    let [receive, _] = rings(&rig, &ram);
    rustix::io::write(&rig.typed, b"last").unwrap();
    rig.back.input_ready();
    rig.typed = rustix::io::dup(&rig.printed).unwrap();
    rig.back.input_ready();
    for index in 0..3 {
        offer(
            &receive,
            index,
            &[Part::In(DATA + 0x100 * u64::from(index), 100)],
        );
    }
    rig.back.receive();
    assert_eq!(used(&receive), (2, 0), "the input, then nothing");
    assert_eq!(rig.driver.bytes(DATA, 4), b"last");
    rig.back.receive();
    assert_eq!(used(&receive).0, 2, "said once");
}

#[test]
fn buffers_outside_ram_do_no_harm() {
    let mut rig = rig();
    let ram = rig.driver.ram.clone();
    let [receive, transmit] = rings(&rig, &ram);
    offer(&transmit, 0, &[Part::Out(u64::MAX - 7, 100)]);
    offer(&receive, 0, &[Part::In(8 << 20, 100)]);
    rustix::io::write(&rig.typed, b"kept").unwrap();
    rig.back.input_ready();
    rig.back.receive();
    assert!(rig.back.transmit());
    assert_eq!((used(&receive), used(&transmit)), ((1, 0), (1, 0)));
    offer(&receive, 1, &[Part::In(DATA, 100)]);
    rig.back.receive();
    assert_eq!(rig.driver.bytes(DATA, 4), b"kept");
}

/// Of a chain that names the same RAM over and over, one call takes a piece: signals and the timeout come through.
#[test]
fn endless_output_leaves_time_for_other_events() {
    let mut rig = rig();
    let ram = rig.driver.ram.clone();
    let [_, transmit] = rings(&rig, &ram);
    let all = [Part::Out(0, 2 << 20); 8];
    offer(&transmit, 0, &all);
    let printed = File::from(rig.printed.try_clone().unwrap());
    let reader = std::thread::spawn(move || {
        let mut got = 0;
        let mut chunk = vec![0; 1 << 20];
        while got < 16 << 20 {
            got += (&printed).read(&mut chunk).unwrap();
        }
    });
    let mut calls = 0;
    while used(&transmit).0 == 0 {
        rig.back.transmit();
        calls += 1;
    }
    rig.back.flush(Patience::Endless);
    reader.join().unwrap();
    assert!(calls >= 256, "{calls} calls for 16 MiB");
}
