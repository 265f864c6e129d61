//! The PVH start information (Xen `xen/include/public/arch-x86/hvm/start_info.h`).

use crate::mm::PhysAddr;
use crate::mm::phys::direct;

/// In [`StartInfo::magic`].
pub const MAGIC: u32 = 0x336e_c578;
/// [`MemoryRange::kind`] of RAM.
pub const RAM: u32 = 1;

/// `struct hvm_start_info`, version 1.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StartInfo {
    pub magic: u32,
    pub version: u32,
    pub flags: u32,
    pub module_count: u32,
    pub modules: u64,
    pub command_line: u64,
    pub rsdp: u64,
    pub memory_map: u64,
    pub memory_map_count: u32,
    pub reserved: u32,
}

/// `struct hvm_modlist_entry`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Module {
    pub address: u64,
    pub size: u64,
    pub command_line: u64,
    pub reserved: u64,
}

/// `struct hvm_memmap_table_entry`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MemoryRange {
    pub address: u64,
    pub size: u64,
    pub kind: u32,
    pub reserved: u32,
}

/// The direct map reaches this far at this point of the boot.
const MAPPED: u64 = 1 << 30;

/// The start information at `address`.
pub fn start_info(address: u32) -> StartInfo {
    let info: StartInfo = read(address as u64);
    assert!(
        info.magic == MAGIC && info.version >= 1,
        "not started by PVH: {info:x?}"
    );
    info
}

/// One of the boot loader's structures, which need not be aligned.
fn read<T: Copy>(address: u64) -> T {
    assert!(
        address < MAPPED,
        "the boot loader put {address:#x} out of reach"
    );
    // SAFETY: within the direct map; the PVH protocol promises the structure at this address.
    unsafe { direct(PhysAddr(address)).cast::<T>().read_unaligned() }
}

/// The entries of a table of the boot loader.
pub fn table<T: Copy>(address: u64, count: u32) -> impl Iterator<Item = T> {
    (0..count as u64).map(move |index| read(address + index * size_of::<T>() as u64))
}

/// Bytes of the boot loader, in place: they lie in memory that is never handed out, because
/// `init_memory` keeps the allocator off them.
pub fn bytes(address: u64, count: usize) -> &'static [u8] {
    if address == 0 {
        return &[];
    }
    assert!(
        address < MAPPED,
        "the boot loader put {address:#x} out of reach"
    );
    bytes_in_ram(address, count)
}

/// As [`bytes`], anywhere in RAM, once the direct map holds all of it.
pub fn bytes_in_ram(address: u64, count: usize) -> &'static [u8] {
    // SAFETY: within the direct map; the PVH protocol promises the bytes at this address.
    unsafe { core::slice::from_raw_parts(direct(PhysAddr(address)), count) }
}

/// A NUL-terminated text of the boot loader, at most `limit` bytes of it; what is not UTF-8 cuts it.
pub fn text(address: u64, limit: usize) -> &'static str {
    let bytes = bytes(address, limit);
    let length = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    let bytes = &bytes[..length];
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}
