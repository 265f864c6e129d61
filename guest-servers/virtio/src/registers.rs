//! The register window of a device, as the transports see it.

/// A device's register window; offsets are in bytes from its start.
///
/// The specification wants every field accessed in its own width, aligned (sections 4.1.3.1 and
/// 4.2.2.2).
pub trait Registers: core::fmt::Debug {
    /// Reads a 32-bit register.
    fn read32(&self, offset: usize) -> u32;

    /// Writes a 32-bit register.
    fn write32(&self, offset: usize, value: u32);

    /// Reads a 16-bit register.
    fn read16(&self, offset: usize) -> u16;

    /// Writes a 16-bit register.
    fn write16(&self, offset: usize, value: u16);

    /// Reads an 8-bit register.
    fn read8(&self, offset: usize) -> u8;

    /// Writes an 8-bit register.
    fn write8(&self, offset: usize, value: u8);
}
