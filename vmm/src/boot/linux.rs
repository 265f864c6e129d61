//! Linux's 64-bit boot protocol (`Documentation/arch/x86/boot.rst`): the zero page, and the state of the
//! processor that the protocol wants in memory: a descriptor table and page tables for the first 4 GiB.

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params};
use vm_memory::{Bytes, GuestAddress};

use super::bzimage::SetupHeader;
use super::{BootError, LoadedModule, memory_map, write_below};
use crate::memory::Ram;

/// The descriptor table: null, unused, `__BOOT_CS` (0x10), `__BOOT_DS` (0x18).
pub const GDT: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
/// Where it is.
pub const GDT_BASE: u64 = 0x500;
/// Where the page tables begin (what CR3 holds).
pub const PAGE_TABLES: u64 = 0x9000;
const ZERO_PAGE: u64 = 0x7000;
const COMMAND_LINE: u64 = 0x2_0000;
/// Longer command lines would meet the page at 0x30000 and are no use to Linux either.
const COMMAND_LINE_LIMIT: u64 = 0x3_0000;

const E820_RAM: u32 = 1;
/// "Undefined" boot loader: those that have no number of their own.
const LOADER: u8 = 0xff;
const PRESENT_WRITABLE: u64 = 0b11;
const LARGE: u64 = 1 << 7;
const ENTRIES: u64 = 512;
/// One page directory maps 1 GiB.
const DIRECTORIES: u64 = 4;

/// Writes all that the kernel reads; returns the zero page's address. All modules together are the
/// initrd: Linux reads archives that follow each other.
pub fn write(
    ram: &Ram,
    header: &SetupHeader,
    command_line: &str,
    modules: &[LoadedModule],
    rsdp: u64,
) -> Result<u64, BootError> {
    let mut params = boot_params {
        hdr: header.0,
        acpi_rsdp_addr: rsdp,
        ..Default::default()
    };
    params.hdr.type_of_loader = LOADER;
    params.hdr.cmd_line_ptr = COMMAND_LINE as u32;
    if let (Some(first), Some(last)) = (modules.first(), modules.last()) {
        params.hdr.ramdisk_image = first.base as u32;
        params.hdr.ramdisk_size = (last.base + last.size - first.base) as u32;
    }
    let map = memory_map(ram);
    params.e820_entries = map.len() as u8;
    for (entry, (addr, size)) in params.e820_table.iter_mut().zip(map) {
        *entry = boot_e820_entry {
            addr,
            size,
            r#type: E820_RAM,
        };
    }
    let limit = COMMAND_LINE + u64::from(header.0.cmdline_size) + 1;
    let mut text: Vec<u8> = command_line.bytes().filter(|&byte| byte != 0).collect();
    text.push(0);
    write_below(ram, COMMAND_LINE, limit.min(COMMAND_LINE_LIMIT), &text)?;
    ram.write_obj(params, GuestAddress(ZERO_PAGE))?;
    ram.write_slice(&little_endian(GDT), GuestAddress(GDT_BASE))?;
    ram.write_slice(&page_tables(), GuestAddress(PAGE_TABLES))?;
    Ok(ZERO_PAGE)
}

/// Maps the first 4 GiB to themselves by 2 MiB pages: a root, a pointer table, four directories.
fn page_tables() -> Vec<u8> {
    const PAGE: u64 = 4096;
    let pointers = PAGE_TABLES + PAGE;
    let directory = |index| pointers + (1 + index) * PAGE;
    let table = |entries: u64, entry: &dyn Fn(u64) -> u64| {
        let words = (0..ENTRIES).map(|index| if index < entries { entry(index) } else { 0 });
        little_endian(words)
    };
    let mut bytes = table(1, &|_| pointers | PRESENT_WRITABLE);
    bytes.extend(table(DIRECTORIES, &|index| {
        directory(index) | PRESENT_WRITABLE
    }));
    for gigabyte in 0..DIRECTORIES {
        let page = |index| (gigabyte * ENTRIES + index) << 21 | LARGE | PRESENT_WRITABLE;
        bytes.extend(table(ENTRIES, &page));
    }
    bytes
}

fn little_endian(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}
