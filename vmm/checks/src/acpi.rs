//! ACPI tables, as firmware leaves them (ACPI specification 6.5, chapter 5).

use crate::arch::phys;
use crate::info::StartInfo;

/// Bytes of a table's header.
pub const HEADER: usize = 36;

/// A table whose header lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// All its bytes.
    pub bytes: &'static [u8],
}

impl Table {
    /// The table at an address, if its length makes sense.
    pub fn at(address: u64) -> Option<Self> {
        let header = phys::bytes(address, HEADER)?;
        let length = u32_at(header, 4) as usize;
        let bytes = (HEADER..1 << 20)
            .contains(&length)
            .then(|| phys::bytes(address, length))??;
        Some(Self { bytes })
    }

    /// The four letters of its name.
    pub fn signature(&self) -> &'static [u8] {
        &self.bytes[..4]
    }

    /// Whether all bytes add up to 0.
    pub fn checksum_is_right(&self) -> bool {
        sum(self.bytes) == 0
    }
}

/// All bytes added up.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// A little-endian number in a table; 0 beyond its end.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |word| {
        u32::from_le_bytes([word[0], word[1], word[2], word[3]])
    })
}

/// A little-endian number in a table; 0 beyond its end.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The RSDP: where the start information says, else by its signature in the BIOS area
/// (section 5.2.5.1).
pub fn rsdp(info: StartInfo) -> Option<u64> {
    const SIGNATURE: u64 = u64::from_le_bytes(*b"RSD PTR ");
    match info.rsdp() {
        0 => (0xe_0000..0x10_0000)
            .step_by(16)
            .find(|&at| phys::read::<u64>(at) == SIGNATURE),
        address => Some(address),
    }
}

/// The tables that the XSDT (or, before ACPI 2, the RSDT) names.
pub fn tables(info: StartInfo) -> impl Iterator<Item = Option<Table>> {
    let root = rsdp(info).and_then(root);
    let (root, width) = root.unwrap_or((Table { bytes: &[] }, 4));
    root.bytes
        .get(HEADER..)
        .unwrap_or(&[])
        .chunks_exact(width)
        .map(move |entry| {
            Table::at(match width {
                8 => u64_at(entry, 0),
                _ => u32_at(entry, 0).into(),
            })
        })
}

/// The root table and the width of its entries.
pub fn root(rsdp: u64) -> Option<(Table, usize)> {
    let bytes = phys::bytes(rsdp, 36)?;
    match (bytes[15], u64_at(bytes, 24)) {
        (2.., xsdt) if xsdt != 0 => Some((Table::at(xsdt)?, 8)),
        _ => Some((Table::at(u32_at(bytes, 16).into())?, 4)),
    }
}

/// The table with a name.
pub fn find(info: StartInfo, signature: &[u8; 4]) -> Option<Table> {
    tables(info)
        .flatten()
        .find(|table| table.signature() == signature)
}

/// The DSDT, which the FADT names (section 5.2.9).
pub fn dsdt(info: StartInfo) -> Option<Table> {
    let fadt = find(info, b"FACP")?;
    let address = match u64_at(fadt.bytes, 140) {
        0 => u32_at(fadt.bytes, 40).into(),
        address => address,
    };
    Table::at(address)
}

/// An entry of the MADT (section 5.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A CPU that can be used: APIC id.
    Cpu(u32),
    /// An I/O APIC: address, first line.
    IoApic(u32, u32),
    /// A source override: ISA line, line, MPS flags.
    Override(u8, u32, u16),
    /// Anything else.
    Other,
}

/// The entries of the MADT.
pub fn madt(info: StartInfo) -> impl Iterator<Item = Entry> {
    let mut rest =
        find(info, b"APIC").map_or(&[][..], |table| table.bytes.get(44..).unwrap_or(&[]));
    core::iter::from_fn(move || {
        let length = usize::from(*rest.get(1)?).max(2);
        let (entry, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(decode(entry))
    })
}

fn decode(entry: &[u8]) -> Entry {
    const USABLE: u32 = 1;
    match (entry[0], entry.len()) {
        (0, 8) if u32_at(entry, 4) & USABLE != 0 => Entry::Cpu(entry[3].into()),
        (9, 16) if u32_at(entry, 8) & USABLE != 0 => Entry::Cpu(u32_at(entry, 4)),
        (1, 12) => Entry::IoApic(u32_at(entry, 4), u32_at(entry, 8)),
        (2, 10) => Entry::Override(
            entry[3],
            u32_at(entry, 4),
            u16::from_le_bytes([entry[8], entry[9]]),
        ),
        _ => Entry::Other,
    }
}

/// The I/O APIC's line for an ISA interrupt: by an override, else its own number.
///
/// Without ACPI a PC's timer is on line 2 (MP specification 1.4, 5.1).
pub fn line_of(info: StartInfo, isa: u8) -> u32 {
    if find(info, b"APIC").is_none() {
        return if isa == 0 { 2 } else { isa.into() };
    }
    let moved = madt(info).find_map(|entry| match entry {
        Entry::Override(source, line, _) if source == isa => Some(line),
        _ => None,
    });
    moved.unwrap_or(isa.into())
}
