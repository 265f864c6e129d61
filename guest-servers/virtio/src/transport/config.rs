//! The device type's own configuration space (section 2.5).

use crate::bus::Bus;
use core::fmt;

/// The configuration space; every field is read in its own width, offsets in bytes.
pub struct Config<'a>(&'a dyn Bus);

impl fmt::Debug for Config<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Config")
    }
}

impl<'a> Config<'a> {
    pub(super) fn new(bus: &'a dyn Bus) -> Self {
        Config(bus)
    }

    /// An 8-bit field.
    pub fn u8(&self, offset: usize) -> u8 {
        self.0.config8(offset)
    }

    /// A 16-bit field.
    pub fn u16(&self, offset: usize) -> u16 {
        self.0.config16(offset)
    }

    /// A 32-bit field.
    pub fn u32(&self, offset: usize) -> u32 {
        self.0.config32(offset)
    }

    /// A 64-bit field: two 32-bit halves.
    pub fn u64(&self, offset: usize) -> u64 {
        u64::from(self.u32(offset)) | u64::from(self.u32(offset + 4)) << 32
    }
}
