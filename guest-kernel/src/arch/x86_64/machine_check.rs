//! Machine checks: hardware errors, recorded in banks of registers (Intel SDM volume 3, 16; AMD APM
//! volume 2, 9).
//!
//! | what the banks say | what happens |
//! |---|---|
//! | corrected | a line in the log, at the next machine check or NMI: nothing interrupts for it |
//! | uncorrected, and nothing depends on it yet | a line in the log |
//! | uncorrected, in a program that can be told from the rest | SIGBUS for the program |
//! | anything worse, or in the kernel | panic |
//!
//! The banks' control registers are left as they are: a virtual machine starts with all errors
//! enabled. A page that is broken is not taken out of use.

use super::frame::TrapFrame;
use super::instructions::{rdmsr, wrmsr};
use super::{Features, features, msr};
use crate::log;
use crate::machine_check::{Bank, Context, RESTARTABLE, Severity, judge};

/// Reads the bank, if it holds an error.
fn read(number: u32) -> Option<Bank> {
    let first = msr::MC0_STATUS + 4 * number;
    // SAFETY: the callers stay below the number of banks.
    let status = unsafe { rdmsr(first) };
    let mut bank = Bank {
        number,
        status,
        address: 0,
    };
    if bank.has_address() {
        // SAFETY: as above; the bank says that it has the register.
        bank.address = unsafe { rdmsr(first + 1) };
    }
    bank.is_valid().then_some(bank)
}

/// Empties a bank.
fn clear(bank: Bank) {
    // SAFETY: the bank exists, and zero is what may be written.
    unsafe { wrmsr(msr::MC0_STATUS + 4 * bank.number, 0) }
}

/// The banks that hold errors.
fn errors() -> impl Iterator<Item = Bank> {
    let banks = if features().contains(Features::MACHINE_CHECK) {
        // SAFETY: CPUID offers machine check banks, hence the register.
        unsafe { rdmsr(msr::MCG_CAP) as u32 & 0xff }
    } else {
        0
    };
    (0..banks).filter_map(read)
}

fn global_status() -> u64 {
    // SAFETY: CPUID offers machine check banks, hence the register.
    unsafe { rdmsr(msr::MCG_STATUS) }
}

/// Logs errors that the hardware corrected, and forgets them.
pub(super) fn report_corrected() {
    for bank in errors().filter(|bank| !bank.is_uncorrected()) {
        if say(bank, "corrected") {
            clear(bank);
        }
    }
}

fn say(bank: Bank, kind: &str) -> bool {
    log::line_aside(format_args!(
        "machine check on CPU {}: {kind}, bank {}, status {:#x}, address {:#x}",
        super::cpu::cpu_id(),
        bank.number,
        bank.status,
        bank.address
    ))
}

/// The worst of the errors, with its bank.
fn worst(global: u64, context: Context) -> Option<(Severity, Bank)> {
    let judged = errors().map(|bank| (judge(bank, global, context), bank));
    judged.max_by_key(|(severity, _)| *severity)
}

/// Logs and forgets what can be lived with, and allows the next machine check.
fn finish() {
    for bank in errors() {
        let kind = match bank.is_uncorrected() {
            true => "uncorrected",
            false => "corrected",
        };
        say(bank, kind);
        clear(bank);
    }
    // SAFETY: CPUID offers machine check banks, hence the register.
    unsafe { wrmsr(msr::MCG_STATUS, 0) }
}

/// A machine check while the kernel ran.
pub(super) extern "C" fn of_kernel(frame: &mut TrapFrame) {
    let global = global_status();
    match worst(global, Context::Kernel) {
        Some((Severity::Harmless, _)) => finish(),
        None if global & RESTARTABLE != 0 => finish(),
        found => {
            if let Some((_, bank)) = found {
                say(bank, "uncorrected");
            }
            crate::panic::kernel_exception(frame);
        }
    }
}

/// A machine check while a program ran; on the thread's stack.
pub(super) fn of_program(frame: &mut TrapFrame) {
    let global = global_status();
    match worst(global, Context::Program) {
        Some((Severity::Harmless, _)) => finish(),
        None if global & RESTARTABLE != 0 => finish(),
        Some((Severity::Program, bank)) => {
            finish();
            crate::exception::hardware_error(frame, bank.address);
        }
        Some((Severity::Fatal, bank)) => {
            say(bank, "uncorrected");
            panic!(
                "machine check: the processor lost a program's state at {:#x}",
                frame.rip
            );
        }
        None => panic!("machine check without a reason, at {:#x}", frame.rip),
    }
}
