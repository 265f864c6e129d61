//! From files to a machine that is ready to take its first instruction.
//!
//! [`kernel`] decodes and validates the kernel ([`elf`], [`bzimage`]) without touching RAM; [`load`] then fills
//! RAM: kernel, modules, ACPI tables ([`acpi`]) and what the kernel's boot protocol has it read: [`pvh`]
//! (Xen's `hvm_start_info.h` and the "x86/HVM direct boot ABI") or [`linux`].

pub mod acpi;
mod bzimage;
pub mod cmdline;
mod elf;
mod initrd;
pub mod kernel;
pub mod linux;
pub mod pvh;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ferrix_machine::memory::TABLES_BASE;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

pub use self::kernel::{KernelImage, Protocol, Segment};

use self::kernel::Defect;
use crate::config::{MachineConfig, MemorySize, Model, ModuleConfig, VmConfig};
use crate::memory::Ram;

const PAGE: u64 = 4096;
/// Modules start on the next such boundary after the kernel.
const MODULE_ALIGN: u64 = 2 << 20;

/// Why a kernel cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A kernel or module file cannot be opened or read.
    #[error("cannot read {what} {}: {source}; check the path, or build the image first (scripts/build)", path.display())]
    Read {
        /// `kernel` or `boot module`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The kernel is not one that this monitor can boot.
    #[error("cannot boot kernel {}: {defect}", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        defect: Defect,
    },
    /// A module does not fit.
    #[error("boot module {} ({size} bytes) does not fit in RAM of {memory}; give --memory a larger size", path.display())]
    ModuleTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The machine's RAM.
        memory: MemorySize,
    },
    /// The boot information does not fit below its limit.
    #[error(
        "the boot information takes {size} bytes but only {limit} fit; shorten --append, --command or the modules' args"
    )]
    TablesTooLarge {
        /// Bytes needed.
        size: u64,
        /// Bytes available.
        limit: u64,
    },
    /// Guest RAM refused a write that was checked before.
    #[error("cannot write boot information to guest RAM: {0}; give --memory a larger size")]
    Ram(#[from] vm_memory::GuestMemoryError),
}

impl BootError {
    fn read(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        let path = path.into();
        Self::Read { what, path, source }
    }

    fn kernel(path: &Path, defect: Defect) -> Self {
        let path = path.into();
        Self::Kernel { path, defect }
    }
}

/// A module in guest RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModule {
    /// Guest-physical address, page-aligned.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
    /// Its command line.
    pub args: String,
}

/// Where the first vCPU starts, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 32-bit protected mode.
    Pvh {
        /// Physical address of the first instruction (EIP).
        instruction: u64,
        /// Physical address of the start info (EBX).
        start_info: u64,
    },
    /// 64-bit mode.
    Linux {
        /// Physical address of the first instruction (RIP).
        instruction: u64,
        /// Physical address of the zero page (RSI).
        boot_params: u64,
    },
}

