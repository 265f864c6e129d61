//! CPU exceptions of programs, as signals.

use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGTRAP};

use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::object::core_lock::lock;
use crate::ports;
use crate::signal;

/// The vector of general protection faults.
const PROTECTION: u64 = 13;

/// Why a page fault cannot be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing is mapped there.
    SegvMaperr,
    /// The mapping does not allow it.
    SegvAccerr,
    /// Beyond the end of the object.
    BusAdrerr,
    /// No memory for the page: the program is killed.
    OutOfMemory,
}

/// A page fault of a program that cannot be resolved.
pub fn fault_signal(frame: &mut TrapFrame, kind: FaultKind, address: u64, error: u64) {
    let (signo, code) = match kind {
        FaultKind::SegvMaperr => (SIGSEGV, 1),
        FaultKind::SegvAccerr => (SIGSEGV, 2),
        FaultKind::BusAdrerr => (SIGBUS, 2),
        FaultKind::OutOfMemory => (SIGKILL, 0),
    };
    let info = SignalInfo {
        signo,
        code,
        address,
        trap: 14,
        error: error as u32,
        ..SignalInfo::default()
    };
    cpu::disable_interrupts();
    signal::force(frame, info);
}

/// Memory that a program used is broken: SIGBUS with BUS_MCEERR_AR.
pub fn hardware_error(frame: &mut TrapFrame, address: u64) {
    let info = SignalInfo {
        signo: SIGBUS,
        code: 4,
        address,
        trap: 18,
        ..SignalInfo::default()
    };
    cpu::disable_interrupts();
    signal::force(frame, info);
}

/// Any other exception of a program.
pub fn user_exception(frame: &mut TrapFrame, vector: u64, error: u64) {
    const SI_KERNEL: i32 = 0x80;
    cpu::disable_interrupts();
    if vector == PROTECTION && error == 0 && ports::open(&mut lock()) {
        return;
    }
    let (signo, code) = match vector {
        0 => (SIGFPE, 1),
        1 => (SIGTRAP, 2),
        3 | 4 => (SIGTRAP, SI_KERNEL),
        6 => (SIGILL, 2),
        7 => (SIGILL, 5),
        16 => (SIGFPE, 0),
        11 | 12 => (SIGBUS, SI_KERNEL),
        17 => (SIGBUS, 1),
        19 => (SIGFPE, 0),
        _ => (SIGSEGV, SI_KERNEL),
    };
    let address = if matches!(vector, 0 | 1 | 3 | 6 | 16 | 19) {
        frame.rip
    } else {
        0
    };
    let info = SignalInfo {
        signo,
        code,
        address,
        trap: vector as u32,
        error: error as u32,
        ..SignalInfo::default()
    };
    cpu::disable_interrupts();
    signal::force(frame, info);
}
