//! The user half of the address space.

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// Lowest address a process may map: null pointers and small offsets from them always fault.
pub const USER_BASE: u64 = 0x1_0000;
/// One past the highest user address.
pub const USER_TOP: u64 = 0x7fff_ffff_f000;

/// Lowest address that the kernel picks when a program's mapping names none.
pub const MMAP_BASE: u64 = 0x1000_0000_0000;
/// One past the highest address that the kernel picks for a program's mapping.
pub const MMAP_TOP: u64 = 0x7fe0_0000_0000;
/// Where the main thread's stack of a Linux program ends (its highest address).
pub const STACK_TOP: u64 = 0x7fef_ffff_f000;

/// The system part: personality, its memory, windows, UTCBs. `exec` unmaps all that lies below.
pub const SYSTEM_BASE: u64 = 0x7ff0_0000_0000;
/// Where the personality's image is linked.
pub const POSIX_BASE: u64 = 0x7ff0_0000_0000;
/// Lowest address that the kernel picks for [`MapFlags::SYSTEM`](crate::vm::MapFlags::SYSTEM).
pub const SYSTEM_MMAP_BASE: u64 = 0x7ff1_0000_0000;
/// One past the highest such address.
pub const SYSTEM_MMAP_TOP: u64 = 0x7ffe_0000_0000;
/// The UTCB of a process's thread slot n is at `UTCB_BASE + n * PAGE_SIZE`.
pub const UTCB_BASE: u64 = 0x7fff_0000_0000;
/// Most threads of one process.
pub const MAX_THREADS: u64 = 4096;
/// The kernel information page ([`KernelInfo`](crate::info::KernelInfo)), read-only, in every process.
pub const KERNEL_INFO: u64 = 0x7fff_f000_0000;
/// The boot information ([`BootInfo`](crate::info::BootInfo)), read-only, in init only.
pub const BOOT_INFO: u64 = 0x7fff_f000_1000;

/// Where servers are linked.
pub const SERVER_BASE: u64 = 0x40_0000;
