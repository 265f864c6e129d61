//! The I/O APIC (Intel 82093AA data sheet).

use ferrix_machine::irq::IOAPIC_BASE;

use crate::arch::phys;

const SELECT: u64 = IOAPIC_BASE;
const WINDOW: u64 = IOAPIC_BASE + 0x10;
/// Identification.
pub const ID: u32 = 0;
/// Version, and the number of the last line in bits 16 to 23.
pub const VERSION: u32 = 1;
const TABLE: u32 = 0x10;

/// Entry: no interrupts.
pub const MASKED: u64 = 1 << 16;
/// Entry: the line's level counts, not its rise.
pub const LEVEL: u64 = 1 << 15;
/// Entry: a level interrupt was accepted and not yet ended.
pub const REMOTE_IRR: u64 = 1 << 14;

/// Reads a register.
pub fn read(register: u32) -> u32 {
    phys::write(SELECT, register);
    phys::read(WINDOW)
}

/// Writes a register.
pub fn write(register: u32, value: u32) {
    phys::write(SELECT, register);
    phys::write(WINDOW, value);
}

/// A line's entry.
pub fn entry(line: u32) -> u64 {
    u64::from(read(TABLE + 2 * line + 1)) << 32 | u64::from(read(TABLE + 2 * line))
}

/// Sets a line's entry, masked in between.
pub fn set(line: u32, entry: u64) {
    write(TABLE + 2 * line, MASKED as u32);
    write(TABLE + 2 * line + 1, (entry >> 32) as u32);
    write(TABLE + 2 * line, entry as u32);
}

/// An entry for a vector at one CPU: fixed, physical, edge, active high.
pub fn to(cpu: u32, vector: u8) -> u64 {
    u64::from(cpu) << 56 | u64::from(vector)
}

/// Masks a line.
pub fn mask(line: u32) {
    set(line, MASKED);
}

/// How many lines there are.
pub fn lines() -> u32 {
    (read(VERSION) >> 16 & 0xff) + 1
}
