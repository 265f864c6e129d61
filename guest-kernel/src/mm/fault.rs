//! The page-fault handler: from the trap to the address space, and back or to a signal.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::layout::USER_TOP;

use super::space::{Access, FaultError};
use super::uaccess;
use crate::arch::TrapFrame;
use crate::exception::{FaultKind, fault_signal};

/// Bits of the error code that the processor pushes.
pub mod code {
    /// The page was present: the access was not allowed.
    pub const PRESENT: u64 = 1;
    /// A write.
    pub const WRITE: u64 = 1 << 1;
    /// From user mode.
    pub const USER: u64 = 1 << 2;
    /// An instruction fetch.
    pub const FETCH: u64 = 1 << 4;
}

/// Page faults since boot (races between CPUs may lose some).
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Page faults since boot.
pub fn count() -> u64 {
    FAULTS.load(Relaxed)
}

/// Handles a page fault at `address`: resolves it, or signals the program, or lets a copy routine
/// of the kernel fail. Anything else is a bug of the kernel, which panics.
pub fn page_fault(frame: &mut TrapFrame, address: u64, error: u64) {
    FAULTS.store(FAULTS.load(Relaxed).wrapping_add(1), Relaxed);
    let user = error & code::USER != 0;
    if !user && (address >= USER_TOP || uaccess::fixup(frame.rip).is_none()) {
        if frame.is_user() {
            // The processor's own access, to a table of descriptors, on behalf of a program's instruction.
            return fault_signal(frame, FaultKind::SegvMaperr, address, error);
        }
        panic!(
            "page fault in the kernel: address {address:#x}, rip {:#x}, code {error:#x}",
            frame.rip
        );
    }
    let access = match error & (code::WRITE | code::FETCH) {
        0 => Access::Read,
        code::WRITE => Access::Write,
        _ => Access::Execute,
    };
    let Err(reason) = resolve(address, access) else {
        return;
    };
    match uaccess::fixup(frame.rip) {
        Some(continuation) if !user => frame.rip = continuation,
        _ => fault_signal(frame, kind(reason), address, error),
    }
}

fn resolve(address: u64, access: Access) -> Result<(), FaultError> {
    if address >= USER_TOP {
        return Err(FaultError::Unmapped);
    }
    crate::process::with_current_space(|space| space.fault(address, access))
}

fn kind(reason: FaultError) -> FaultKind {
    match reason {
        FaultError::Unmapped => FaultKind::SegvMaperr,
        FaultError::Protection => FaultKind::SegvAccerr,
        FaultError::BeyondObject => FaultKind::BusAdrerr,
        FaultError::NoMemory => FaultKind::OutOfMemory,
    }
}
