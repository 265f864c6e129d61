//! The machine: what the monitor presents and the kernel drives.
//!
//! The contract between `vmm` and `guest-kernel`, without logic. It is a superset of what
//! Firecracker and QEMU's `microvm` present, so the kernel treats every item here that is not in
//! those machines (the exit port, the frequency leaf) as optional and probes for it.

#![no_std]
#![deny(unsafe_code)]

pub mod debug;
pub mod trace;
pub mod uart;

/// Guest-physical memory map.
pub mod memory {
    /// Where RAM stops below 4 GiB; what does not fit continues at [`HIGH_RAM_BASE`].
    pub const MMIO_HOLE_BASE: u64 = 0xc000_0000;
    /// Where RAM continues above the hole.
    pub const HIGH_RAM_BASE: u64 = 0x1_0000_0000;
    /// Start of conventional memory that is reserved for firmware-like tables (1 KiB EBDA on).
    pub const TABLES_BASE: u64 = 0x9_fc00;
    /// The ACPI RSDP; also named in the PVH start info (`rsdp_paddr`).
    pub const ACPI_BASE: u64 = 0xe_0000;
    /// PVH start info, memory map, module list and command lines live from here.
    pub const PVH_INFO_BASE: u64 = 0x6000;
    /// The smallest RAM size, in bytes, that the kernel and its servers start in.
    pub const MIN_RAM: u64 = 32 << 20;
    /// Where the kernel is loaded (physical); the modules follow on the next 2 MiB boundary.
    pub const KERNEL_BASE: u64 = 0x10_0000;
}

/// The virtio-mmio (version 2) device windows.
pub mod virtio_mmio {
    /// Guest-physical address of device 0.
    pub const BASE: u64 = 0xd000_0000;
    /// Bytes from one device to the next, and the size of one window.
    pub const STRIDE: u64 = 0x1000;
    /// Global system interrupt of device 0; device n uses `FIRST_GSI + n`.
    pub const FIRST_GSI: u32 = 5;
    /// Most devices that fit the IOAPIC's lines 5 to 23.
    pub const MAX_DEVICES: usize = 19;
}

/// Fixed interrupt lines and interrupt-controller addresses.
///
/// The UART's and the virtio devices' lines are **edge-triggered, active high**: the monitor pulses
/// them (an irqfd without resampling), and a pulse that meets a masked I/O APIC entry is lost. A
/// kernel programs them as edge and leaves them unmasked while their driver works; a driver
/// acknowledges a device's interrupt status *before* it looks at the rings. (QEMU holds the line
/// until the status is acknowledged: the same order is right there too.)
pub mod irq {
    /// The 16550 UART.
    pub const UART_GSI: u32 = 4;
    /// Physical base of the I/O APIC.
    pub const IOAPIC_BASE: u64 = 0xfec0_0000;
    /// Physical base of the local APICs.
    pub const LAPIC_BASE: u64 = 0xfee0_0000;
    /// Lines of the I/O APIC.
    pub const IOAPIC_LINES: u32 = 24;
}

/// The virtio-console device.
///
/// Beyond the specification: a receive buffer that comes back with length 0 says that there will be no
/// more input, because the monitor's standard input, no terminal, has ended. Drivers that do not know
/// of it take it for nothing.
///
/// The UART says the same by its carrier: DCD, set otherwise, is clear from then on.
pub mod console {}

/// I/O ports.
pub mod port {
    /// First port of the 16550 UART (kernel log, panic, Linux console).
    pub const UART: u16 = 0x3f8;
    /// A 32-bit write of N ends the machine; the monitor exits with status `N & 0xff`.
    ///
    /// A guest finds out whether it has this port from CPUID leaf
    /// [`cpuid::TIMING`](super::cpuid::TIMING).
    pub const EXIT: u16 = 0xf4;
    /// An 8-bit write of a [`milestone`](super::milestone) is noted with its time for `--stats`.
    ///
    /// Exists where the exit port exists.
    pub const MILESTONE: u16 = 0xf0;
    /// A 32-bit write shows a buffer of the [`trace`](super::trace) to the monitor.
    ///
    /// Exists where [`cpuid::FERRIX_TRACE`](super::cpuid::FERRIX_TRACE) says so.
    pub const TRACE: u16 = 0xec;
    /// The i8042 command port; writing [`I8042_RESET`] resets the machine (Firecracker, PC).
    pub const I8042_COMMAND: u16 = 0x64;
    /// Pulse the reset line.
    pub const I8042_RESET: u8 = 0xfe;
}

