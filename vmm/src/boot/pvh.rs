//! PVH start information (`hvm_start_info` version 1) and where everything of it lies.

use ferrix_machine::memory::{PVH_INFO_BASE, TABLES_BASE};
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::start_info::{
    hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use vm_memory::GuestAddress;

use super::{BootError, LoadedModule, memory_map, write_below};
use crate::memory::Ram;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
const VERSION: u32 = 1;
/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const TYPE_RAM: u32 = 1;

const MEMMAP_BASE: u64 = PVH_INFO_BASE + 0x100;
const MODLIST_BASE: u64 = PVH_INFO_BASE + 0x1000;
const STRINGS_BASE: u64 = PVH_INFO_BASE + 0x2000;
/// What fits between the list of modules and the strings.
const MAX_MODULES: usize = (STRINGS_BASE - MODLIST_BASE) as usize / size_of::<hvm_modlist_entry>();

/// Command lines one after the other, each ended by a zero byte.
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u64 {
        let address = STRINGS_BASE + self.0.len() as u64;
        self.0.extend(text.bytes().filter(|&b| b != 0));
        self.0.push(0);
        address
    }
}

/// Writes start info, memory map, module list and command lines. Returns the start info's address.
pub fn write(
    ram: &Ram,
    command_line: &str,
    modules: &[LoadedModule],
    rsdp: u64,
) -> Result<u64, BootError> {
    if modules.len() > MAX_MODULES {
        let size = (modules.len() * size_of::<hvm_modlist_entry>()) as u64;
        return Err(BootError::TablesTooLarge {
            size,
            limit: STRINGS_BASE - MODLIST_BASE,
        });
    }
    let mut strings = Strings(Vec::new());
    let cmdline_paddr = strings.add(command_line);
    let modlist: Vec<_> = modules
        .iter()
        .map(|module| hvm_modlist_entry {
            paddr: module.base,
            size: module.size,
            cmdline_paddr: strings.add(&module.args),
            reserved: 0,
        })
        .collect();
    let memmap: Vec<_> = memory_map(ram)
        .into_iter()
        .map(|(addr, size)| hvm_memmap_table_entry {
            addr,
            size,
            type_: TYPE_RAM,
            reserved: 0,
        })
        .collect();
    let start_info = hvm_start_info {
        magic: MAGIC,
        version: VERSION,
        flags: 0,
        nr_modules: modlist.len() as u32,
        modlist_paddr: if modlist.is_empty() { 0 } else { MODLIST_BASE },
        cmdline_paddr,
        rsdp_paddr: rsdp,
        memmap_paddr: MEMMAP_BASE,
        memmap_entries: memmap.len() as u32,
        reserved: 0,
    };
    write_below(ram, STRINGS_BASE, TABLES_BASE, &strings.0)?;
    let mut params = BootParams::new(&start_info, GuestAddress(PVH_INFO_BASE));
    params.set_sections(&memmap, GuestAddress(MEMMAP_BASE));
    params.set_modules(&modlist, GuestAddress(MODLIST_BASE));
    PvhBootConfigurator::write_bootparams(&params, ram).map_err(|_| BootError::TablesTooLarge {
        size: size_of::<hvm_start_info>() as u64,
        limit: TABLES_BASE - PVH_INFO_BASE,
    })?;
    Ok(PVH_INFO_BASE)
}
