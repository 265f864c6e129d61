//! The kernel log: lines on the 16550 UART.
//!
//! Each byte costs an exit to the monitor, so the log is for what someone should read.

use core::fmt::{self, Write};

use ferrix_machine::port::UART;

use crate::arch::instructions::{in8, out8};
use crate::arch::{Features, features};
use crate::sync::IrqSpinLock;

/// Line status register; bit 5: the transmitter takes a byte.
const LINE_STATUS: u16 = UART + 5;
const TRANSMITTER_READY: u8 = 1 << 5;
/// A UART that is not ready after so many looks is not there.
const LOOKS_MAX: u32 = 100_000;

static LOCK: IrqSpinLock<()> = IrqSpinLock::new(());

struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(put);
        Ok(())
    }
}

fn put(byte: u8) {
    // Ferrix's own monitor takes every byte at once.
    if !features().contains(Features::EXIT_PORT) {
        for _ in 0..LOOKS_MAX {
            // SAFETY: the UART's register; reading it clears error bits at most.
            if unsafe { in8(LINE_STATUS) } & TRANSMITTER_READY != 0 {
                break;
            }
        }
    }
    // SAFETY: the UART's data register.
    unsafe { out8(UART, byte) }
}

/// Writes text as it is, in one piece.
pub fn write(text: &[u8]) {
    let _lock = LOCK.lock();
    text.iter().copied().for_each(put);
}

/// Writes one line. Use [`log!`](crate::log!).
pub fn line(arguments: fmt::Arguments<'_>) {
    let _lock = LOCK.lock();
    let _ = Uart.write_fmt(arguments);
    put(b'\n');
}

/// Writes one line if nobody holds the log; whether it did. For what may have interrupted its holder.
pub fn try_line(arguments: fmt::Arguments<'_>) -> bool {
    let Some(_lock) = LOCK.try_lock() else {
        return false;
    };
    line_unlocked(arguments);
    true
}

/// Writes one line whoever holds the lock: for a panic.
pub fn line_unlocked(arguments: fmt::Arguments<'_>) {
    let _ = Uart.write_fmt(arguments);
    put(b'\n');
}

/// Writes one line to the kernel log.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::line(format_args!($($argument)*)) };
}
