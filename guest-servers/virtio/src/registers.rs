//! The register window of a device, as the transport sees it.

/// A device's register window; offsets are in bytes from its start.
///
/// The specification wants the transport's own registers accessed as aligned 32-bit words, and
/// fields of the configuration space in their own width (section 4.2.2.2).
pub trait Registers {
    /// Reads a 32-bit register.
    fn read32(&self, offset: usize) -> u32;

    /// Writes a 32-bit register.
    fn write32(&self, offset: usize, value: u32);

    /// Reads a 16-bit field of the configuration space.
    fn read16(&self, offset: usize) -> u16;

    /// Reads an 8-bit field of the configuration space.
    fn read8(&self, offset: usize) -> u8;
}
