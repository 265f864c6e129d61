//! Which machine is presented: `--machine MODEL[,announce=HOW]`.

use std::str::FromStr;

use ferrix_machine::virtio_mmio;

/// The machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineConfig {
    /// Whose machine it looks like.
    pub model: Model,
    /// How its virtio devices are announced.
    pub announce: Announce,
}

/// Whose machine it looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// Ferrix's own, `ferrix_machine`.
    #[default]
    Ferrix,
    /// Firecracker's: no exit port, no timing leaf, no CMOS clock, no virtio-console; the terminal is
    /// the UART, one initrd holds the modules, the RSDP has to be looked for, and the only end is a
    /// reset by the keyboard controller.
    Firecracker,
}

/// How virtio devices are announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// In the DSDT and on the command line.
    #[default]
    Both,
    /// In the DSDT.
    Acpi,
    /// On the command line; there are no ACPI tables.
    CommandLine,
}

/// Where the windows of virtio-mmio devices are, and their interrupt lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Guest-physical address of window 0.
    base: u64,
}

impl Windows {
    /// Bytes of a window, and from one to the next.
    pub const STRIDE: u64 = virtio_mmio::STRIDE;

    /// Address of a window.
    pub fn address(self, index: usize) -> u64 {
        self.base + Self::STRIDE * index as u64
    }

    /// Global system interrupt of a window's device.
    pub fn gsi(self, index: usize) -> u32 {
        virtio_mmio::FIRST_GSI + index as u32
    }

    /// The window at an address, and the offset in it.
    pub fn find(self, address: u64) -> Option<(usize, u64)> {
        let offset = address.checked_sub(self.base)?;
        Some(((offset / Self::STRIDE) as usize, offset % Self::STRIDE))
    }
}

impl Model {
    /// Its virtio-mmio windows.
    pub fn windows(self) -> Windows {
        let base = match self {
            Self::Ferrix => virtio_mmio::BASE,
            // The first page of Firecracker's device area is its boot timer's.
            Self::Firecracker => 0xc000_1000,
        };
        Windows { base }
    }

    /// As `--machine` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ferrix => "ferrix",
            Self::Firecracker => "firecracker",
        }
    }

    /// Whether it has what only Ferrix's machine has: exit port, milestone port, timing leaf, clock.
    pub fn is_ferrix(self) -> bool {
        self == Self::Ferrix
    }
}

impl Announce {
    /// Whether there are ACPI tables.
    pub fn has_tables(self) -> bool {
        self != Self::CommandLine
    }

    /// Whether the command line names the devices.
    pub fn has_words(self) -> bool {
        self != Self::Acpi
    }
}

impl FromStr for MachineConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let model = match parts.next() {
            Some("ferrix") => Model::Ferrix,
            Some("firecracker") => Model::Firecracker,
            _ => return Err(format!("no machine `{text}`: write ferrix or firecracker")),
        };
        let mut machine = Self {
            model,
            announce: Announce::default(),
        };
        for part in parts {
            machine.announce = match part {
                "announce=both" => Announce::Both,
                "announce=acpi" => Announce::Acpi,
                "announce=cmdline" => Announce::CommandLine,
                _ => {
                    return Err(format!(
                        "unknown `{part}`: write announce=both, announce=acpi or announce=cmdline"
                    ));
                }
            };
        }
        Ok(machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_named() {
        assert_eq!("ferrix".parse(), Ok(MachineConfig::default()));
        let old: MachineConfig = "firecracker,announce=cmdline".parse().unwrap();
        assert_eq!(old.model, Model::Firecracker);
        assert!(old.announce.has_words() && !old.announce.has_tables());
        for wrong in ["", "q35", "firecracker,acpi", "ferrix,announce="] {
            assert!(wrong.parse::<MachineConfig>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_belong_to_windows() {
        let windows = Model::Firecracker.windows();
        assert_eq!(windows.address(2), 0xc000_3000);
        assert_eq!(windows.find(0xc000_3070), Some((2, 0x70)));
        assert_eq!(windows.find(0xc000_0000), None);
    }
}
