//! Physical memory, which is mapped where it is.
//!
//! RAM that this program does not occupy, its arena, and device registers are read and written
//! here, one access at a time. Rust objects are out of reach of writes.

use super::start::{self, MAPPED_GIB};

/// What one access can move.
pub trait Word: Copy {}

impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for u64 {}

/// One past the last address that is mapped.
pub const END: u64 = MAPPED_GIB << 30;

fn check<T>(address: u64) {
    let size = size_of::<T>() as u64;
    assert!(
        address != 0 && address.is_multiple_of(size) && address < END,
        "address {address:#x}"
    );
}

/// Reads physical memory or a register.
pub fn read<T: Word>(address: u64) -> T {
    check::<T>(address);
    // SAFETY: mapped, aligned, and any bits are a word; volatile, so that devices may change it.
    unsafe { (address as *const T).read_volatile() }
}

/// Writes RAM outside of this program's own objects, or a register.
pub fn write<T: Word>(address: u64, value: T) {
    check::<T>(address);
    let own = start::image().contains(&address) && !start::arena().contains(&address);
    assert!(!own, "{address:#x} belongs to this program");
    // SAFETY: mapped, aligned, and no Rust object lies there.
    unsafe { (address as *mut T).write_volatile(value) }
}

/// Orders earlier accesses before later ones, as other CPUs and devices see them.
pub fn fence() {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Text in memory up to a zero byte, at most `most` bytes; none if it is not ASCII or not ended.
pub fn text(address: u64, most: usize) -> Option<&'static str> {
    if address == 0 || address + most as u64 > END {
        return None;
    }
    let length = (0..most).find(|&at| read::<u8>(address + at as u64) == 0)?;
    bytes(address, length)
        .and_then(|bytes| core::str::from_utf8(bytes).ok())
        .filter(|text| text.is_ascii())
}

/// Bytes of RAM that nobody changes while this program runs: boot information, tables, modules.
pub fn bytes(address: u64, length: usize) -> Option<&'static [u8]> {
    let end = address.checked_add(length as u64)?;
    let arena = start::arena();
    if address == 0 || end > END || (address < arena.end && end > arena.start) {
        return None;
    }
    // SAFETY: mapped, not the arena; the loader's data stay as they are.
    Some(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
}
