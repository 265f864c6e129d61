//! ACPI tables (specification 6.5, chapter 5) and what they promise.

use super::{Check, list};
use crate::Machine;
use crate::acpi::{self, Entry, HEADER, u32_at, u64_at};
use crate::arch::{phys, smp};
use crate::ioapic;
use crate::verdict::{Verdict, equal, holds, needs, there, within};
use crate::virtio;

/// All of this file.
pub const CHECKS: &[Check] = list!("acpi_": rsdp, tables, fadt, dsdt, madt, cpus, devices);

const NONE: &str = "the machine has no ACPI tables";

/// 5.2.5.3: signature, both checksums.
fn rsdp(machine: &Machine) -> Verdict {
    let Some(at) = acpi::rsdp(machine.info) else {
        return crate::verdict::skip(NONE);
    };
    let bytes = there("the RSDP", phys::bytes(at, 36))?;
    holds("its signature", bytes.starts_with(b"RSD PTR "))?;
    equal("sum of its first 20 bytes", acpi::sum(&bytes[..20]), 0u8)?;
    if bytes[15] >= 2 {
        equal("its length", u32_at(bytes, 20), 36u32)?;
        equal("sum of all its bytes", acpi::sum(bytes), 0u8)?;
    }
    Ok(())
}

/// 5.2.6 to 5.2.8: the root table and all it names have headers and right checksums.
fn tables(machine: &Machine) -> Verdict {
    let Some(rsdp) = acpi::rsdp(machine.info) else {
        return crate::verdict::skip(NONE);
    };
    let (root, width) = there("XSDT or RSDT", acpi::root(rsdp))?;
    holds(
        "its signature",
        root.signature() == if width == 8 { b"XSDT" } else { b"RSDT" },
    )?;
    holds("its checksum", root.checksum_is_right())?;
    equal(
        "its entries' bytes",
        ((root.bytes.len() - HEADER) % width) as u64,
        0u64,
    )?;
    for table in acpi::tables(machine.info) {
        let table = there("a table that the root table names", table)?;
        holds(
            "a table's signature is text",
            table.signature().iter().all(u8::is_ascii_graphic),
        )?;
        holds("a table's checksum", table.checksum_is_right())?;
    }
    Ok(())
}

/// 5.2.9: present, of a known length, names a DSDT; hardware-reduced machines need revision 5.
fn fadt(machine: &Machine) -> Verdict {
    needs(acpi::rsdp(machine.info).is_some(), NONE)?;
    let fadt = there("FADT", acpi::find(machine.info, b"FACP"))?;
    within("its length", fadt.bytes.len() as u64, 116..=276)?;
    const HW_REDUCED: u32 = 1 << 20;
    if u32_at(fadt.bytes, 112) & HW_REDUCED != 0 {
        within(
            "revision of a hardware-reduced FADT",
            fadt.bytes[8].into(),
            5..=6,
        )?;
    }
    let (old, new) = (u64::from(u32_at(fadt.bytes, 40)), u64_at(fadt.bytes, 140));
    holds("DSDT or X_DSDT is there", old != 0 || new != 0)?;
    holds("DSDT and X_DSDT agree", old == 0 || new == 0 || old == new)
}

/// 5.2.11.1: signature and checksum.
fn dsdt(machine: &Machine) -> Verdict {
    needs(acpi::rsdp(machine.info).is_some(), NONE)?;
    let dsdt = there("DSDT", acpi::dsdt(machine.info))?;
    holds("its signature", dsdt.signature() == b"DSDT")?;
    holds("its checksum", dsdt.checksum_is_right())
}

/// 5.2.12: local APIC address, I/O APIC that answers, overrides within its lines.
fn madt(machine: &Machine) -> Verdict {
    needs(acpi::rsdp(machine.info).is_some(), NONE)?;
    let madt = there("MADT", acpi::find(machine.info, b"APIC"))?;
    equal("local APIC address", u32_at(madt.bytes, 36), 0xfee0_0000u32)?;
    let entries = || acpi::madt(machine.info);
    let first = entries().find_map(|entry| match entry {
        Entry::IoApic(address, 0) => Some(address),
        _ => None,
    });
    let first = there("an I/O APIC for line 0", first)?;
    equal(
        "its address",
        first,
        ferrix_machine::irq::IOAPIC_BASE as u32,
    )?;
    for entry in entries() {
        if let Entry::Override(isa, line, flags) = entry {
            within("an override's ISA line", isa.into(), 0..=15)?;
            within(
                "an override's line",
                line.into(),
                0..=u64::from(ioapic::lines()) - 1,
            )?;
            // Polarity and trigger mode have no value 2 (table 5.26).
            holds("an override's flags", flags & 3 != 2 && flags >> 2 & 3 != 2)?;
        }
    }
    Ok(())
}

/// 5.2.12.2: each enabled CPU has its own id, and exactly those start.
fn cpus(machine: &Machine) -> Verdict {
    needs(acpi::find(machine.info, b"APIC").is_some(), NONE)?;
    let named = |id| {
        acpi::madt(machine.info)
            .filter(|&entry| entry == Entry::Cpu(id))
            .count() as u64
    };
    super::ipi::start_others(machine);
    equal("entries of this CPU", named(crate::apic::id()), 1u64)?;
    for id in 0..smp::MAX_CPUS {
        let runs = u64::from(smp::starts(id) > 0 || id as u32 == crate::apic::id());
        equal(
            "CPUs in the MADT and running, with the same id",
            named(id as u32),
            runs,
        )?;
    }
    Ok(())
}

/// The DSDT's virtio devices (`LNRO0005`) are the command line's.
fn devices(machine: &Machine) -> Verdict {
    needs(acpi::rsdp(machine.info).is_some(), NONE)?;
    needs(
        virtio::announced(machine.line).next().is_some(),
        "the command line announces no device",
    )?;
    needs(
        virtio::described(machine.info).next().is_some(),
        "the DSDT describes no device",
    )?;
    let (line, table) = (
        virtio::announced(machine.line),
        virtio::described(machine.info),
    );
    equal(
        "devices",
        table.clone().count() as u64,
        line.clone().count() as u64,
    )?;
    for (line, table) in line.zip(table) {
        equal("a device's address", table.base, line.base)?;
        equal("a device's line", table.gsi, line.gsi)?;
    }
    Ok(())
}
