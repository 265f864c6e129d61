//! virtio-console: rings of any content, and bytes from the host.

use std::fs::{File, OpenOptions};
use std::sync::Arc;

use rustix::pipe::{PipeFlags, pipe_with};
use vm_memory::{Bytes, GuestAddress};
use vmm::console::input::Input;
use vmm::console::out::{Buffered, Out};
use vmm::console::terminal::WindowSize;
use vmm::control::Control;
use vmm::virtio::Slot;
use vmm::virtio::console::{Console, ConsoleBack, Window};

use crate::device::{Back, Bench, DATA, event, fresh_ram, interrupt};
use crate::op::{Descriptor, Place, Source};

const RECEIVE: u8 = 0;
const TRANSMIT: u8 = 1;

/// The back, and what is typed at it.
pub struct Typist {
    back: ConsoleBack,
    keyboard: File,
    window: Arc<Window>,
}

impl Back for Typist {
    fn serve(&mut self) {
        self.back.receive();
        self.back.transmit();
    }

    fn type_in(&mut self, bytes: &[u8]) {
        // Full is full; a window changes its size as people type.
        let _ = rustix::io::write(&self.keyboard, bytes);
        self.back.input_ready();
        self.window.resize(WindowSize {
            columns: bytes.len() as u16,
            rows: 25,
        });
    }
}

/// The bytes are [`Op`](crate::op::Op)s on a console that is set up.
pub fn run(data: &[u8]) {
    let mut bench = bench();
    bench.start_honestly();
    bench.run(Source(data));
    write_honestly(&mut bench);
    read_honestly(&mut bench);
}

/// A console, whose output is thrown away, and its driver.
pub fn bench() -> Bench<Typist> {
    let (ram, interrupt, slot) = (fresh_ram(), interrupt(), Slot::default());
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (stdin, keyboard) = pipe_with(flags).expect("pipes can be made");
    let control = Arc::new(Control::new().expect("event files can be made"));
    let input = Input::of(File::from(stdin), None, control);
    let nowhere = OpenOptions::new().write(true).open("/dev/null");
    let out = Buffered::new(Out::from_file(nowhere.expect("/dev/null")));
    let notified = [event(), event()];
    let streams = (input, out);
    let back = ConsoleBack::new(
        slot.clone(),
        ram.clone(),
        interrupt.clone(),
        notified,
        streams,
    );
    let window = back.window();
    let front = Box::new(Console::new(slot, window.clone()));
    let typist = Typist {
        back,
        keyboard: File::from(keyboard),
        window,
    };
    Bench::new(front, ram, interrupt, vec![event(), event()], typist)
}

fn offer(bench: &mut Bench<Typist>, queue: u8, flags: u16) {
    let descriptor = Descriptor {
        index: 0,
        place: Place::Data(0),
        length: 5,
        flags,
        next: 0,
    };
    bench.describe(queue, &descriptor);
    bench.offer(queue, 0);
    bench.back.serve();
    assert_eq!(bench.used(queue), 1, "queue {queue} is not served");
}

fn write_honestly(bench: &mut Bench<Typist>) {
    bench.start_honestly();
    let before = bench.back.back.counters().bytes_out;
    offer(bench, TRANSMIT, 0);
    let written = bench.back.back.counters().bytes_out - before;
    assert_eq!(written, 5, "honest output is lost");
}

fn read_honestly(bench: &mut Bench<Typist>) {
    bench.start_honestly();
    bench.fill(DATA, &[0; 5]);
    bench.back.type_in(b"z");
    offer(bench, RECEIVE, 2);
    let first: u8 = bench.ram.read_obj(GuestAddress(DATA)).expect("it is RAM");
    // What was typed before comes first.
    let given = bench.back.back.counters().bytes_in;
    assert!(given > 0, "honest input is lost: {first}");
}
