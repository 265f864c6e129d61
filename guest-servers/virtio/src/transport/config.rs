//! The device type's own configuration space (sections 2.5 and 4.2.2.2).

use crate::registers::Registers;
use crate::spec::register;
use core::fmt;

/// The configuration space; every field is read in its own width, offsets in bytes.
pub struct Config<'a, R>(&'a R);

impl<R> fmt::Debug for Config<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Config")
    }
}

impl<'a, R: Registers> Config<'a, R> {
    pub(super) fn new(registers: &'a R) -> Self {
        Config(registers)
    }

    /// An 8-bit field.
    pub fn u8(&self, offset: usize) -> u8 {
        self.0.read8(register::CONFIG + offset)
    }

    /// A 16-bit field.
    pub fn u16(&self, offset: usize) -> u16 {
        self.0.read16(register::CONFIG + offset)
    }

    /// A 32-bit field.
    pub fn u32(&self, offset: usize) -> u32 {
        self.0.read32(register::CONFIG + offset)
    }

    /// A 64-bit field: two 32-bit halves.
    pub fn u64(&self, offset: usize) -> u64 {
        u64::from(self.u32(offset)) | u64::from(self.u32(offset + 4)) << 32
    }
}
