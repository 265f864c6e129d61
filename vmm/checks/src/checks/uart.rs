//! The 16550 UART (National PC16550D data sheet).

use super::{Check, list};
use crate::Machine;
use crate::clock;
use crate::uart::{self, DATA_READY, TRANSMIT_EMPTY, read, register::*, write};
use crate::verdict::{Verdict, equal, holds};

/// All of this file.
pub const CHECKS: &[Check] = list!("uart_": scratch, line_status, divisor, fifo, interrupt_identification, loopback, modem_loopback);

/// Section 8.9: the scratch register keeps a byte.
fn scratch(_: &Machine) -> Verdict {
    for value in [0x5a, 0xa5, 0] {
        write(SCR, value);
        equal("scratch register", read(SCR), value)?;
    }
    Ok(())
}

/// 8.5: an idle transmitter is empty.
fn line_status(_: &Machine) -> Verdict {
    const IDLE: u8 = 1 << 6;
    let empty = clock::wait(clock::PATIENCE_MS, || {
        read(LSR) & (TRANSMIT_EMPTY | IDLE) == TRANSMIT_EMPTY | IDLE
    });
    holds("transmitter empty and idle", empty)?;
    equal("errors", read(LSR) & 0x1e, 0u8)
}

/// 8.3: the divisor latch is behind LCR bit 7, and apart from data and interrupts.
fn divisor(_: &Machine) -> Verdict {
    let (line, interrupts) = (read(LCR), read(IER));
    write(LCR, line | 0x80);
    let before = [read(DATA), read(IER)];
    write(DATA, 0x0c);
    write(IER, 0x05);
    let set = [read(DATA), read(IER)];
    write(DATA, before[0]);
    write(IER, before[1]);
    write(LCR, line);
    equal("divisor, low byte", set[0], 0x0cu8)?;
    equal("divisor, high byte", set[1], 0x05u8)?;
    equal("IER afterwards", read(IER), interrupts)
}

/// 8.4, 8.6: FCR bit 0 switches the FIFOs, and IIR bits 6 and 7 show it.
fn fifo(_: &Machine) -> Verdict {
    write(IIR, 0);
    let off = read(IIR) >> 6;
    write(IIR, 7);
    let on = read(IIR) >> 6;
    equal("IIR bits 6 and 7 with FIFOs", on, 3u8)?;
    equal("IIR bits 6 and 7 without FIFOs", off, 0u8)
}

/// 8.6: enabling the transmitter's interrupt while it is empty identifies it; reading clears it.
fn interrupt_identification(_: &Machine) -> Verdict {
    const NONE: u8 = 1;
    const TRANSMITTER: u8 = 2;
    uart::acknowledge();
    let idle = read(IIR) & 0xf;
    uart::raise_interrupt();
    let raised = read(IIR) & 0xf;
    let taken = read(IIR) & 0xf;
    uart::acknowledge();
    equal("IIR without interrupts", idle, NONE)?;
    equal("IIR with an empty transmitter", raised, TRANSMITTER)?;
    equal("IIR after reading it", taken, NONE)
}

/// 8.7, bit 4: what is sent comes back.
fn loopback(_: &Machine) -> Verdict {
    let modem = read(MCR);
    write(MCR, modem | 0x10);
    let mut got = [0; 3];
    let mut arrived = true;
    for (sent, got) in b"ok!".iter().zip(&mut got) {
        write(DATA, *sent);
        arrived &= clock::wait(clock::PATIENCE_MS, || read(LSR) & DATA_READY != 0);
        *got = read(DATA);
    }
    let empty = read(LSR) & DATA_READY == 0;
    write(MCR, modem);
    holds("the bytes arrive", arrived)?;
    holds("they are those that were sent", got == *b"ok!")?;
    holds("nothing else arrives", empty)
}

/// 8.8: in loopback the modem's inputs are its outputs.
fn modem_loopback(_: &Machine) -> Verdict {
    let modem = read(MCR);
    // RTS, OUT2.
    write(MCR, 0x10 | 0x0a);
    let first = read(MSR) >> 4;
    // DTR, OUT1.
    write(MCR, 0x10 | 0x05);
    let second = read(MSR) >> 4;
    write(MCR, modem);
    equal("CTS and DCD", first, 0b1001u8)?;
    equal("DSR and RI", second, 0b0110u8)
}
