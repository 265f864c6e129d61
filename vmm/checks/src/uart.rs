//! The 16550 UART: the log, and the subject of some checks.

use core::fmt;

use ferrix_machine::port;

use crate::arch::cpu::{in8, out8};

/// Registers by offset (National PC16550D data sheet, table II).
pub mod register {
    pub const DATA: u16 = 0;
    pub const IER: u16 = 1;
    /// Read: IIR; written: FCR.
    pub const IIR: u16 = 2;
    pub const LCR: u16 = 3;
    pub const MCR: u16 = 4;
    pub const LSR: u16 = 5;
    pub const MSR: u16 = 6;
    pub const SCR: u16 = 7;
}

/// LSR: a byte was received.
pub const DATA_READY: u8 = 1;
/// LSR: the transmitter takes a byte.
pub const TRANSMIT_EMPTY: u8 = 1 << 5;
/// IER: interrupt when the transmitter takes a byte.
pub const TRANSMIT_INTERRUPT: u8 = 1 << 1;

/// Reads a register.
pub fn read(register: u16) -> u8 {
    in8(port::UART + register)
}

/// Writes a register.
pub fn write(register: u16, value: u8) {
    out8(port::UART + register, value);
}

/// 8N1, no interrupts, FIFO on, lines up.
pub fn init() {
    write(register::IER, 0);
    write(register::LCR, 3);
    write(register::IIR, 7);
    write(register::MCR, 0x0b);
}

/// Raises an edge on the UART's line: the transmitter is empty, and says so from now on.
pub fn raise_interrupt() {
    write(register::IER, TRANSMIT_INTERRUPT);
}

/// Takes the interrupt back.
pub fn acknowledge() {
    read(register::IIR);
    write(register::IER, 0);
}

/// Where text is printed.
pub struct Log;

impl fmt::Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // A UART that is not there reads as ones, so this ends.
            for _ in 0..100_000 {
                if read(register::LSR) & TRANSMIT_EMPTY != 0 {
                    break;
                }
            }
            write(register::DATA, byte);
        }
        Ok(())
    }
}

/// Prints to the log.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {{
        use core::fmt::Write;
        // The log takes everything.
        let _ = write!($crate::uart::Log, $($argument)*);
    }};
}
