//! The disk as this library sees it: a row of sectors.

/// The device could not do a request; what it wrote or read of it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceError;

/// A disk. Buffers are always whole sectors long, and ranges end inside the device.
pub trait BlockDevice {
    /// Bytes in a sector: a power of two, at most 1024.
    fn sector_size(&self) -> u32 {
        512
    }

    /// Sectors on the device.
    fn sector_count(&self) -> u64;

    /// Whether writes are refused.
    fn is_read_only(&self) -> bool;

    /// Fills `buf` from the sectors at `first_sector`.
    fn read(&mut self, first_sector: u64, buf: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes `buf` to the sectors at `first_sector`.
    fn write(&mut self, first_sector: u64, buf: &[u8]) -> Result<(), DeviceError>;

    /// Returns when everything written before is on stable storage.
    fn flush(&mut self) -> Result<(), DeviceError>;

    /// Nobody needs what these bytes hold: their memory may go back to the system until they are used again.
    fn release(&mut self, _memory: &mut [u8]) {}
}
