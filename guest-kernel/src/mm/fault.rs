//! The page-fault handler: from the trap to the address space, and back or to a signal.

use core::ops::Range;

use ferrix_abi::error::Error;
use ferrix_abi::layout::{PAGE_SIZE, USER_TOP};
use ferrix_abi::vm::PageAccess;

use super::oom::{self, Relief};
#[cfg(doc)]
use super::space::AddressSpace;
use super::space::{Access, FaultError};
use super::uaccess;
use crate::arch::TrapFrame;
use crate::arch::trace_point::count_fault;
use crate::exception::{FaultKind, fault_signal};
use crate::ipc::{PageAnswer, wait_for_page};
use crate::process::with_current_space;
use crate::stats::Counter;
use crate::thread::is_killed;

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
pub(crate) static FAULTS: Counter = Counter::new();

/// Page faults since boot.
pub fn count() -> u64 {
    FAULTS.get()
}

/// Resolves a program's page fault at `address` if it is of the most frequent kinds (see [`AddressSpace::touch_again`]).
#[inline(always)]
pub fn touch_again(address: u64, error: u64) -> bool {
    count_fault(address, error);
    error & code::USER != 0
        && with_current_space(|space| space.touch_again(address, access(error))).is_some()
}

#[inline]
fn access(error: u64) -> Access {
    if error & code::WRITE != 0 {
        Access::Write
    } else if error & code::FETCH != 0 {
        Access::Execute
    } else {
        Access::Read
    }
}

/// Handles a page fault at `address`: resolves it, or signals the program, or lets a copy routine
/// of the kernel fail. Anything else is a bug of the kernel, which panics.
#[inline(never)]
pub fn page_fault(frame: &mut TrapFrame, address: u64, error: u64) {
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
    let access = access(error);
    let Err(reason) = resolve(address, access) else {
        return;
    };
    let Err(reason) = persist(frame, reason, address, access) else {
        return;
    };
    match uaccess::fixup(frame.rip) {
        Some(continuation) if !user => {
            // What the copy routine then returns.
            frame.rax = uaccess::outcome(reason.into());
            frame.rip = continuation;
        }
        _ => fault_signal(frame, kind(reason), address, error),
    }
}

fn resolve(address: u64, access: Access) -> Result<(), FaultError> {
    if address >= USER_TOP {
        return Err(FaultError::Unmapped);
    }
    with_current_space(|space| space.fault(address, access))
}

/// Waits for what is missing if that may come, and tries again.
#[cold]
fn persist(
    frame: &TrapFrame,
    first: FaultError,
    address: u64,
    access: Access,
) -> Result<(), FaultError> {
    let may_come = matches!(first, FaultError::Absent | FaultError::NoMemory);
    if !may_come || uaccess::is_peek(frame.rip) {
        return Err(first);
    }
    wait_and_retry(first, address, access)
}

fn wait_and_retry(first: FaultError, address: u64, access: Access) -> Result<(), FaultError> {
    let mut reason = first;
    loop {
        match reason {
            FaultError::Absent => wait_for_pager(address, access)?,
            FaultError::NoMemory if oom::wait_for_memory() == Relief::TryAgain => {}
            _ => return Err(reason),
        }
        match resolve(address, access) {
            Ok(()) => return Ok(()),
            Err(next) => reason = next,
        }
    }
}

/// Makes the pages of a range of the running process present; waits for pagers. `NoMemory` when there is
/// no page left or the process may have no more, `Fault` where a page cannot be had.
pub fn touch(range: Range<u64>) -> Result<(), Error> {
    for address in range.step_by(PAGE_SIZE as usize) {
        loop {
            if is_killed() {
                return Err(Error::Interrupted);
            }
            match with_current_space(|space| space.touch(address)) {
                Ok(()) => break,
                Err(FaultError::Absent) => wait_for_pager(address, Access::Read)?,
                Err(FaultError::NoMemory) if oom::wait_for_memory() == Relief::TryAgain => {}
                Err(reason) => return Err(reason.into()),
            }
        }
    }
    Ok(())
}

fn wait_for_pager(address: u64, access: Access) -> Result<(), FaultError> {
    let absent = with_current_space(|space| space.absent(address))?;
    let access = match access {
        Access::Read => PageAccess::Read,
        Access::Write => PageAccess::Write,
        Access::Execute => PageAccess::Execute,
    };
    match absent.map(|page| wait_for_page(&page, access)) {
        None | Some(PageAnswer::Retry) => Ok(()),
        Some(PageAnswer::Failed) => Err(FaultError::BeyondObject),
    }
}

fn kind(reason: FaultError) -> FaultKind {
    match reason {
        FaultError::Unmapped => FaultKind::SegvMaperr,
        FaultError::Protection => FaultKind::SegvAccerr,
        FaultError::BeyondObject | FaultError::Absent => FaultKind::BusAdrerr,
        FaultError::NoMemory | FaultError::Limit | FaultError::Shared => FaultKind::OutOfMemory,
    }
}
