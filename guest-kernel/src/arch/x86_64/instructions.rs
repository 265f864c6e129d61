//! Single instructions as functions.

use core::arch::asm;

/// Reads a model-specific register.
///
/// # Safety
/// The processor has this register.
#[inline]
pub unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the register exists, by the caller's promise; reading it changes nothing here.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    low as u64 | (high as u64) << 32
}

/// Writes a model-specific register.
///
/// # Safety
/// The processor has this register, and its new value keeps the kernel's assumptions.
#[inline]
pub unsafe fn wrmsr(register: u32, value: u64) {
    // SAFETY: by the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// Reads FS base.
///
/// # Safety
/// The processor executes the instruction (CR4.FSGSBASE, or the emulating KVM).
#[inline]
pub unsafe fn rdfsbase() -> u64 {
    let base;
    // SAFETY: by the caller's promise.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) }
    base
}

/// Sets FS base.
///
/// # Safety
/// As [`rdfsbase`].
#[inline]
pub unsafe fn wrfsbase(base: u64) {
    // SAFETY: by the caller's promise; the kernel does not use FS.
    unsafe { asm!("wrfsbase {}", in(reg) base, options(nomem, nostack, preserves_flags)) }
}

/// Writes a byte to an I/O port.
///
/// # Safety
/// Whatever device is there does nothing to memory that breaks the kernel.
#[inline]
pub unsafe fn out8(port: u16, value: u8) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) }
}

/// Writes 16 bits to an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn out16(port: u16, value: u16) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) }
}

/// Reads 16 bits from an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn in16(port: u16) -> u16 {
    let value;
    // SAFETY: by the caller's promise.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) }
    value
}

/// Writes 32 bits to an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn out32(port: u16, value: u32) {
    // SAFETY: by the caller's promise.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    }
}

/// Reads 32 bits from an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn in32(port: u16) -> u32 {
    let value;
    // SAFETY: by the caller's promise.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags))
    }
    value
}

/// Reads a byte from an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: by the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) }
    value
}

/// The time stamp counter.
#[inline]
pub fn rdtsc() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: every x86-64 has it, and the kernel may always read it. It clears the upper halves.
    unsafe {
        asm!("rdtsc", out("rax") low, out("rdx") high, options(nomem, nostack, preserves_flags));
    }
    low | high << 32
}

/// The address of the page fault being handled.
#[inline]
pub fn read_cr2() -> u64 {
    let value;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Control register 4.
#[inline]
pub fn read_cr4() -> u64 {
    let value;
    // SAFETY: reading CR4 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Sets control register 4.
///
/// # Safety
/// The processor has every feature set, and the kernel works under them.
#[inline]
pub unsafe fn write_cr4(value: u64) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Loads an interrupt descriptor table.
///
/// # Safety
/// `base` is a table of `limit + 1` bytes that is never freed, with valid gates only.
#[inline]
pub unsafe fn lidt(base: u64, limit: u16) {
    let register = TableRegister { limit, base };
    // SAFETY: by the caller's promise.
    unsafe { asm!("lidt [{}]", in(reg) &register, options(readonly, nostack, preserves_flags)) }
}

/// Loads a global descriptor table.
///
/// # Safety
/// As [`lidt`]; the selectors in use mean the same in the new table.
#[inline]
pub unsafe fn lgdt(base: u64, limit: u16) {
    let register = TableRegister { limit, base };
    // SAFETY: by the caller's promise.
    unsafe { asm!("lgdt [{}]", in(reg) &register, options(readonly, nostack, preserves_flags)) }
}

/// Loads the task register.
///
/// # Safety
/// `selector` names an available TSS in the GDT.
#[inline]
pub unsafe fn ltr(selector: u16) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("ltr {:x}", in(reg) selector, options(nostack, preserves_flags)) }
}

/// Loads the local descriptor table's register.
///
/// # Safety
/// `selector` is null, or names a local descriptor table in the GDT.
#[inline]
pub unsafe fn lldt(selector: u16) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("lldt {:x}", in(reg) selector, options(nostack, preserves_flags)) }
}

/// What LGDT and LIDT read.
#[repr(C, packed)]
struct TableRegister {
    limit: u16,
    base: u64,
}