/// CPUID leaves in the hypervisor range.
pub mod cpuid {
    /// The KVM signature leaf (`KVMKVMKVM\0\0\0`), EAX = highest leaf.
    pub const SIGNATURE: u32 = 0x4000_0000;
    /// KVM's features (EAX: bit 3 `CLOCKSOURCE2`).
    pub const FEATURES: u32 = 0x4000_0001;
    /// EAX = TSC frequency in kHz, EBX = APIC timer (bus) frequency in kHz.
    ///
    /// ECX = [`FERRIX_MAGIC`] on Ferrix's own monitor only, and EDX then holds the
    /// [`FERRIX_EXIT_PORT`] and [`FERRIX_TRACE`] bits.
    pub const TIMING: u32 = 0x4000_0010;
    /// The feature bits that the monitor set: EAX = leaf 1 ECX, EBX = leaf 7 EBX, ECX = leaf 7 ECX,
    /// EDX = leaf 0x8000_0001 ECX. On Ferrix's own monitor only.
    ///
    /// A KVM that emulates kernels shows its host's bits in those leaves instead, whatever the monitor
    /// sets: only what both name works in a kernel.
    pub const OFFERED: u32 = 0x4000_0011;
    /// In ECX of [`TIMING`]: this is Ferrix's monitor (`"FRRX"`).
    pub const FERRIX_MAGIC: u32 = 0x5852_5246;
    /// In EDX of [`TIMING`]: the exit port exists.
    pub const FERRIX_EXIT_PORT: u32 = 1 << 0;
    /// In EDX of [`TIMING`]: the monitor asks for a [`trace`](super::trace).
    pub const FERRIX_TRACE: u32 = 1 << 1;
}

/// Statuses with which the guest ends itself through [`port::EXIT`].
pub mod exit {
    /// The kernel panicked; its message is on the UART.
    ///
    /// Outside the range of a program's own status and of `128 + signal`; the monitor
    /// recognises it only together with [`PANIC_FLAG`].
    pub const PANIC: u32 = 0xfd;
    /// `init` could not start the system: the guest's log says why.
    pub const BOOT_FAILED: u32 = 71;
    /// Set in the 32-bit value so that a kernel panic is told from a program's status.
    pub const PANIC_FLAG: u32 = 0x8000_0000;
}

/// Boot milestones that the guest reports through [`port::MILESTONE`] for `vmm --stats`.
pub mod milestone {
    /// The kernel's first Rust statement.
    pub const KERNEL_ENTRY: u8 = 1;
    /// All CPUs run, the first user process is about to start.
    pub const KERNEL_READY: u8 = 2;
    /// `init` has started every server of its manifest.
    pub const SERVERS_READY: u8 = 3;
    /// The first program of the image was executed.
    pub const FIRST_EXEC: u8 = 4;
    /// A program reads the console for the first time: the prompt stands.
    pub const PROMPT: u8 = 5;
}

/// Keys of the kernel's command line that the monitor itself writes.
///
/// The command line is a list of words separated by single spaces; a word is `key=value` or a flag.
pub mod cmdline {
    /// `command=VALUE`: what to run instead of a shell, with the machine's exit status as its own.
    ///
    /// VALUE is percent-encoded so that it is one word: every byte but `A-Z a-z 0-9 _ . / = , : -`
    /// is written as `%XX` (two upper-case hexadecimal digits).
    pub const COMMAND: &str = "command";
    /// `virtio_mmio.device=SIZE@BASE:GSI`, once per device window in order (Linux's form), e.g.
    /// `virtio_mmio.device=4K@0xd0000000:5`.
    ///
    /// The monitor's order is: disks, console, entropy source.
    pub const VIRTIO_MMIO_DEVICE: &str = "virtio_mmio.device";
    /// `exit_port=PORT`: a 32-bit write to this I/O port ends the machine, on machines that do not
    /// say so by CPUID.
    ///
    /// For QEMU's `-device isa-debug-exit,iobase=0xf4,iosize=4`, which ends QEMU with status
    /// `(N << 1 | 1) & 0xff` for a write of N.
    pub const EXIT_PORT: &str = "exit_port";
    /// `console=NAME`: what the guest's terminal is on; the last one counts, and what follows a comma in
    /// it does not.
    ///
    /// [`SERIAL_CONSOLES`]: the UART, to which the monitor then connects its standard input and output,
    /// and there is no virtio-console. [`VIRTIO_CONSOLE`]: virtio-console. Anything else: virtio-console
    /// where there is one, else the UART.
    pub const CONSOLE: &str = "console";
    /// Names of the UART.
    pub const SERIAL_CONSOLES: [&str; 2] = ["ttyS0", "serial"];
    /// Name of virtio-console.
    pub const VIRTIO_CONSOLE: &str = "hvc0";

    /// Whether `byte` stands for itself in a percent-encoded value.
    pub const fn is_plain(byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b'/' | b'=' | b',' | b':' | b'-')
    }
}
