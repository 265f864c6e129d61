//! Ending the machine, and telling the monitor how far the boot has come.

use core::arch::asm;

use ferrix_machine::{exit, port};

use super::cpu::halt_forever;
use super::entry::idt;
use super::features::{Features, features};
use super::instructions::{out8, out32};

/// Ends the machine with `status`, as far as the machine can tell one from another.
pub fn exit(status: u32) -> ! {
    if features().contains(Features::EXIT_PORT) {
        // SAFETY: the machine has the port; nothing runs after it.
        unsafe { out32(port::EXIT, status) }
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
