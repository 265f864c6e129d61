//! The 16550 at 0x3f8 as a terminal: standard input and output behind its FIFOs (PC16550D data sheet).
//!
//! No byte is lost: input is read while the guest takes it, and when standard output takes no more,
//! the transmitter is not empty until it does. The interrupt line is raised by its edges.

mod back;

use std::collections::VecDeque;
use std::sync::Arc;

use ferrix_machine::uart::*;
use vmm_sys_util::eventfd::EventFd;

use crate::console::input::Input;
use crate::console::out::{Buffered, Patience};
use crate::sync::Mutex;
use crate::virtio::Line;
use crate::virtio::console::ConsoleSnapshot;

use super::Registers;

pub use back::SerialBack;

/// Output is taken while less than this waits for standard output.
const OUTPUT_LIMIT: usize = 64 << 10;
/// The interrupts that can be enabled.
const ENABLES: u8 = 0xf;
/// Modem control: what is sent comes back.
const LOOP: u8 = 1 << 4;
/// Line status: holding register and shift register are empty.
const TRANSMITTER_EMPTY: u8 = HAS_ROOM | ALL_SENT;
/// Modem status: CTS and DSR.
const READY: u8 = 0x30;

/// The UART, shared by the vCPUs and the event loop.
#[derive(Clone)]
pub struct Serial(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Tells the event loop to look at input and output anew.
    attention: EventFd,
}

struct State {
    enabled: u8,
    fifos: bool,
    divisor: [u8; 2],
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    received: VecDeque<u8>,
    /// The transmitter has become empty, and the guest does not know yet.
    room: bool,
    /// The input has ended.
    ended: bool,
    /// The guest does not know of the lost carrier yet.
    carrier_changed: bool,
    /// The level of the interrupt line.
    raised: bool,
    line: Box<dyn Line>,
    input: Input,
    out: Buffered,
    counters: ConsoleSnapshot,
}

impl Serial {
    /// A UART on this line, between these streams; `attention` is an event file of its own.
    pub fn new(line: Box<dyn Line>, input: Input, out: Buffered, attention: EventFd) -> Self {
        let state = State {
            enabled: 0,
            fifos: false,
            divisor: [1, 0],
            line_control: 0,
            modem_control: 0,
            scratch: 0,
            received: VecDeque::new(),
            room: true,
            ended: false,
            carrier_changed: false,
            raised: false,
            line,
            input,
            out,
            counters: ConsoleSnapshot::default(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            attention,
        }))
    }

    /// Puts out everything as long as patience lasts. For the end.
    pub fn flush(&self, patience: Patience) {
        self.0.state.lock().out.flush(patience);
    }

    /// The counters now.
    pub fn counters(&self) -> ConsoleSnapshot {
        let state = self.0.state.lock();
        ConsoleSnapshot {
            bytes_out: state.out.written,
            ..state.counters
        }
    }
}

impl Registers for Serial {
    fn write(&self, offset: u16, data: &[u8]) {
        let mut state = self.0.state.lock();
        data.iter().for_each(|&byte| state.write(offset, byte));
        if state.is_full() {
            // The counter cannot overflow: the event loop reads it.
            let _ = self.0.attention.write(1);
        }
    }

    fn read(&self, offset: u16, data: &mut [u8]) {
        let mut state = self.0.state.lock();
        data.fill_with(|| state.read(offset));
        if offset == DATA {
            let _ = self.0.attention.write(1);
        }
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.out.pending() >= OUTPUT_LIMIT
    }

    fn shows_divisor(&self) -> bool {
        self.line_control & DIVISOR_ACCESS != 0
    }

    fn capacity(&self) -> usize {
        if self.fifos { FIFO } else { 1 }
    }

    /// Raises the line if a condition has come.
    fn update(&mut self) {
        let level = self.pending() != NONE_PENDING;
        if level && !self.raised {
            self.counters.interrupts += 1;
            self.line.raise();
        }
        self.raised = level;
    }

