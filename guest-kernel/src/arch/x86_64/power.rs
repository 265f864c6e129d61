//! Ending the machine, and telling the monitor how far the boot has come.

use core::arch::asm;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use ferrix_machine::{exit, port};

use super::cpu::halt_forever;
use super::entry::idt;
use super::features::{Features, features};
use super::instructions::{in16, out8, out16, out32};
use crate::boot::fadt::{PM1_SCI_EN, PM1_SLEEP, PowerOff, Register};
use crate::mm::PhysAddr;
use crate::{boot, log};

/// Firmware that has not given the PM1 registers to ACPI after so many looks will not.
const ENABLE_LOOKS_MAX: u32 = 100_000;

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

/// Ends the machine with `status`, as far as the machine can tell one from another: by the exit port,
/// else switched off by ACPI, else reset.
pub fn exit(status: u32) -> ! {
    log::take_back();
    write_exit_port(status);
    if let (Some(off), _) = boot::ends() {
        power_off(off);
    }
    reset()
}

/// Starts the machine anew: by ACPI's reset register, else by the keyboard controller.
pub fn reset() -> ! {
    log::take_back();
    if let (_, Some(reset)) = boot::ends() {
        write8(reset.register, reset.value);
    }
    reset_without_tables()
}

/// Ends the machine after a panic: without tables, which take locks to reach.
pub fn exit_panic() -> ! {
    write_exit_port(exit::PANIC | exit::PANIC_FLAG);
    reset_without_tables()
}

fn write_exit_port(status: u32) {
    if let Some(port) = exit_port() {
        // SAFETY: the machine has the port; nothing runs after it.
        unsafe { out32(port, status) }
    }
}

/// Writes a register that ACPI names; nothing if it cannot be reached.
fn write8(register: Register, value: u8) {
    match register {
        // SAFETY: ACPI names this register for ending the machine.
        Register::Port(port) => unsafe { out8(port, value) },
        Register::Memory(address) => {
            if let Ok(window) = crate::mm::map_device(PhysAddr(address), 1) {
                // SAFETY: just mapped; as above.
                unsafe { window.write_volatile(value) }
            }
        }
    }
}

/// Enters S5. Returns if the machine does not do what its tables say.
fn power_off(off: PowerOff) {
    match off {
        PowerOff::SleepControl(register, value) => write8(register, value),
        PowerOff::Pm1 {
            control,
            values,
            enable,
        } => {
            give_to_acpi(control[0], enable);
            for (port, value) in control.into_iter().zip(values) {
                if port != 0 {
                    // SAFETY: ACPI names this register for ending the machine.
                    unsafe { out16(port, in16(port) & !PM1_SLEEP | value) }
                }
            }
        }
    }
}

/// Asks the firmware for the PM1 registers, if they are still its own.
fn give_to_acpi(control: u16, (port, value): (u16, u8)) {
    // SAFETY: ACPI names these registers for this.
    unsafe {
        if port == 0 || value == 0 || in16(control) & PM1_SCI_EN != 0 {
            return;
        }
        out8(port, value);
        for _ in 0..ENABLE_LOOKS_MAX {
            if in16(control) & PM1_SCI_EN != 0 {
                return;
            }
        }
    }
}

/// The ends that every PC has.
fn reset_without_tables() -> ! {
    // SAFETY: where there is a keyboard controller this resets the machine, else nothing happens.
    unsafe { out8(port::I8042_COMMAND, port::I8042_RESET) }
    triple_fault()
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
