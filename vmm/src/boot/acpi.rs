//! ACPI tables: RSDP, XSDT, FADT (hardware-reduced), MADT and a DSDT that names the devices.

use acpi_tables::aml::{Device, Interrupt, Memory32Fixed, Name, Path, ResourceTemplate};
use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{
    EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic,
};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, aml};
use ferrix_machine::irq::{IOAPIC_BASE, LAPIC_BASE, UART_GSI};
use ferrix_machine::memory::{ACPI_BASE, KERNEL_BASE};
use ferrix_machine::port;

use super::{BootError, write_below};
use crate::config::{Model, Windows};
use crate::devices::power;
use crate::memory::Ram;

const OEM: [u8; 6] = *b"FERRIX";
const TABLE: [u8; 8] = *b"FERRIXVM";
const REVISION: u32 = 1;
const DSDT_HEADER: u32 = 36;
/// Tables start on such boundaries.
const ALIGN: u64 = 64;

/// The tables placed so far, as one piece of memory from [`ACPI_BASE`].
struct Tables(Vec<u8>);

impl Tables {
    fn add(&mut self, table: &dyn Aml) -> u64 {
        let offset = (self.0.len() as u64).next_multiple_of(ALIGN);
        self.0.resize(offset as usize, 0);
        table.to_aml_bytes(&mut self.0);
        ACPI_BASE + offset
    }
}

/// Writes all tables; returns the RSDP's address.
pub fn write(ram: &Ram, cpus: u32, model: Model, devices: usize) -> Result<u64, BootError> {
    // The RSDP is first in memory but last to be known.
    let mut tables = Tables(vec![0; Rsdp::len()]);
    let dsdt = tables.add(&Raw(dsdt(model, devices).as_slice()));
    let fadt = tables.add(&fadt(dsdt, model));
    let madt = tables.add(&madt(cpus));
    let mut xsdt = XSDT::new(OEM, TABLE, REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = tables.add(&xsdt);
    let mut rsdp = Vec::new();
    Rsdp::new(OEM, xsdt).to_aml_bytes(&mut rsdp);
    tables.0[..rsdp.len()].copy_from_slice(&rsdp);
    write_below(ram, ACPI_BASE, KERNEL_BASE, &tables.0)?;
    Ok(ACPI_BASE)
}

struct Raw<'a>(&'a [u8]);

impl Aml for Raw<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(self.0);
    }
}

/// Resets by the keyboard controller's line, sleeps by [`power`].
fn fadt(dsdt: u64, model: Model) -> FADT {
    let mut fadt = FADTBuilder::new(OEM, TABLE, REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup);
    let byte = |port: u16| {
        GAS::new(
            AddressSpace::SystemIo,
            8,
            0,
            AccessSize::ByteAccess,
            port.into(),
        )
    };
    fadt.reset_reg = byte(port::I8042_COMMAND);
    fadt.reset_value = port::I8042_RESET;
    if model.is_ferrix() {
        fadt.sleep_control_reg = byte(power::CONTROL);
        fadt.sleep_status_reg = byte(power::STATUS);
    }
    fadt.finalize()
}

fn madt(cpus: u32) -> MADT {
    let lapic = LocalInterruptController::Address(LAPIC_BASE as u32);
    let mut madt = MADT::new(OEM, TABLE, REVISION, lapic);
    for cpu in 0..cpus as u8 {
        madt.add_structure(ProcessorLocalApic::new(cpu, cpu, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, IOAPIC_BASE as u32, 0));
    madt
}

/// Devices are edge-triggered, active high, as [`ferrix_machine::irq`] says.
fn dsdt(model: Model, devices: usize) -> Sdt {
    let mut sdt = Sdt::new(*b"DSDT", DSDT_HEADER, 2, OEM, TABLE, REVISION);
    let mut body = Vec::new();
    for index in 0..devices {
        virtio_node(model.windows(), index).to_aml(&mut body);
    }
    uart_node(&mut body);
    if model.is_ferrix() {
        exit_node(&mut body);
        let soft_off = aml::Package::new(vec![&power::SOFT_OFF, &power::SOFT_OFF]);
        Name::new(Path::new("_S5_"), &soft_off).to_aml_bytes(&mut body);
    }
    sdt.append_slice(&body);
    sdt.update_checksum();
    sdt
}

struct VirtioNode {
    name: String,
    uid: u32,
    base: u32,
    gsi: u32,
}

fn virtio_node(windows: Windows, index: usize) -> VirtioNode {
    VirtioNode {
        name: format!("_SB_.VR{index:02}"),
        uid: index as u32,
        base: windows.address(index) as u32,
        gsi: windows.gsi(index),
    }
}

impl VirtioNode {
    fn to_aml(&self, sink: &mut Vec<u8>) {
        let window = Memory32Fixed::new(true, self.base, Windows::STRIDE as u32);
        let interrupt = Interrupt::new(true, true, false, false, self.gsi);
        let resources = ResourceTemplate::new(vec![&window, &interrupt]);
        let hid = Name::new(Path::new("_HID"), &"LNRO0005");
        let uid = Name::new(Path::new("_UID"), &self.uid);
        let cca = Name::new(Path::new("_CCA"), &aml::ONE);
        let crs = Name::new(Path::new("_CRS"), &resources);
        Device::new(Path::new(&self.name), vec![&hid, &uid, &cca, &crs]).to_aml_bytes(sink);
    }
}

fn uart_node(sink: &mut Vec<u8>) {
    let ports = aml::IO::new(port::UART, port::UART, 1, 8);
    let interrupt = Interrupt::new(true, true, false, false, UART_GSI);
    let resources = ResourceTemplate::new(vec![&ports, &interrupt]);
    let hid = Name::new(Path::new("_HID"), &aml::EISAName::new("PNP0501"));
    let uid = Name::new(Path::new("_UID"), &aml::ZERO);
    let crs = Name::new(Path::new("_CRS"), &resources);
    Device::new(Path::new("_SB_.COM1"), vec![&hid, &uid, &crs]).to_aml_bytes(sink);
}

/// The exit port, which no operating system but Ferrix knows, under the monitor's own identifier.
fn exit_node(sink: &mut Vec<u8>) {
    let ports = aml::IO::new(port::EXIT, port::EXIT, 1, 4);
    let resources = ResourceTemplate::new(vec![&ports]);
    let hid = Name::new(Path::new("_HID"), &"FRRX0001");
    let crs = Name::new(Path::new("_CRS"), &resources);
    Device::new(Path::new("_SB_.EXIT"), vec![&hid, &crs]).to_aml_bytes(sink);
}
