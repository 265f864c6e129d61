//! The 16550 UART as a driver sees it: bytes out, bytes in, interrupts (PC16550D data sheet).
//!
//! Everything is interrupt-driven: input interrupts by its level in the FIFO, or by its age; output
//! interrupts only while some could not be taken. All conditions are looked at after each interrupt
//! until none is left, because its line is edge-triggered.

use alloc::vec::Vec;

use ferrix_machine::uart::*;

/// Where the registers are. Nothing here depends on how they are reached.
pub trait Registers {
    /// Reads register `index`, 0 to 7.
    fn read(&self, index: u16) -> u8;
    /// Writes register `index`, 0 to 7.
    fn write(&self, index: u16, value: u8);
}

/// Identification: which interrupt is pending.
const KIND: u8 = 0xf;
/// FIFO control: FIFOs on, interrupt when 8 bytes are in.
const FIFOS: u8 = FIFO_ENABLE | 2 << 6;
/// Line control: 8 bits, no parity, one stop bit.
const EIGHT_NONE_ONE: u8 = 3;
/// Of 115,200 bits a second.
const DIVISOR: u16 = 1;
/// Modem control: DTR, RTS, and OUT2, which lets interrupts out on a PC.
const MODEM_READY: u8 = 1 << 0 | 1 << 1 | 1 << 3;
/// Line status: the byte is a break, not data.
const IS_BREAK: u8 = 1 << 4;
/// What reads as this is no UART.
const NOTHING: u8 = 0xff;

/// Most input bytes at a time, so that their echo is not kept waiting.
const PIECE: usize = 256;

/// Whether the device may have more input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// None; the next interrupts.
    Drained,
    /// Some, of which no interrupt will tell.
    More,
}

/// A UART that works.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    /// Interrupts that are enabled.
    enabled: u8,
    saw_input: bool,
    lost_carrier: bool,
    /// Input that came before the start.
    early: Vec<u8>,
}

/// Whether a modem status says that the carrier was there and is no more.
fn is_loss(status: u8) -> bool {
    status & CARRIER_CHANGED != 0 && status & CARRIER == 0
}

impl<R: Registers> Uart<R> {
    /// Sets a UART up: 115,200 bits a second, 8N1, FIFOs, interrupts on input. `None` if there is no
    /// UART. Input that has come already is kept.
    pub fn start(registers: R) -> Option<Uart<R>> {
        for pattern in [0x5a, 0xa5] {
            registers.write(SCRATCH, pattern);
            if registers.read(SCRATCH) != pattern {
                return None;
            }
        }
        registers.write(INTERRUPT_ENABLE, 0);
        registers.write(LINE_CONTROL, EIGHT_NONE_ONE);
        // Switching the FIFOs on empties them.
        let early = (0..PIECE)
            .map_while(|_| {
                let status = registers.read(LINE_STATUS);
                let is_input = status != NOTHING && status & HAS_INPUT != 0;
                is_input.then(|| registers.read(DATA))
            })
            .collect();
        registers.write(LINE_CONTROL, DIVISOR_ACCESS);
        registers.write(DATA, DIVISOR as u8);
        registers.write(INTERRUPT_ENABLE, (DIVISOR >> 8) as u8);
        registers.write(LINE_CONTROL, EIGHT_NONE_ONE);
        registers.write(FIFO_CONTROL, FIFOS);
        registers.write(MODEM_CONTROL, MODEM_READY);
        if registers.read(LINE_STATUS) == NOTHING {
            return None;
        }
        // Reading clears what was pending.
        registers.read(IDENTIFICATION);
        let lost_carrier = is_loss(registers.read(MODEM_STATUS));
        registers.write(INTERRUPT_ENABLE, ON_INPUT | ON_MODEM);
        Some(Uart {
            registers,
            enabled: ON_INPUT | ON_MODEM,
            saw_input: false,
            lost_carrier,
            early,
        })
    }

    /// Delivers input that has come, at most a few hundred bytes of it, and something empty when the
    /// carrier is lost: there will be no more.
    pub fn receive(&mut self, deliver: &mut dyn FnMut(&[u8])) -> Input {
        if !self.early.is_empty() {
            deliver(&core::mem::take(&mut self.early));
        }
        let mut piece = [0; PIECE];
        let mut length = 0;
        let mut input = Input::More;
        while length < PIECE {
            let status = self.registers.read(LINE_STATUS);
            if status & HAS_INPUT != 0 {
                piece[length] = self.registers.read(DATA);
                length += usize::from(status & IS_BREAK == 0);
            } else if self.is_quiet() {
                input = Input::Drained;
                break;
            }
        }
        self.saw_input = false;
        if length > 0 {
            deliver(&piece[..length]);
        }
        if input == Input::Drained && core::mem::take(&mut self.lost_carrier) {
            deliver(&[]);
        }
        input
    }

    /// Whether the interrupt line is low, so that the next byte is sure to raise it. Asking lowers it,
    /// if it was high because of the transmitter.
    fn is_quiet(&mut self) -> bool {
        let identification = self.registers.read(IDENTIFICATION);
        if identification & NONE_PENDING != 0 {
            return true;
        }
        if identification & KIND == MODEM_PENDING {
            self.lost_carrier |= is_loss(self.registers.read(MODEM_STATUS));
            return false;
        }
        self.registers.read(LINE_STATUS) & HAS_INPUT == 0
    }

    /// Gives output to the transmitter, and returns how many bytes it has taken. If those are not
    /// all, an interrupt comes when it takes more.
    pub fn transmit(&mut self, output: &[u8]) -> usize {
        let mut taken = 0;
        while taken < output.len() {
            let status = self.registers.read(LINE_STATUS);
            self.saw_input |= status & HAS_INPUT != 0;
            if status & HAS_ROOM == 0 {
                self.enable(ON_INPUT | ON_MODEM | ON_ROOM);
                return taken;
            }
            let rest = &output[taken..];
            let burst = &rest[..rest.len().min(FIFO)];
            burst
                .iter()
                .for_each(|&byte| self.registers.write(DATA, byte));
            taken += burst.len();
        }
        self.enable(ON_INPUT | ON_MODEM);
        taken
    }

    /// Whether [`transmit`](Self::transmit) saw input that has not been received since.
    pub fn saw_input(&self) -> bool {
        self.saw_input
    }

    fn enable(&mut self, interrupts: u8) {
        if self.enabled != interrupts {
            self.registers.write(INTERRUPT_ENABLE, interrupts);
            self.enabled = interrupts;
        }
    }
}

#[cfg(test)]
mod tests;
