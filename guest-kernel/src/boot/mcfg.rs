//! Where PCI configuration space is (PCI firmware specification 3.2, 4.1: the MCFG, or the host bridge's
//! `_CBA`), and where the memory of PCI devices may lie, for firmware that assigns none.
//!
//! The latter is what the host bridge's `_CRS` says. The DSDT is a program, which the kernel does not run: it
//! looks for what follows the bridge's id or the name, as firmware writes them.

use ferrix_abi::info::PciHost;

/// Where the entries of the MCFG begin, and their size.
const ENTRIES: usize = 44;
const ENTRY: usize = 16;

/// The ids of a PCI Express host bridge and of a PCI one: packed, and as text.
const HOST_BRIDGES: [&[u8]; 4] = [
    &[0x41, 0xd0, 0x0a, 0x08],
    b"PNP0A08",
    &[0x41, 0xd0, 0x0a, 0x03],
    b"PNP0A03",
];
/// In AML: an integer of 32 and of 64 bits; the flags of a method without arguments, and a return.
const DWORD: u8 = 0x0c;
const QWORD: u8 = 0x0e;
const METHOD_RETURNS: [u8; 2] = [0, 0xa4];
/// Address space descriptor of 32 bits (ACPI specification 6.5, 6.4.3.5.2): tag, length, and the kind
/// "memory"; then flags, and five fields of which the second is the base and the fifth the length.
const MEMORY: &[u8] = &[0x87, 23, 0, 0];
const MEMORY_BASE: usize = 10;
const MEMORY_LENGTH: usize = 22;
/// Addresses below belong to what every PC has.
const LOWEST: u64 = 1 << 20;

fn number(bytes: &[u8], offset: usize, width: usize) -> u64 {
    let field = bytes.get(offset..offset + width).unwrap_or_default();
    let shift = |value, &byte: &u8| value << 8 | byte as u64;
    field.iter().rev().fold(0, shift)
}

/// The configuration space of segment 0, and with it the largest window of the DSDT.
pub fn pci_host(mcfg: &[u8], dsdt: &[u8]) -> Option<PciHost> {
    let (ecam, first_bus, last_bus) = mcfg_entry(mcfg).or_else(|| base_address(dsdt))?;
    let (window, window_bytes) = memory_window(dsdt);
    Some(PciHost {
        ecam,
        first_bus,
        last_bus,
        reserved: [0; 6],
        window,
        window_bytes,
    })
}

/// Address, first and last bus of segment 0.
fn mcfg_entry(mcfg: &[u8]) -> Option<(u64, u8, u8)> {
    let mut entries = mcfg.get(ENTRIES..)?.chunks_exact(ENTRY);
    let first = entries.find(|entry| {
        let segment = number(entry, 8, 2);
        segment == 0 && number(entry, 0, 8) != 0 && entry[10] <= entry[11]
    })?;
    Some((number(first, 0, 8), first[10], first[11]))
}

/// The same by `_CBA`, an integer or a method that returns one; the address is that of bus 0.
fn base_address(dsdt: &[u8]) -> Option<(u64, u8, u8)> {
    let name = b"_CBA";
    let after = dsdt.get(find(dsdt, name)? + name.len()..)?;
    let value = after.strip_prefix(&METHOD_RETURNS).unwrap_or(after);
    let ecam = match *value.first()? {
        DWORD => number(value, 1, 4),
        QWORD => number(value, 1, 8),
        _ => 0,
    };
    (ecam != 0).then_some((ecam, 0, u8::MAX))
}

