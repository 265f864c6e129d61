//! Access to configuration space, and the registers that every function has (PCI 3.0, section 6.1).

use core::fmt;
use ferrix_proto::device::PciLocation;

/// Where a function is on its segment's buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Bus.
    pub bus: u8,
    /// Device on the bus, below 32.
    pub device: u8,
    /// Function of the device, below 8.
    pub function: u8,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PciLocation::from(*self).fmt(f)
    }
}

impl From<Location> for PciLocation {
    fn from(at: Location) -> PciLocation {
        PciLocation {
            bus: at.bus,
            device: at.device,
            function: at.function,
        }
    }
}

/// The configuration space of a segment.
///
/// Offsets are in bytes, multiples of 4 below 256. Functions that do not exist read as all ones.
pub trait Config {
    /// Reads 32 bits.
    fn read(&self, at: Location, offset: u8) -> u32;

    /// Writes 32 bits.
    fn write(&self, at: Location, offset: u8, value: u32);
}

/// Offsets and bits of registers.
pub(crate) mod register {
    /// Vendor (low half) and device.
    pub const ID: u8 = 0x00;
    /// Command (low half) and status.
    pub const COMMAND: u8 = 0x04;
    /// In the third byte: the kind of header.
    pub const HEADER: u8 = 0x0c;
    /// The first base address register.
    pub const BAR0: u8 = 0x10;
    /// Primary, secondary and subordinate bus of a bridge.
    pub const BUSES: u8 = 0x18;
    /// Memory window of a bridge, and the prefetchable one with the upper halves of its ends.
    pub const MEMORY: u8 = 0x20;
    pub const PREFETCHABLE: u8 = 0x24;
    pub const PREFETCHABLE_BASE_HIGH: u8 = 0x28;
    pub const PREFETCHABLE_LIMIT_HIGH: u8 = 0x2c;
    /// Vendor (low half) and device of the subsystem.
    pub const SUBSYSTEM: u8 = 0x2c;
    /// Offset of the first capability, in the first byte.
    pub const CAPABILITIES: u8 = 0x34;

    /// Commands: answer to memory addresses, access memory, raise no INTx.
    pub const MEMORY_SPACE: u32 = 1 << 1;
    pub const BUS_MASTER: u32 = 1 << 2;
    pub const NO_INTX: u32 = 1 << 10;
    /// Status (upper half): there are capabilities.
    pub const HAS_CAPABILITIES: u32 = 1 << 20;

    /// Kinds of header; the bit says that the device has more functions.
    pub const HEADER_FUNCTION: u8 = 0;
    pub const HEADER_BRIDGE: u8 = 1;
    pub const MULTI_FUNCTION: u8 = 0x80;
}

/// A function's registers.
#[derive(Debug)]
pub(crate) struct Function<'a, C> {
    pub config: &'a C,
    pub at: Location,
}

impl<C: Config> Function<'_, C> {
    pub fn read32(&self, offset: u8) -> u32 {
        self.config.read(self.at, offset & !3)
    }

    pub fn write32(&self, offset: u8, value: u32) {
        self.config.write(self.at, offset & !3, value);
    }

    pub fn read16(&self, offset: u8) -> u16 {
        (self.read32(offset) >> ((offset & 2) * 8)) as u16
    }

    pub fn read8(&self, offset: u8) -> u8 {
        (self.read32(offset) >> ((offset & 3) * 8)) as u8
    }

    /// Vendor and device; `None` if there is no such function.
    pub fn id(&self) -> Option<(u16, u16)> {
        let id = self.read32(register::ID);
        (id as u16 != 0xffff).then_some((id as u16, (id >> 16) as u16))
    }

    pub fn header(&self) -> u8 {
        (self.read32(register::HEADER) >> 16) as u8
    }

    /// Writes the command register (and no status bit: those are cleared by ones).
    pub fn set_command(&self, command: u32) {
        self.write32(register::COMMAND, command & 0xffff);
    }

    pub fn command(&self) -> u32 {
        self.read32(register::COMMAND) & 0xffff
    }
}
