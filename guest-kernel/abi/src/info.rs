//! What the kernel shows for reading: time parameters, boot information, statistics.

use crate::layout::PAGE_SIZE;

/// The page at [`KERNEL_INFO`](crate::layout::KERNEL_INFO): the time without a system call.
///
/// Monotonic nanoseconds = `(((rdtsc - tsc_base) as u128 * tsc_multiplier) >> 32) as u64`;
/// wall clock = monotonic + `realtime_offset`. `sequence` is odd while the kernel writes
/// (a sequence lock; only setting the clock writes).
#[derive(Debug)]
#[repr(C)]
pub struct KernelInfo {
    /// Sequence lock.
    pub sequence: u32,
    /// CPUs that run.
    pub cpus: u32,
    /// TSC at monotonic time 0.
    pub tsc_base: u64,
    /// Nanoseconds per TSC cycle, as a 32.32 fixed-point number.
    pub tsc_multiplier: u64,
    /// Wall clock minus monotonic clock, in nanoseconds since 1970.
    pub realtime_offset: u64,
    /// RAM, in bytes.
    pub memory_bytes: u64,
    /// TSC frequency in kHz.
    pub tsc_khz: u64,
    /// Bytes of `command_line` in use.
    pub command_line_length: u64,
    /// The kernel's command line.
    pub command_line: [u8; COMMAND_LINE_MAX],
    /// [`CpuFeatures`](crate::cpu::CpuFeatures) in use.
    pub cpu_features: u32,
    /// Zero.
    pub reserved: u32,
}

/// Longest kernel command line that is kept.
pub const COMMAND_LINE_MAX: usize = 2048;

/// A boot module as init sees it: handle `handle` is a memory object of the module's bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Module {
    /// Object handle in init's table (`READ`, `DUP`, `TRANSFER`; and `WRITE`: pages are its own).
    pub handle: u32,
    /// Bytes of `arguments` in use.
    pub arguments_length: u32,
    /// Size in bytes.
    pub size: u64,
    /// Its command line; the first word is its name.
    pub arguments: [u8; 112],
}

/// Most boot modules.
pub const MODULES_MAX: usize = 16;

/// A virtio-mmio device announced by ACPI or the command line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct VirtioDevice {
    /// Physical address of its registers.
    pub base: u64,
    /// Bytes of its window.
    pub size: u32,
    /// Its global system interrupt.
    pub gsi: u32,
}

/// Most virtio devices.
pub const VIRTIO_MAX: usize = 32;

/// PCI segment 0, as ACPI announces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PciHost {
    /// Physical address of the configuration space of bus 0 (1 MiB a bus, 4 KiB a function), whether there
    /// is a bus 0 or not; 0: there is no PCI.
    pub ecam: u64,
    /// First bus.
    pub first_bus: u8,
    /// Last bus that there may be.
    pub last_bus: u8,
    /// Zero.
    pub reserved: [u8; 6],
    /// Physical address of the largest window for the memory of devices below 4 GiB, if ACPI tells one:
    /// firmware may have assigned parts of it.
    pub window: u64,
    /// Its bytes; 0: none is told.
    pub window_bytes: u64,
}

/// The page at [`BOOT_INFO`](crate::layout::BOOT_INFO), in init only.
#[derive(Debug)]
#[repr(C)]
pub struct BootInfo {
    /// Handle of the resource with every right.
    pub resource: u32,
    /// Modules in use.
    pub module_count: u32,
    /// Virtio devices in use.
    pub virtio_count: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// The modules after the first (which is init itself).
    pub modules: [Module; MODULES_MAX],
    /// The devices, in the order announced.
    pub virtio: [VirtioDevice; VIRTIO_MAX],
    /// PCI.
    pub pci: PciHost,
}

const _: () = assert!(size_of::<KernelInfo>() <= PAGE_SIZE as usize);
const _: () = assert!(size_of::<BootInfo>() <= PAGE_SIZE as usize);

/// Kernel-wide counters (`SystemStats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SystemStats {
    /// Pages of RAM that the kernel manages.
    pub total_pages: u64,
    /// Free pages.
    pub free_pages: u64,
    /// Pages in the kernel's slabs and tables.
    pub kernel_pages: u64,
    /// Pages in page tables.
    pub table_pages: u64,
    /// Live processes (zombies included).
    pub processes: u64,
    /// Live threads.
    pub threads: u64,
    /// Handles in all tables.
    pub handles: u64,
    /// Live memory objects.
    pub objects: u64,
    /// Live ports.
    pub ports: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Context switches since boot.
    pub switches: u64,
    /// Interrupts since boot.
    pub interrupts: u64,
    /// Page faults since boot.
    pub faults: u64,
    /// System calls since boot, where the kernel counts them; otherwise 0.
    pub calls: u64,
    /// Processes created since boot.
    pub forks: u64,
    /// Idle time summed over CPUs, in nanoseconds.
    pub idle_ns: u64,
    /// Times that one CPU asked another to forget translations, since boot.
    pub shoot_downs: u64,
    /// Threads that ran or were ready, averaged over 1, 5 and 15 minutes; in units of 1 / 2048.
    pub load: [u64; 3],
}

/// What a CPU has done since boot (`CpuInfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CpuInfo {
    /// Time of threads with a nice value of 0 or less in user mode and short system calls, in nanoseconds.
    pub user_ns: u64,
    /// Time of others in these.
    pub nice_ns: u64,
    /// Time in long system calls and faults.
    pub system_ns: u64,
    /// Time without a thread to run.
    pub idle_ns: u64,
    /// Context switches.
    pub switches: u64,
    /// Threads that run or are ready there.
    pub runnable: u64,
}

/// One class of the kernel's slab allocator (`SlabInfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SlabInfo {
    /// Bytes of an object.
    pub size: u64,
    /// Objects that a slab has.
    pub per_slab: u64,
    /// Pages of a slab.
    pub pages_per_slab: u64,
    /// Objects in use: neither free in a slab nor in a CPU's magazine.
    pub active: u64,
    /// Objects free in the CPUs' magazines.
    pub cached: u64,
    /// Objects that a CPU's magazine holds.
    pub magazine: u64,
    /// Slabs.
    pub slabs: u64,
    /// Slabs of which an object is in use or in a magazine.
    pub active_slabs: u64,
}
