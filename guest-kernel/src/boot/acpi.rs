//! CPUs and I/O APICs from the MADT (ACPI specification 6.5, 5.2.12), and virtio-mmio devices from the
//! DSDT where the command line names none.
//!
//! The DSDT is a program, which the kernel does not run: it looks for the resource templates that follow
//! the devices' `LNRO0005`, as firmware writes them.
//!
//! Table checksums are not verified: who could forge a table could forge its checksum, and there
//! is nothing else to boot with.

use ferrix_abi::info::{PciHost, VirtioDevice};

use super::fadt::{self, PowerOff, Reset};
use super::mcfg;
use crate::mm::PhysAddr;
use crate::mm::phys::direct;

/// Bytes of a system description table's header.
const HEADER: usize = 36;
/// Where the MADT's entries begin.
const MADT_ENTRIES: usize = 44;
const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const LOCAL_X2APIC: u8 = 9;
/// In the flags of a local APIC: the processor may be started.
const ENABLED: u32 = 1;

/// What an entry of the MADT announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A processor, by its local APIC's id.
    Cpu(u32),
    /// An I/O APIC: physical address, first global system interrupt.
    IoApic(u64, u32),
}

fn bytes(address: u64, length: usize) -> &'static [u8] {
    // SAFETY: the direct map covers all memory that holds tables; they are never written.
    unsafe { core::slice::from_raw_parts(direct(PhysAddr(address)), length) }
}

fn u32_at(table: &[u8], offset: usize) -> u32 {
    match table.get(offset..offset + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

fn u64_at(table: &[u8], offset: usize) -> u64 {
    u32_at(table, offset) as u64 | (u32_at(table, offset + 4) as u64) << 32
}

/// A whole table, by the length in its header.
fn table(address: u64) -> &'static [u8] {
    let length = u32_at(bytes(address, HEADER), 4) as usize;
    bytes(address, length.max(HEADER))
}

/// The first table with this signature.
fn find(rsdp: u64, signature: &[u8; 4]) -> Option<&'static [u8]> {
    if rsdp == 0 {
        return None;
    }
    let rsdp = bytes(rsdp, HEADER);
    if !rsdp.starts_with(b"RSD PTR ") {
        return None;
    }
    let (root, width) = match rsdp[15] {
        2.. if u64_at(rsdp, 24) != 0 => (u64_at(rsdp, 24), 8),
        _ => (u32_at(rsdp, 16) as u64, 4),
    };
    table(root)[HEADER..]
        .chunks_exact(width)
        .find_map(|pointer| {
            let address = if width == 8 {
                u64_at(pointer, 0)
            } else {
                u32_at(pointer, 0) as u64
            };
            let found = table(address);
            found.starts_with(signature).then_some(found)
        })
}

/// Calls `visit` for every entry of the MADT; not at all where there is none.
pub fn visit_madt(rsdp: u64, mut visit: impl FnMut(Entry)) {
    let Some(madt) = find(rsdp, b"APIC") else {
        return;
    };
    let mut rest = madt.get(MADT_ENTRIES..).unwrap_or_default();
    while let [kind, length, ..] = *rest {
        let Some((entry, after)) = rest.split_at_checked(length as usize) else {
            return;
        };
        if entry.len() < 2 {
            return;
        }
        match kind {
            LOCAL_APIC if u32_at(entry, 4) & ENABLED != 0 => visit(Entry::Cpu(entry[3] as u32)),
            LOCAL_X2APIC if u32_at(entry, 8) & ENABLED != 0 => visit(Entry::Cpu(u32_at(entry, 4))),
            IO_APIC => visit(Entry::IoApic(u32_at(entry, 4) as u64, u32_at(entry, 8))),
            _ => {}
        }
        rest = after;
    }
}

/// Where firmware that hands over no pointer puts the RSDP (5.2.5.1), on a boundary of 16 bytes.
const RSDP_AREA: core::ops::Range<u64> = 0xe_0000..0x10_0000;
const RSDP_ALIGN: usize = 16;

/// Looks for the RSDP where the boot loader names none (Firecracker); 0: there is none.
pub fn search() -> u64 {
    let area = bytes(RSDP_AREA.start, (RSDP_AREA.end - RSDP_AREA.start) as usize);
    area.chunks_exact(RSDP_ALIGN)
        .position(|chunk| chunk.starts_with(b"RSD PTR "))
        .map_or(0, |index| RSDP_AREA.start + (index * RSDP_ALIGN) as u64)
}

fn fadt_and_dsdt(rsdp: u64) -> Option<(&'static [u8], &'static [u8])> {
    let fadt = find(rsdp, b"FACP")?;
    match fadt::dsdt(fadt) {
        0 => None,
        address => Some((fadt, table(address))),
    }
}

/// How the machine is switched off, and how it is reset.
pub fn ends(rsdp: u64) -> (Option<PowerOff>, Option<Reset>) {
    match fadt_and_dsdt(rsdp) {
        Some((fadt, dsdt)) => (fadt::power_off(fadt, dsdt), fadt::reset(fadt)),
        None => (None, None),
    }
}

/// The PCI host, where there is one.
pub fn pci_host(rsdp: u64) -> Option<PciHost> {
    let mcfg = find(rsdp, b"MCFG").unwrap_or_default();
    let dsdt = fadt_and_dsdt(rsdp).map_or(&[][..], |(_, dsdt)| dsdt);
    mcfg::pci_host(mcfg, dsdt)
}

/// Hardware id of a virtio-mmio device.
const VIRTIO_MMIO: &[u8] = b"LNRO0005";
/// `Memory32Fixed` descriptor: tag and length; then a flag, base and size.
const MEMORY: &[u8] = &[0x86, 9, 0];
/// Extended interrupt descriptor: tag and length; then flags, a count of one, and the interrupt.
const INTERRUPT: &[u8] = &[0x89, 6, 0];

/// Calls `visit` for every virtio-mmio device of the DSDT.
pub fn visit_virtio(rsdp: u64, mut visit: impl FnMut(VirtioDevice)) {
    let Some((_, mut rest)) = fadt_and_dsdt(rsdp) else {
        return;
    };
    while let Some(device) = after(rest, VIRTIO_MMIO) {
        if let (Some(memory), Some(interrupt)) = (after(device, MEMORY), after(device, INTERRUPT)) {
            let (base, size) = (u32_at(memory, 1) as u64, u32_at(memory, 5));
            visit(VirtioDevice {
                base,
                size,
                gsi: u32_at(interrupt, 2),
            });
        }
        rest = device;
    }
}

/// What follows the first occurrence of `pattern`.
fn after<'a>(bytes: &'a [u8], pattern: &[u8]) -> Option<&'a [u8]> {
    let at = bytes
        .windows(pattern.len())
        .position(|window| window == pattern)?;
    bytes.get(at + pattern.len()..)
}
