//! Single instructions with a safe face.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _rdtsc, CpuidResult};

/// A model-specific register that the checks may write: none of them is the compiler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msr(u32);

impl Msr {
    /// IA32_APIC_BASE.
    pub const APIC_BASE: Self = Self(0x1b);
    /// IA32_TSC_DEADLINE.
    pub const TSC_DEADLINE: Self = Self(0x6e0);
    /// IA32_TSC_AUX.
    pub const TSC_AUX: Self = Self(0xc000_0103);
    /// IA32_GS_BASE: holds the CPU's number here.
    pub const GS_BASE: Self = Self(0xc000_0101);
    /// IA32_FS_BASE.
    pub const FS_BASE: Self = Self(0xc000_0100);
    /// MSR_KVM_WALL_CLOCK_NEW.
    pub const KVM_WALL_CLOCK: Self = Self(0x4b56_4d00);
    /// MSR_KVM_SYSTEM_TIME_NEW.
    pub const KVM_SYSTEM_TIME: Self = Self(0x4b56_4d01);

    /// An x2APIC register by its xAPIC offset (SDM volume 3, table 11-6).
    pub const fn x2apic(offset: u32) -> Self {
        Self(0x800 + (offset >> 4))
    }
}

/// RDMSR.
pub fn read_msr(msr: Msr) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading changes no memory.
    unsafe {
        asm!("rdmsr", in("ecx") msr.0, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// WRMSR.
pub fn write_msr(msr: Msr, value: u64) {
    // SAFETY: the registers of `Msr` direct interrupts, timers and thread-local addresses that
    // compiled code does not use; clock registers take addresses in the arena.
    unsafe {
        asm!("wrmsr", in("ecx") msr.0, in("eax") value as u32, in("edx") (value >> 32) as u32);
    }
}

/// CPUID.
pub fn cpuid(leaf: u32, index: u32) -> CpuidResult {
    __cpuid_count(leaf, index)
}

/// RDTSC.
pub fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { _rdtsc() }
}

/// IN of a byte.
pub fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: no device here touches memory because of a port access.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack)) }
    value
}

/// OUT of a byte.
pub fn out8(port: u16, value: u8) {
    // SAFETY: as for `in8`.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack)) }
}

/// OUT of 32 bits.
pub fn out32(port: u16, value: u32) {
    // SAFETY: as for `in8`.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack)) }
}

/// STI.
pub fn interrupts_on() {
    // SAFETY: the interrupt table is loaded before the first check.
    unsafe { asm!("sti", options(nostack)) }
}

/// CLI.
pub fn interrupts_off() {
    // SAFETY: masking interrupts harms nobody.
    unsafe { asm!("cli", options(nostack)) }
}

/// STI and HLT, without a gap between them: sleeps until the next interrupt.
pub fn sleep() {
    // SAFETY: as for STI; a sleep has no effect on memory of its own.
    unsafe { asm!("sti", "hlt", options(nostack)) }
}

/// Sleeps for ever.
pub fn halt() -> ! {
    loop {
        interrupts_off();
        // SAFETY: nothing follows.
        unsafe { asm!("hlt", options(nostack)) }
    }
}

/// Task priority by CR8.
pub fn cr8() -> u64 {
    let value;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr8", out(reg) value, options(nomem, nostack)) }
    value
}

/// Sets the task priority by CR8.
pub fn set_cr8(class: u64) {
    // SAFETY: only masks interrupts.
    unsafe { asm!("mov cr8, {}", in(reg) class, options(nostack)) }
}

/// CR4.
pub fn cr4() -> u64 {
    let value;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack)) }
    value
}

/// An interrupt table without entries, and a fault: a triple fault (SDM volume 3, 6.15).
pub fn triple_fault() -> ! {
    let empty = [0u16; 5];
    // SAFETY: the machine ends.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &empty, options(noreturn)) }
}

/// Loads a register of the x87 from a device: KVM must emulate an access to a device, and its emulator has
/// no FLD.
pub fn load_x87(address: u64) {
    // SAFETY: a load from a device window.
    unsafe { asm!("fninit", "fld qword ptr [{}]", in(reg) address) }
}
