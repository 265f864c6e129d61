//! Ending the machine, and telling the monitor how far the boot has come.

use core::arch::asm;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use ferrix_machine::{exit, port};

use super::cpu::halt_forever;
use super::entry::idt;
use super::features::{Features, features};
use super::instructions::{out8, out32};

/// The exit port that the command line names; 0: none.
static EXIT_PORT: AtomicU16 = AtomicU16::new(0);

/// Notes an exit port that somebody promises on a machine that does not announce one (QEMU's
/// `-device isa-debug-exit`).
pub fn set_exit_port(port: u16) {
    EXIT_PORT.store(port, Relaxed);
}

/// Where a status can be written to end the machine with it.
fn exit_port() -> Option<u16> {
    if features().contains(Features::EXIT_PORT) {
        return Some(port::EXIT);
    }
    Some(EXIT_PORT.load(Relaxed)).filter(|&port| port != 0)
}

/// Ends the machine with `status`, as far as the machine can tell one from another.
pub fn exit(status: u32) -> ! {
    if let Some(port) = exit_port() {
        // SAFETY: the machine has the port; nothing runs after it.
        unsafe { out32(port, status) }
    }
    // SAFETY: where there is a keyboard controller this resets the machine, else nothing happens.
    unsafe { out8(port::I8042_COMMAND, port::I8042_RESET) }
    triple_fault()
}

/// Ends the machine after a panic.
pub fn exit_panic() -> ! {
    exit(exit::PANIC | exit::PANIC_FLAG)
}

/// Resets a machine that offers no other way: an exception without a table to deliver it.
fn triple_fault() -> ! {
    idt::unload();
    // SAFETY: the fault cannot be delivered, which resets the machine.
    unsafe { asm!("ud2", options(nomem, nostack)) };
    halt_forever()
}

/// Notes a boot milestone for the monitor's statistics.
pub fn milestone(number: u8) {
    if features().contains(Features::EXIT_PORT) {
        // SAFETY: the machine has the port.
        unsafe { out8(port::MILESTONE, number) }
    }
}
