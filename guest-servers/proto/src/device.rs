//! Virtio devices as init announces them to drivers: one start-up string each.
//!
//! | string | a device |
//! |---|---|
//! | `virtio=BASE,SIZE,GSI` | with a register window (virtio-mmio) |
//! | `virtio-pci=BB:DD.F,TYPE,…` | behind PCI, see [`PciDevice`] for what follows |
//!
//! Numbers are hexadecimal, interrupts decimal. Disks are named in the order of the strings.

use core::fmt;
use core::str::{FromStr, Split};

const MMIO: &str = "virtio=";
const PCI: &str = "virtio-pci=";

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// With a register window.
    Mmio(MmioDevice),
    /// Behind PCI.
    Pci(PciDevice),
}

/// A virtio-mmio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioDevice {
    /// Physical address of the registers.
    pub base: u64,
    /// Bytes of the window.
    pub size: u64,
    /// Global system interrupt.
    pub gsi: u32,
}

/// A virtio function, made ready: it answers to memory addresses, and MSI-X is on with every vector
/// masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// Where it is: its name in messages.
    pub location: PciLocation,
    /// Virtio's device type.
    pub kind: u32,
    /// The common configuration.
    pub common: Region,
    /// The notification area.
    pub notify: Region,
    /// Bytes per unit of a queue's notification offset.
    pub notify_multiplier: u32,
    /// The interrupt status.
    pub isr: Region,
    /// The device type's own configuration; [`Region::NONE`] if it has none.
    pub config: Region,
    /// Physical address of the MSI-X table, which has at least one entry.
    pub msix_table: u64,
}

/// Where a function is on the first segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciLocation {
    /// Bus.
    pub bus: u8,
    /// Device on the bus.
    pub device: u8,
    /// Function of the device.
    pub function: u8,
}

/// A piece of the physical address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Region {
    /// No piece.
    pub const NONE: Region = Region { base: 0, bytes: 0 };
}

impl Device {
    /// The device that a start-up string announces; `None` for strings about something else.
    pub fn parse(string: &[u8]) -> Option<Device> {
        let text = core::str::from_utf8(string).ok()?;
        if let Some(fields) = text.strip_prefix(MMIO) {
            return Fields(fields.split(',')).mmio().map(Device::Mmio);
        }
        let fields = text.strip_prefix(PCI)?;
        Fields(fields.split(',')).pci().map(Device::Pci)
    }

    /// What to call it in messages.
    pub fn place(&self) -> impl fmt::Display {
        Place(*self)
    }
}

/// What follows the `=`.
struct Fields<'a>(Split<'a, char>);

impl Fields<'_> {
    fn hex(&mut self) -> Option<u64> {
        u64::from_str_radix(self.0.next()?, 16).ok()
    }

    fn hex32(&mut self) -> Option<u32> {
        self.hex()?.try_into().ok()
    }

    fn region(&mut self) -> Option<Region> {
        let (base, bytes) = (self.hex()?, self.hex()?);
        Some(Region { base, bytes })
    }

    fn mmio(mut self) -> Option<MmioDevice> {
        let (base, size) = (self.hex()?, self.hex()?);
        let gsi = self.0.next()?.parse().ok()?;
        Some(MmioDevice { base, size, gsi })
    }

    fn pci(mut self) -> Option<PciDevice> {
        Some(PciDevice {
            location: self.0.next()?.parse().ok()?,
            kind: self.hex32()?,
            common: self.region()?,
            notify: self.region()?,
            notify_multiplier: self.hex32()?,
            isr: self.region()?,
            config: self.region()?,
            msix_table: self.hex()?,
        })
    }
}

impl fmt::Display for MmioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MMIO}{:x},{:x},{}", self.base, self.size, self.gsi)
    }
}

impl fmt::Display for PciDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PCI}{},{:x},{},{},{:x},{},{},{:x}",
            self.location,
            self.kind,
            self.common,
            self.notify,
            self.notify_multiplier,
            self.isr,
            self.config,
            self.msix_table
        )
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Mmio(device) => device.fmt(f),
            Device::Pci(device) => device.fmt(f),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x},{:x}", self.base, self.bytes)
    }
}

impl fmt::Display for PciLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PciLocation {
            bus,
            device,
            function,
        } = self;
        write!(f, "{bus:02x}:{device:02x}.{function:x}")
    }
}

impl FromStr for PciLocation {
    type Err = ();

    fn from_str(text: &str) -> Result<PciLocation, ()> {
        let hex = |text| u8::from_str_radix(text, 16).map_err(drop);
        let (bus, rest) = text.split_once(':').ok_or(())?;
        let (device, function) = rest.split_once('.').ok_or(())?;
        Ok(PciLocation {
            bus: hex(bus)?,
            device: hex(device)?,
            function: hex(function)?,
        })
    }
}

struct Place(Device);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Device::Mmio(device) => write!(f, "{:#x}", device.base),
            Device::Pci(device) => write!(f, "{}", device.location),
        }
    }
}

#[cfg(test)]
mod tests;