/// Base and bytes; (0, 0) if there is none.
fn memory_window(dsdt: &[u8]) -> (u64, u64) {
    let bridge = HOST_BRIDGES.iter().find_map(|id| find(dsdt, id));
    let mut rest = bridge.map_or(&[][..], |at| &dsdt[at..]);
    let mut largest = (0, 0);
    while let Some(at) = find(rest, MEMORY) {
        let found = &rest[at..];
        let (base, bytes) = (
            number(found, MEMORY_BASE, 4),
            number(found, MEMORY_LENGTH, 4),
        );
        if base >= LOWEST && base + bytes <= 1 << 32 && bytes > largest.1 {
            largest = (base, bytes);
        }
        rest = &found[MEMORY.len()..];
    }
    largest
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(pattern.len());
    windows.position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mcfg(entries: &[(u64, u16, u8, u8)]) -> Vec<u8> {
        let mut table = vec![0; ENTRIES];
        for &(base, segment, first, last) in entries {
            table.extend(base.to_le_bytes());
            table.extend(segment.to_le_bytes());
            table.extend([first, last, 0, 0, 0, 0]);
        }
        table
    }

    fn memory(base: u32, bytes: u32) -> Vec<u8> {
        let mut descriptor = vec![0x87, 23, 0, 0, 12, 1];
        for field in [0, base, base.wrapping_add(bytes).wrapping_sub(1), 0, bytes] {
            descriptor.extend(field.to_le_bytes());
        }
        descriptor
    }

    #[test]
    fn the_first_segment_and_the_largest_window_count() {
        let table = mcfg(&[(0xa000_0000, 1, 0, 255), (0xb000_0000, 0, 0, 0x3f)]);
        let mut dsdt = memory(0x8000_0000, 0x6000_0000);
        dsdt.extend(b"\x0c\x41\xd0\x0a\x08");
        dsdt.extend(memory(0xa_0000, 0x2_0000));
        dsdt.extend(memory(0x1000_0000, 0xa000_0000));
        dsdt.extend(memory(0xc000_0000, 0x3eb0_0000));
        let host = pci_host(&table, &dsdt).unwrap();
        assert_eq!(
            (host.ecam, host.first_bus, host.last_bus),
            (0xb000_0000, 0, 0x3f)
        );
        assert_eq!((host.window, host.window_bytes), (0x1000_0000, 0xa000_0000));
        let host = pci_host(&table, &dsdt[..26]).unwrap();
        assert_eq!((host.window, host.window_bytes), (0, 0), "no bridge");
    }

    #[test]
    fn a_base_address_does_where_there_is_no_table() {
        let method = b"\x14\x0c_CBA\x00\xa4\x0c\x00\x00\x00\xe0";
        let integer = b"\x08_CBA\x0e\x00\x00\x00\x00\x40\x00\x00\x00";
        let ecam = |dsdt: &[u8]| pci_host(&[], dsdt).map(|host| (host.ecam, host.last_bus));
        assert_eq!(ecam(method), Some((0xe000_0000, 255)));
        assert_eq!(ecam(integer), Some((0x40_0000_0000, 255)));
        assert_eq!(ecam(&method[..8]), None, "cut");
        assert_eq!(ecam(b"_CBA\x00\xa4\x60"), None, "a method that computes");
        let mut dsdt = b"PNP0A08".to_vec();
        dsdt.extend(memory(0xc000_0000, 0x2000_0000));
        dsdt.extend(method);
        let host = pci_host(&[], &dsdt).unwrap();
        assert_eq!((host.window, host.window_bytes), (0xc000_0000, 0x2000_0000));
    }

    #[test]
    fn without_a_usable_entry_there_is_no_host() {
        for entries in [
            &[][..],
            &[(0, 0, 0, 255)],
            &[(1 << 32, 2, 0, 255)],
            &[(1 << 32, 0, 5, 4)],
        ] {
            assert_eq!(pci_host(&mcfg(entries), &[]), None);
        }
        assert_eq!(pci_host(&[], &[]), None);
        assert_eq!(
            pci_host(&mcfg(&[(1 << 32, 0, 0, 255)])[..59], &[]),
            None,
            "cut"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(mcfg: Vec<u8>, noise: Vec<u8>, length in 0usize..26) {
            let mut dsdt = b"_CBA\x41\xd0\x0a\x03".to_vec();
            dsdt.extend(&noise);
            dsdt.extend(&memory(0xc000_0000, 0x1000)[..length]);
            let _ = pci_host(&mcfg, &dsdt);
            let (base, bytes) = memory_window(&dsdt);
            prop_assert!(base.checked_add(bytes).unwrap() <= 1 << 32);
        }
    }
}