    fn pending(&self) -> u8 {
        if self.enabled & ON_INPUT != 0 && !self.received.is_empty() {
            INPUT_PENDING
        } else if self.enabled & ON_ROOM != 0 && self.room {
            ROOM_PENDING
        } else if self.enabled & ON_MODEM != 0 && self.carrier_changed {
            MODEM_PENDING
        } else {
            NONE_PENDING
        }
    }

    fn write(&mut self, offset: u16, byte: u8) {
        match offset {
            DATA | INTERRUPT_ENABLE if self.shows_divisor() => {
                self.divisor[offset as usize] = byte;
            }
            DATA => self.transmit(byte),
            INTERRUPT_ENABLE => {
                let newly = byte & !self.enabled & ON_ROOM != 0;
                self.room |= newly && !self.is_full();
                self.enabled = byte & ENABLES;
                // A file is never announced: it is looked at when somebody wants input.
                self.receive();
            }
            IDENTIFICATION => {
                self.fifos = byte & FIFO_ENABLE != 0;
                if byte & FIFO_CLEAR_INPUT != 0 {
                    self.received.clear();
                }
            }
            LINE_CONTROL => self.line_control = byte,
            MODEM_CONTROL => self.modem_control = byte,
            SCRATCH => self.scratch = byte,
            _ => {}
        }
        self.update();
    }

    fn transmit(&mut self, byte: u8) {
        if self.modem_control & LOOP != 0 {
            if self.received.len() < self.capacity() {
                self.received.push_back(byte);
            }
            return;
        }
        self.out.push(&[byte]);
        if !self.is_full() {
            self.out.drain();
        }
        // What was taken leaves at once: the line is as fast as the host.
        self.room = false;
        self.update();
        self.room = !self.is_full();
    }

    fn read(&mut self, offset: u16) -> u8 {
        let value = match offset {
            DATA | INTERRUPT_ENABLE if self.shows_divisor() => self.divisor[offset as usize],
            DATA => {
                let byte = self.received.pop_front().unwrap_or(0);
                self.receive();
                byte
            }
            INTERRUPT_ENABLE => self.enabled,
            IDENTIFICATION => self.identify(),
            LINE_CONTROL => self.line_control,
            MODEM_CONTROL => self.modem_control,
            LINE_STATUS => {
                let room = if self.is_full() { 0 } else { TRANSMITTER_EMPTY };
                let input = !self.received.is_empty();
                room | if input { HAS_INPUT } else { 0 }
            }
            MODEM_STATUS => self.modem_status(),
            SCRATCH => self.scratch,
            _ => 0xff,
        };
        self.update();
        value
    }

    /// The most urgent condition; asking settles that of the transmitter.
    fn identify(&mut self) -> u8 {
        let pending = self.pending();
        if pending == ROOM_PENDING {
            self.room = false;
        }
        pending | if self.fifos { FIFOS_ON } else { 0 }
    }

    /// In loop mode the four outputs come back as inputs.
    fn modem_status(&mut self) -> u8 {
        if self.modem_control & LOOP == 0 {
            let carrier = if self.ended { 0 } else { CARRIER };
            let changed = std::mem::take(&mut self.carrier_changed);
            return READY | carrier | if changed { CARRIER_CHANGED } else { 0 };
        }
        let out = self.modem_control;
        (out & 1) << 5 | (out & 2) << 3 | (out & 4) << 4 | (out & 8) << 4
    }

    /// Moves input into the FIFO as far as it has room.
    fn receive(&mut self) {
        if self.modem_control & LOOP != 0 {
            return;
        }
        while self.received.len() < self.capacity() && !self.input.is_empty() {
            let room = self.capacity() - self.received.len();
            let bytes = self.input.peek(room);
            let count = bytes.len();
            self.received.extend(bytes);
            self.input.consume(count);
            self.counters.bytes_in += count as u64;
        }
        let ended = self.received.is_empty() && self.input.has_ended();
        self.carrier_changed |= ended && !self.ended;
        self.ended |= ended;
    }
}

#[cfg(test)]
mod tests;
