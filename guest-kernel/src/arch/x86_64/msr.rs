//! Numbers of the model-specific registers in use (Intel SDM volume 4, KVM's `msr.rst`).

/// Local APIC base; bits 11 (enable) and 10 (x2APIC).
pub const APIC_BASE: u32 = 0x1b;
/// What the machine check banks offer; bits 7:0: how many there are.
pub const MCG_CAP: u32 = 0x179;
/// Whether a machine check is being handled, and whether the program can go on after it.
pub const MCG_STATUS: u32 = 0x17a;
/// Status of bank 0. Bank n has its control at `MC0_STATUS + 4 * n - 1`, address and extra information at + 1, + 2.
pub const MC0_STATUS: u32 = 0x401;
/// TSC deadline of the APIC timer.
pub const TSC_DEADLINE: u32 = 0x6e0;
/// x2APIC register n (its xAPIC offset / 16) is MSR `X2APIC + n`.
pub const X2APIC: u32 = 0x800;
/// Extended features.
pub const EFER: u32 = 0xc000_0080;
/// Selectors of SYSCALL and SYSRET.
pub const STAR: u32 = 0xc000_0081;
/// Where SYSCALL goes.
pub const LSTAR: u32 = 0xc000_0082;
/// The flags that SYSCALL clears.
pub const FMASK: u32 = 0xc000_0084;
/// FS base.
pub const FS_BASE: u32 = 0xc000_0100;
/// GS base.
pub const GS_BASE: u32 = 0xc000_0101;
/// What SWAPGS swaps GS base with.
pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
/// Address of KVM's wall clock record.
pub const KVM_WALL_CLOCK_NEW: u32 = 0x4b56_4d00;
/// Address of KVM's system time record (bit 0: enable).
pub const KVM_SYSTEM_TIME_NEW: u32 = 0x4b56_4d01;
