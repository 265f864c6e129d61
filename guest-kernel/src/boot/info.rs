//! The boot information, gathered once.

use alloc::boxed::Box;

use arrayvec::ArrayVec;
use ferrix_abi::info::{COMMAND_LINE_MAX, MODULES_MAX, PciHost, VIRTIO_MAX, VirtioDevice};
use ferrix_machine::irq::{IOAPIC_BASE, LAPIC_BASE};

use super::fadt::{PowerOff, Reset};
use super::{acpi, archive, command_line as words, pvh};
use crate::arch::cpu::MAX_CPUS;
use crate::arch::{Features, features, power, start};
use crate::mm::buddy::Content;
use crate::mm::{self, BootMemory, PhysAddr};
use crate::sync::SpinLock;

/// Most ranges of the memory map that are used.
const RANGES_MAX: usize = 16;
/// Longest command line of a module.
const ARGUMENTS_MAX: usize = 112;
const PAGE: u64 = 4096;
/// Page tables are taken from here on, at the lowest; below lie firmware tables.
const MIB: u64 = 1 << 20;
/// The direct map reaches this far from the beginning.
const GIB: u64 = 1 << 30;

/// A boot module.
#[derive(Clone, Copy, Debug)]
pub struct BootModule {
    /// Its command line; the first word is its name.
    pub arguments: &'static str,
    /// Physical address of its first byte, on a page boundary.
    pub address: PhysAddr,
    /// Bytes.
    pub size: u64,
}

#[derive(Debug)]
struct Info {
    command_line: &'static str,
    /// Physical address of ACPI's root pointer; 0: no ACPI.
    rsdp: u64,
    modules: ArrayVec<BootModule, MODULES_MAX>,
    /// Modules' names lie between the modules.
    archived: bool,
    ram: ArrayVec<(u64, u64), RANGES_MAX>,
    /// Parts of RAM that the allocator must not have.
    reserved: ArrayVec<(u64, u64), 32>,
    apic_ids: ArrayVec<u32, MAX_CPUS>,
    io_apics: ArrayVec<(u64, u32), 4>,
}

static INFO: SpinLock<Info> = SpinLock::new(Info {
    command_line: "",
    rsdp: 0,
    modules: ArrayVec::new_const(),
    archived: false,
    ram: ArrayVec::new_const(),
    reserved: ArrayVec::new_const(),
    apic_ids: ArrayVec::new_const(),
    io_apics: ArrayVec::new_const(),
});

/// The kernel's command line.
pub fn command_line() -> &'static str {
    INFO.lock().command_line
}

/// The modules; the first is init.
pub fn modules() -> ArrayVec<BootModule, MODULES_MAX> {
    INFO.lock().modules.clone()
}

/// RAM in bytes.
pub fn memory_bytes() -> u64 {
    INFO.lock().ram.iter().map(|range| range.1 - range.0).sum()
}

/// Local APIC ids of all CPUs.
pub fn apic_ids() -> ArrayVec<u32, MAX_CPUS> {
    INFO.lock().apic_ids.clone()
}

/// I/O APICs: physical address, first global system interrupt.
pub fn io_apics() -> ArrayVec<(u64, u32), 4> {
    INFO.lock().io_apics.clone()
}

/// How ACPI says that the machine is switched off, and how it is reset.
pub fn ends() -> (Option<PowerOff>, Option<Reset>) {
    acpi::ends(INFO.lock().rsdp)
}

/// Where devices are.
#[derive(Debug, Default)]
pub struct Devices {
    /// Virtio devices with register windows.
    pub virtio: ArrayVec<VirtioDevice, VIRTIO_MAX>,
    /// PCI, where there may be more of them.
    pub pci: PciHost,
}

/// The devices that the command line announces, or else ACPI.
pub fn devices() -> Devices {
    let announced = words::virtio_devices(command_line());
    let mut devices = Devices {
        virtio: announced.take(VIRTIO_MAX).collect(),
        pci: PciHost::default(),
    };
    if devices.virtio.is_empty() {
        let rsdp = INFO.lock().rsdp;
        acpi::visit_virtio(rsdp, |device| {
            let _ = devices.virtio.try_push(device);
        });
        devices.pci = acpi::pci_host(rsdp).unwrap_or_default();
    }
    devices
}

/// Whether a driver may map these physical addresses: no RAM, and not the interrupt controllers, which are
/// the kernel's.
pub fn is_mappable(address: u64, bytes: u64) -> bool {
    let Some(end) = address.checked_add(bytes) else {
        return false;
    };
    let apart = |first: u64, last: u64| last <= address || end <= first;
    let info = INFO.lock();
    apart(LAPIC_BASE, LAPIC_BASE + PAGE)
        && info
            .io_apics
            .iter()
            .all(|&(base, _)| apart(base, base + PAGE))
        && info.ram.iter().all(|&(first, last)| apart(first, last))
}

