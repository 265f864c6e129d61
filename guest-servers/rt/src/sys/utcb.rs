//! The thread's user thread control block.

use core::arch::asm;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{HANDLES_MAX, HandleItem, LONG_MAX, Utcb};

/// Address of this thread's UTCB.
#[inline(always)]
pub fn utcb() -> *mut Utcb {
    let address: *mut Utcb;
    // SAFETY: GS base is the UTCB, whose first word is its own address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) address, options(nostack, readonly, preserves_flags))
    };
    address
}

/// This thread's id.
pub fn tid() -> u32 {
    // SAFETY: the UTCB is always present, and only this thread uses it.
    unsafe { (*utcb()).tid }
}

/// This process's id.
pub fn pid() -> u32 {
    // SAFETY: as in `tid`.
    unsafe { (*utcb()).pid }
}

/// Whether another process has changed this one's limits since the last time this was asked.
pub fn take_limits_changed() -> bool {
    // SAFETY: the UTCB is present; the kernel may write the word meanwhile, hence volatile.
    unsafe {
        let word = &raw mut (*utcb()).limits_changed;
        let changed = word.read_volatile() != 0;
        if changed {
            word.write_volatile(0);
        }
        changed
    }
}

/// The head of this thread's list of robust futexes, or 0.
pub fn robust_list() -> u64 {
    // SAFETY: the UTCB is present and this thread's own.
    unsafe { (*utcb()).robust_list }
}

/// Names it to the kernel, which walks it when the thread ends.
pub fn set_robust_list(head: u64) {
    // SAFETY: as above; the kernel checks what it reads through the address.
    unsafe { (&raw mut (*utcb()).robust_list).write_volatile(head) }
}

/// Puts bytes (at most [`LONG_MAX`]; more are cut) into the message; returns how many.
#[inline]
pub fn put_bytes(bytes: &[u8]) -> usize {
    let length = bytes.len().min(LONG_MAX);
    // SAFETY: the UTCB is present and this thread's own; `length` fits its buffer; user memory and
    // the UTCB do not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut (*utcb()).bytes).cast(), length)
    };
    length
}

/// Takes the received bytes out; returns how many fitted.
#[inline]
pub fn get_bytes(into: &mut [u8], received: usize) -> usize {
    let length = received.min(into.len()).min(LONG_MAX);
    // SAFETY: as in `put_bytes`, the other way.
    unsafe {
        core::ptr::copy_nonoverlapping(
            (&raw const (*utcb()).bytes).cast(),
            into.as_mut_ptr(),
            length,
        )
    };
    length
}

/// A received message's bytes, copied out of the UTCB (which the next call overwrites).
pub fn received_bytes(received: usize) -> ([u8; LONG_MAX], usize) {
    let mut buffer = [0; LONG_MAX];
    let length = get_bytes(&mut buffer, received);
    (buffer, length)
}

/// Puts a handle into the message at `index` (below 4): a copy with `rights`.
pub fn put_handle(index: usize, handle: Handle, rights: Rights) {
    set_item(
        index,
        HandleItem {
            handle: handle.0,
            rights: rights.bits(),
        },
    );
}

/// Puts a handle into the message at `index` (below 4): it leaves this process.
pub fn move_handle(index: usize, handle: Handle, rights: Rights) {
    set_item(
        index,
        HandleItem {
            handle: handle.0,
            rights: rights.bits() | HandleItem::MOVE,
        },
    );
}

fn set_item(index: usize, item: HandleItem) {
    // SAFETY: the UTCB is present and this thread's own; the index is bounded.
    unsafe { (*utcb()).handles[index % HANDLES_MAX] = item };
}

/// The received handle at `index` (below 4).
pub fn received_handle(index: usize) -> Handle {
    // SAFETY: as in `set_item`.
    Handle(unsafe { (*utcb()).handles[index % HANDLES_MAX].handle })
}

/// Sets the deadline that [`Tag::TIMEOUT`](ferrix_abi::ipc::Tag::TIMEOUT) refers to.
pub fn set_deadline(monotonic_ns: u64) {
    // SAFETY: as in `set_item`.
    unsafe { (*utcb()).deadline = monotonic_ns };
}

/// The handle item at `index` (below 4) as it stands: handle and rights word.
pub fn item(index: usize) -> (Handle, u32) {
    // SAFETY: as in `set_item`.
    let item = unsafe { (*utcb()).handles[index % HANDLES_MAX] };
    (Handle(item.handle), item.rights)
}
