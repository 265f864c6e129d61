//! UTCBs, read and written through the direct map.
//!
//! User space may change a UTCB at any time, so nothing here hands out a reference into one: values
//! are copied, and checked after the copy.

use core::ptr::{copy_nonoverlapping, read_volatile, write_volatile};

use ferrix_abi::ipc::{HandleItem, MapItem, UTCB_USER};
use ferrix_abi::signal::SignalSlot;

use super::Thread;
use crate::object::Core;

macro_rules! field {
    ($pointer:expr, $($field:tt)+) => { &raw mut (*$pointer).$($field)+ };
}

impl Thread {
    /// Identifies a thread that begins, and forgets what the UTCB's last user left.
    pub(super) fn prepare_utcb(&self, core: &Core, address: u64, tid: u32, pid: u32) {
        let utcb = self.utcb(core);
        // SAFETY: the page is present for as long as the thread lives; the accesses are volatile and
        // of plain integers.
        unsafe {
            write_volatile(field!(utcb, this), address);
            write_volatile(field!(utcb, tid), tid);
            write_volatile(field!(utcb, pid), pid);
            write_volatile(field!(utcb, robust_list), 0);
            write_volatile(field!(utcb, signal.pending), 0);
            write_volatile(field!(utcb, signal.fault_active), 0);
        }
    }

    /// Copies the part that belongs to the runtime from another thread's UTCB.
    pub(super) fn copy_user_part(&self, core: &Core, from: &Thread) {
        let (to, from) = (self.utcb(core), from.utcb(core));
        // SAFETY: two different pages that stay; any bytes are valid.
        unsafe {
            let (to, from) = (
                field!(to, user).cast::<u64>(),
                field!(from, user).cast::<u64>(),
            );
            copy_nonoverlapping(from, to, UTCB_USER / 8);
        }
    }

    /// The deadline for `Tag::TIMEOUT`.
    pub fn utcb_deadline(&self, core: &Core) -> u64 {
        // SAFETY: the page stays while the thread lives.
        unsafe { read_volatile(field!(self.utcb(core), deadline)) }
    }

    /// Where it says that its list of robust futexes is, or 0.
    pub fn robust_list(&self, core: &Core) -> u64 {
        // SAFETY: as above.
        unsafe { read_volatile(field!(self.utcb(core), robust_list)) }
    }

    /// The list is done with.
    pub fn forget_robust_list(&self, core: &Core) {
        // SAFETY: as above.
        unsafe { write_volatile(field!(self.utcb(core), robust_list), 0) }
    }

    /// Tells the personality that another process changed its limits.
    pub fn set_limits_changed(&self, core: &Core) {
        // SAFETY: as above.
        unsafe { write_volatile(field!(self.utcb(core), limits_changed), 1) }
    }

    /// Tells the personality whether a signal waits.
    pub fn set_signal_pending(&self, core: &Core, pending: u32) {
        // SAFETY: as above.
        unsafe { write_volatile(field!(self.utcb(core), signal.pending), pending) }
    }

    /// Fills the signal slot.
    pub fn write_slot(&self, core: &Core, slot: &SignalSlot) {
        // SAFETY: as above; a slot is integers only.
        unsafe { write_volatile(field!(self.utcb(core), signal), *slot) }
    }

    /// Whether the personality is handling a fault of its own.
    pub fn fault_active(&self, core: &Core) -> u32 {
        // SAFETY: as above.
        unsafe { read_volatile(field!(self.utcb(core), signal.fault_active)) }
    }

    /// A handle item of a message to send.
    pub fn handle_item(&self, core: &Core, index: usize) -> HandleItem {
        // SAFETY: as above; the index is checked by the array.
        unsafe { read_volatile(&raw const (*self.utcb(core)).handles[index]) }
    }

    /// Writes a handle item of a message received.
    pub fn set_handle_item(&self, core: &Core, index: usize, item: HandleItem) {
        // SAFETY: as above.
        unsafe { write_volatile(&raw mut (*self.utcb(core)).handles[index], item) }
    }

    /// A range of a message to send.
    pub fn map_item(&self, core: &Core, index: usize) -> MapItem {
        // SAFETY: as above.
        unsafe { read_volatile(&raw const (*self.utcb(core)).maps[index]) }
    }

    /// Writes a range of a message received.
    pub fn set_map_item(&self, core: &Core, index: usize, item: MapItem) {
        // SAFETY: as above.
        unsafe { write_volatile(&raw mut (*self.utcb(core)).maps[index], item) }
    }

    /// Copies LONG bytes from the sender's UTCB to this one's, in words.
    pub fn receive_bytes(&self, core: &Core, from: &Thread, bytes: usize) {
        let (to, from) = (self.utcb(core), from.utcb(core));
        if core::ptr::eq(to, from) {
            return;
        }
        // SAFETY: two different pages that stay; `bytes` is at most the buffers' size, a multiple
        // of the word. Bytes that change meanwhile arrive in either state.
        unsafe {
            let (to, from) = (
                field!(to, bytes).cast::<u64>(),
                field!(from, bytes).cast::<u64>(),
            );
            copy_nonoverlapping(from, to, bytes.div_ceil(8));
        }
    }
}