/// Reads the start information at `address`, and completes the direct map.
pub fn init(address: u32) {
    let start = pvh::start_info(address);
    let mut info = INFO.lock();
    info.command_line = pvh::text(start.command_line, COMMAND_LINE_MAX - 1);
    if !features().contains(Features::EXIT_PORT)
        && let Some(port) = words::exit_port(info.command_line)
    {
        power::set_exit_port(port);
    }
    let ranges = pvh::table::<pvh::MemoryRange>(start.memory_map, start.memory_map_count);
    let ram = ranges.filter(|range| range.kind == pvh::RAM);
    info.ram = ram
        .map(|range| (range.address, range.address + range.size))
        .take(RANGES_MAX)
        .collect();
    assert!(!info.ram.is_empty(), "the boot loader names no RAM");
    reserve_handover(&mut info, &start, address);
    let modules = || pvh::table::<pvh::Module>(start.modules, start.module_count);
    for module in modules() {
        info.reserved
            .push((module.address, module.address + module.size));
    }
    map_all_ram(&mut info);
    for module in modules() {
        let arguments = pvh::text(module.command_line, ARGUMENTS_MAX);
        let whole = BootModule {
            arguments,
            address: PhysAddr(module.address),
            size: module.size,
        };
        info.add_module(whole);
    }
    info.rsdp = match start.rsdp {
        0 => acpi::search(),
        given => given,
    };
    acpi::visit_madt(info.rsdp, |entry| match entry {
        acpi::Entry::Cpu(id) => drop(info.apic_ids.try_push(id)),
        acpi::Entry::IoApic(base, gsi) => drop(info.io_apics.try_push((base, gsi))),
    });
    if info.io_apics.is_empty() {
        info.io_apics.push((IOAPIC_BASE, 0));
    }
}

/// Reserves the kernel's image and the structures that are read in place.
fn reserve_handover(info: &mut Info, start: &pvh::StartInfo, address: u32) {
    info.reserved.push(start::image());
    let mut keep = |address: u64, bytes: usize| {
        if address >= MIB {
            info.reserved.push((address, address + bytes as u64));
        }
    };
    keep(address as u64, size_of::<pvh::StartInfo>());
    keep(start.command_line, COMMAND_LINE_MAX);
    keep(
        start.modules,
        start.module_count as usize * size_of::<pvh::Module>(),
    );
    for module in pvh::table::<pvh::Module>(start.modules, start.module_count) {
        keep(module.command_line, ARGUMENTS_MAX);
    }
}

impl Info {
    /// Adds a module, or the modules that it contains.
    fn add_module(&mut self, module: BootModule) {
        let bytes = pvh::bytes_in_ram(module.address.0, module.size as usize);
        if !archive::is_archive(bytes) {
            let _ = self.modules.try_push(module);
            return;
        }
        self.archived = true;
        for file in archive::files(bytes) {
            let address = PhysAddr(module.address.0 + file.offset as u64);
            assert!(
                address.0.is_multiple_of(PAGE),
                "a module of the boot archive is not on a page boundary: pack it with scripts/build"
            );
            let arguments = core::str::from_utf8(file.name).unwrap_or_default();
            let file = BootModule {
                arguments,
                address,
                size: file.size as u64,
            };
            let _ = self.modules.try_push(file);
        }
    }
}

/// Extends the direct map to all RAM.
fn map_all_ram(info: &mut Info) {
    let Info { ram, reserved, .. } = info;
    let mut tables: Option<(u64, u64)> = None;
    let zeroed = ram_is_zero();
    for &(begin, end) in ram.iter() {
        start::map_ram(begin, end, || {
            let (first, next) = tables.unwrap_or_else(|| {
                let first = place_for_tables(ram, reserved);
                (first, first)
            });
            tables = Some((first, next + PAGE));
            let table = mm::Frame::containing(PhysAddr(next));
            if !zeroed {
                table.zero();
            }
            table.address()
        });
    }
    reserved.extend(tables);
}

/// Where the direct map's page tables can be: in RAM below 1 GiB, right after something reserved, and
/// clear of all that is.
fn place_for_tables(ram: &[(u64, u64)], reserved: &[(u64, u64)]) -> u64 {
    let end = ram.iter().map(|range| range.1).max().unwrap_or(0);
    let bytes = end.div_ceil(GIB) * PAGE;
    let is_free = |first: u64| {
        let last = first + bytes;
        let taken = |range: &&(u64, u64)| range.0 < last && first < range.1;
        first >= MIB
            && last <= GIB
            && ram.iter().any(|range| range.0 <= first && last <= range.1)
            && !reserved.iter().any(|range| taken(&range))
    };
    let ends = reserved.iter().map(|range| range.1.next_multiple_of(PAGE));
    let found = ends.filter(|&first| is_free(first)).min();
    found.expect("room for page tables below 1 GiB")
}

/// Whether RAM that the boot loader did not fill is zero: true of Ferrix's own monitor, while
/// firmware leaves things behind.
fn ram_is_zero() -> bool {
    features().contains(Features::EXIT_PORT)
}

/// Gives RAM to the allocator.
pub fn init_memory() {
    let mut info = INFO.lock();
    let memory = BootMemory {
        usable: &info.ram,
        reserved: &info.reserved,
        content: if ram_is_zero() {
            Content::Zero
        } else {
            Content::Dirty
        },
        root: start::root(),
    };
    mm::init(&memory).expect("enough RAM for the kernel's tables");
    if info.archived {
        // Whoever maps a module whole may clear what follows it in its last page.
        for module in &mut info.modules {
            module.arguments = Box::leak(Box::from(module.arguments));
        }
    }
}

/// Shows programs what they may know of the machine, in the information page.
#[expect(unsafe_code, reason = "the information page is shared with programs")]
pub fn publish(cpus: usize) {
    let line = command_line().as_bytes();
    // SAFETY: the page is the kernel's to write, no program runs yet, and the line was cut to fit.
    unsafe {
        let page = &mut *mm::info::kernel_info();
        page.cpus = cpus as u32;
        page.memory_bytes = memory_bytes();
        page.command_line_length = line.len() as u64;
        page.command_line[..line.len()].copy_from_slice(line);
    }
}