/// Opens a boot file for reading.
pub(crate) fn open(what: &'static str, path: &Path) -> Result<File, BootError> {
    let read = |source| BootError::read(what, path, source);
    let file = File::open(path).map_err(read)?;
    if file.metadata().map_err(read)?.is_dir() {
        return Err(read(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

/// Fills RAM with all that the kernel expects. Returns the entry state's addresses.
pub fn load(config: &VmConfig, kernel: &KernelImage, ram: &Ram) -> Result<Entry, BootError> {
    let MachineConfig { model, announce } = config.machine;
    kernel.check_fits(config.memory)?;
    kernel.load(ram)?;
    let modules = match (model, &kernel.protocol) {
        (Model::Firecracker, Protocol::Pvh) => load_initrd(&config.modules, kernel.end(), ram)?,
        _ => load_modules(&config.modules, kernel, ram, config.memory)?,
    };
    let write = || acpi::write(ram, config.cpus, model, config.devices());
    let tables = announce.has_tables().then(write).transpose()?;
    // Firecracker leaves the guest to find them.
    let rsdp = tables.filter(|_| model.is_ferrix()).unwrap_or(0);
    let command_line = cmdline::build(config);
    let instruction = kernel.entry;
    Ok(match &kernel.protocol {
        Protocol::Pvh => Entry::Pvh {
            instruction,
            start_info: pvh::write(ram, &command_line, &modules, rsdp)?,
        },
        Protocol::Linux(header) => Entry::Linux {
            instruction,
            boot_params: linux::write(ram, header, &command_line, &modules, rsdp)?,
        },
    })
}

fn load_modules(
    modules: &[ModuleConfig],
    kernel: &KernelImage,
    ram: &Ram,
    memory: MemorySize,
) -> Result<Vec<LoadedModule>, BootError> {
    let limit = memory.bytes().min(kernel.modules_limit());
    let mut next = kernel.end().next_multiple_of(MODULE_ALIGN);
    let mut loaded = Vec::with_capacity(modules.len());
    for module in modules {
        let read = |source| BootError::read("boot module", &module.path, source);
        let mut file = open("boot module", &module.path)?;
        let size = file.metadata().map_err(read)?.len();
        let end = next.saturating_add(size);
        if end > limit {
            return Err(BootError::ModuleTooLarge {
                path: module.path.clone(),
                size,
                memory,
            });
        }
        read_into(ram, next, &mut file, size).map_err(read)?;
        loaded.push(LoadedModule {
            base: next,
            size,
            args: module.args.clone(),
        });
        next = end.next_multiple_of(PAGE);
    }
    Ok(loaded)
}

/// Puts all modules into one initrd, at the end of RAM below the hole.
fn load_initrd(
    modules: &[ModuleConfig],
    kernel_end: u64,
    ram: &Ram,
) -> Result<Vec<LoadedModule>, BootError> {
    let mut contents = Vec::with_capacity(modules.len());
    for module in modules {
        let mut content = Vec::new();
        let read = |source| BootError::read("boot module", &module.path, source);
        let mut file = open("boot module", &module.path)?;
        file.read_to_end(&mut content).map_err(read)?;
        contents.push((module.args.clone(), content));
    }
    let archive = initrd::archive(&contents);
    let size = archive.len() as u64;
    let end = memory_map(ram)
        .get(1)
        .map_or(0, |(start, size)| start + size);
    let base = end.saturating_sub(size) / PAGE * PAGE;
    let path = modules.first().map(|module| module.path.clone());
    if base < kernel_end {
        return Err(BootError::ModuleTooLarge {
            path: path.unwrap_or_default(),
            size,
            memory: MemorySize::from_bytes(end),
        });
    }
    ram.write_slice(&archive, GuestAddress(base))?;
    Ok(vec![LoadedModule {
        base,
        size,
        args: String::new(),
    }])
}

/// Reads `size` bytes of `file` into RAM.
pub(crate) fn read_into(ram: &Ram, base: u64, file: &mut File, size: u64) -> std::io::Result<()> {
    ram.read_exact_volatile_from(GuestAddress(base), file, size as usize)
        .map_err(std::io::Error::other)
}

/// Writes a table that must lie inside `base..limit`.
pub(crate) fn write_below(ram: &Ram, base: u64, limit: u64, bytes: &[u8]) -> Result<(), BootError> {
    if bytes.len() as u64 > limit - base {
        return Err(BootError::TablesTooLarge {
            size: bytes.len() as u64,
            limit: limit - base,
        });
    }
    Ok(ram.write_slice(bytes, GuestAddress(base))?)
}

/// The memory map in E820 terms: what is RAM, without the tables' area below 1 MiB.
pub fn memory_map(ram: &Ram) -> Vec<(u64, u64)> {
    use vm_memory::{Address, GuestMemoryRegion};
    let mut map = vec![(0, TABLES_BASE)];
    for region in ram.iter() {
        let start = region.start_addr().raw_value().max(1 << 20);
        map.push((start, region.last_addr().raw_value() + 1 - start));
    }
    map
}

#[cfg(test)]
mod tests;
