//! The PVH boot protocol (Xen `docs/misc/pvh.pandoc`, `start_info.h`) and the RAM it describes.

use super::{Check, list};
use crate::Machine;
use crate::arch::{phys, start};
use crate::info::{MAGIC, RAM, Region};
use crate::verdict::{Verdict, equal, holds, needs, there, within};

/// All of this file.
pub const CHECKS: &[Check] =
    list!("pvh_": entry_state, start_info, memory_map, command_line, modules, ram, high_ram);

/// "x86/HVM direct boot ABI": protected mode without paging, CR4 clear, VM, IF and TF clear.
fn entry_state(_: &Machine) -> Verdict {
    const PE: u32 = 1;
    const PG: u32 = 1 << 31;
    const TF_IF_VM: u32 = 1 << 8 | 1 << 9 | 1 << 17;
    let state = start::entry_state();
    equal("CR0.PE and CR0.PG", state.cr0 & (PE | PG), PE)?;
    equal("CR4", state.cr4, 0u32)?;
    equal("EFLAGS.TF, IF and VM", state.eflags & TF_IF_VM, 0u32)
}

/// `hvm_start_info`: magic, a version with a memory map, the structure itself in RAM.
fn start_info(machine: &Machine) -> Verdict {
    let info = machine.info;
    equal("magic", info.magic(), MAGIC)?;
    within("version", info.version().into(), 1..=1)?;
    equal("alignment of the structure", info.address() % 4, 0u64)?;
    let (own, address) = (start::image(), info.address());
    holds(
        "the structure is apart from the kernel",
        address + 56 <= own.start || address >= own.end,
    )
}

fn ram_regions(machine: &Machine) -> impl Iterator<Item = Region> + Clone {
    machine
        .info
        .memory_map()
        .filter(|region| region.kind == RAM)
}

/// `hvm_memmap_table_entry`: types as E820, no overlap, and RAM where the kernel was loaded.
fn memory_map(machine: &Machine) -> Verdict {
    let map = machine.info.memory_map();
    within("entries", map.clone().count() as u64, 1..=128)?;
    let mut last_end = 0;
    // QEMU's firmware ends its list with an entry of no bytes and type 0, which says nothing.
    for region in map.clone().filter(|region| region.size > 0) {
        within("type of an entry", region.kind.into(), 1..=12)?;
        within("size of an entry", region.size, 1..=1 << 52)?;
        // Both machines list addresses in ascending order, as firmware does (ACPI 6.5, 15.1).
        within("start of an entry", region.base, last_end..=u64::MAX)?;
        last_end = region.end();
    }
    let image = start::image();
    holds(
        "the loaded kernel is in RAM",
        machine.info.is_ram(image.start, image.end - image.start),
    )?;
    for (name, base) in [("local APIC", 0xfee0_0000), ("I/O APIC", 0xfec0_0000)] {
        let over =
            ram_regions(machine).any(|region| region.base < base + 0x1000 && base < region.end());
        holds(
            if name == "local APIC" {
                "no RAM at the local APIC"
            } else {
                "no RAM at the I/O APIC"
            },
            !over,
        )?;
    }
    Ok(())
}

/// `cmdline_paddr`: text with a zero byte at its end.
fn command_line(machine: &Machine) -> Verdict {
    let (address, text) = machine.info.command_line();
    needs(address != 0, "no command line was passed")?;
    let text = there("an ASCII command line that ends", text)?;
    // The one who runs this says so, to know that all of it arrives.
    holds(
        "the word `checks` is on it",
        text.split(' ').any(|word| word == "checks"),
    )
}

/// `hvm_modlist_entry`: modules lie in RAM, apart from the kernel, with their content.
fn modules(machine: &Machine) -> Verdict {
    let image = start::image();
    needs(
        machine.info.modules().next().is_some(),
        "no module was passed",
    )?;
    for module in machine.info.modules() {
        within("size of a module", module.size, 1..=1 << 32)?;
        holds(
            "a module is in RAM",
            machine.info.is_ram(module.base, module.size),
        )?;
        let apart = module.base >= image.end || module.base + module.size <= image.start;
        holds("a module is apart from the kernel", apart)?;
        // The one who runs this passes the manifest, which is text.
        let content = there("a module", phys::bytes(module.base, module.size as usize))?;
        equal("first byte of the module", content[0], b'#')?;
        equal("last byte of the module", content[content.len() - 1], b'\n')?;
        holds(
            "its command line ends",
            module.text == 0 || phys::text(module.text, 4096).is_some(),
        )?;
    }
    Ok(())
}

/// Addresses to try: both ends of each region, and one in each 16 MiB between them.
fn samples(machine: &Machine) -> impl Iterator<Item = u64> + Clone {
    let info = machine.info;
    let image = start::image();
    ram_regions(machine)
        .flat_map(|region| {
            let (first, end) = (
                region.base.max(0x8000).next_multiple_of(8),
                region.end().min(phys::END),
            );
            let between = (first..end.max(first)).step_by(16 << 20).take(96);
            between.chain([end & !7].map(|end| end.saturating_sub(8)))
        })
        .filter(move |&at| {
            let taken = info.address() & !0xfff..info.address() + 0x1000;
            (0x8000..phys::END).contains(&at)
                && !image.contains(&at)
                && !taken.contains(&at)
                && info.is_ram(at, 8)
        })
        .filter(move |&at| !(0x9_0000..0x10_0000).contains(&at))
}

/// All RAM of the map is memory: each word keeps its own value.
fn ram(machine: &Machine) -> Verdict {
    keeps_values(machine, 0)
}

fn keeps_values(machine: &Machine, from: u64) -> Verdict {
    const PATTERN: u64 = 0xa5c3_0f96_0000_0000;
    let places = || samples(machine).filter(move |&at| at >= from).take(MOST);
    const MOST: usize = 128;
    let mut kept = [0; MOST];
    // Each place holds its address: two places that are one memory show the later one's.
    for (at, kept) in places().zip(&mut kept) {
        *kept = phys::read::<u64>(at);
        phys::write(at, at ^ PATTERN);
    }
    let wrong = places().find(|&at| phys::read::<u64>(at) != at ^ PATTERN);
    let seen = wrong.map_or(0, phys::read::<u64>);
    for (at, &kept) in places().zip(&kept) {
        phys::write(at, kept);
    }
    match wrong {
        None => Ok(()),
        Some(at) => equal("a word of RAM (the address, mixed)", seen, at ^ PATTERN),
    }
}

/// RAM that does not fit below 4 GiB is above.
fn high_ram(machine: &Machine) -> Verdict {
    const HIGH: u64 = 1 << 32;
    needs(
        ram_regions(machine).any(|region| region.base >= HIGH),
        "no RAM above 4 GiB was given",
    )?;
    keeps_values(machine, HIGH)
}
