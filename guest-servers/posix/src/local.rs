//! What belongs to one thread: the personality's part of its UTCB, found by GS, copied by `fork`.

use ferrix_abi::ipc::{UTCB_USER, Utcb};
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::signal::{SignalInfo, SignalSet};
use ferrix_posix::actions::bit;
use ferrix_posix::signal_frame::AltStack;
use ferrix_rt::sys::utcb::utcb;

/// The thread's area.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Local {
    /// End of the thread's stack in the personality; its frame is right below.
    pub stack_top: u64,
    /// The program's RSP while the entry code has no stack yet.
    pub scratch: u64,
    /// Where the exit code jumps.
    pub exit_rip: u64,
    /// Word to clear and wake when the thread ends; 0: none.
    pub clear_tid: u64,
    /// The thread's signal mask, as the kernel has it.
    pub mask: SignalSet,
    /// The mask to go back to after the handlers that a temporary one (`ppoll`) let through, with SIGKILL's bit,
    /// which no mask has; 0: none.
    pub restore_mask: SignalSet,
    /// `sigaltstack`.
    pub alternate: AltStack,
    /// Index of the thread's stack among those for threads, plus 1; 0: the first thread's.
    pub stack: u64,
    /// `prctl(PR_SET_NAME)`.
    pub name: [u8; 16],
}

const _: () = assert!(size_of::<Local>() <= UTCB_USER && align_of::<Local>() <= 8);

fn area() -> *mut Local {
    // SAFETY: only the address is taken.
    unsafe { (&raw mut (*utcb()).user).cast() }
}

/// The thread's area, copied.
pub fn get() -> Local {
    // SAFETY: the UTCB is always present and only this thread uses it; the area is aligned (its offset is a multiple
    // of 8) and any bytes are a valid `Local`.
    unsafe { area().read() }
}

/// Changes the thread's area.
pub fn update<R>(change: impl FnOnce(&mut Local) -> R) -> R {
    // SAFETY: as in `get`; the reference does not outlive the closure, which has no other way to the area but
    // through this module, whose other functions are not called inside such closures.
    change(unsafe { &mut *area() })
}

/// Notes the mask to go back to after the next handler.
pub fn defer_mask(mask: SignalSet) {
    update(|local| local.restore_mask = mask | bit(SIGKILL));
}

/// Takes the mask to go back to, if one was noted.
pub fn take_deferred_mask() -> Option<SignalSet> {
    let noted = update(|local| core::mem::take(&mut local.restore_mask));
    (noted != 0).then_some(noted & !bit(SIGKILL))
}

/// Whether a signal waits to be delivered.
pub fn signal_pending() -> bool {
    let slot = utcb();
    // SAFETY: as in `get`; volatile because the kernel writes it at any time.
    unsafe { (&raw const (*slot).signal.pending).read_volatile() != 0 }
}

/// The signal that interrupted the program, and the mask it had.
pub fn taken_signal() -> (SignalInfo, SignalSet) {
    let slot: *mut Utcb = utcb();
    // SAFETY: as in `get`; the kernel wrote the slot before it continued the thread.
    let slot = unsafe { (&raw const (*slot).signal).read_volatile() };
    (slot.info, slot.mask)
}

/// Where the personality faulted.
pub fn fault_address() -> u64 {
    let slot = utcb();
    // SAFETY: as in `taken_signal`.
    unsafe { (&raw const (*slot).signal.rip).read_volatile() }
}
