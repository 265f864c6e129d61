//! What machine to build: the manifest and the command line joined into one [`VmConfig`].

mod machine;
mod manifest;
mod size;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use ferrix_machine::{cmdline, memory, virtio_mmio};

pub use machine::{Announce, MachineConfig, Model, Windows};
pub use manifest::Manifest;
pub use size::MemorySize;

use crate::cli::RunOptions;
use crate::console::target::Target;

/// RAM of a machine that names no size.
pub const DEFAULT_MEMORY: MemorySize = MemorySize::mib(256);
/// vCPUs that the ACPI tables and the xAPIC identifiers can number.
pub const MAX_CPUS: u32 = 64;
/// Console and entropy source take the windows after the disks.
const FIXED_DEVICES: usize = 2;

/// Everything needed to build the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmConfig {
    /// Which machine is presented.
    pub machine: MachineConfig,
    /// Kernel ELF.
    pub kernel: PathBuf,
    /// Boot modules in order.
    pub modules: Vec<ModuleConfig>,
    /// Disks in order; the first is the root.
    pub disks: Vec<DiskConfig>,
    /// Number of vCPUs, at least 1.
    pub cpus: u32,
    /// RAM.
    pub memory: MemorySize,
    /// The user's part of the kernel's command line.
    pub append: String,
    /// Command to run in the guest instead of a shell.
    pub command: Option<String>,
    /// The file system that the first disk must hold.
    pub root: Option<FileSystem>,
    /// Where the guest's console is.
    pub console: Target,
}

/// A file system that a disk can be required to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// ext2: the magic number 0xEF53 in the superblock at byte 1024.
    Ext2,
}

/// A boot module: a file that is in RAM before the kernel starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleConfig {
    /// The file.
    pub path: PathBuf,
    /// Its command line; the first word is the module's name.
    pub args: String,
}

/// What a guest may do with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskMode {
    /// Read and write it.
    ReadWrite,
    /// Read it.
    ReadOnly,
    /// Read it, and write to a private copy that is dropped at the end.
    Snapshot,
}

impl DiskMode {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A disk: `FILE`, `FILE,ro` or `FILE,snapshot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// The raw image.
    pub path: PathBuf,
    /// What the guest may do with it.
    pub mode: DiskMode,
    /// What it must hold.
    pub holds: Option<FileSystem>,
}

impl FromStr for DiskConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, mode) = match text.rsplit_once(',') {
            Some((path, "ro")) => (path, DiskMode::ReadOnly),
            Some((path, "snapshot")) => (path, DiskMode::Snapshot),
            _ => (text, DiskMode::ReadWrite),
        };
        if path.is_empty() {
            return Err("the file name is empty; write FILE, FILE,ro or FILE,snapshot".into());
        }
        Ok(Self {
            path: path.into(),
            mode,
            holds: None,
        })
    }
}

/// Why options or manifest do not describe a machine.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Options that contradict each other or are out of range.
    #[error("{0}")]
    Usage(String),
    /// The manifest cannot be read.
    #[error("cannot read image manifest {}: {source}; name an existing image, e.g. images/default.toml", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The manifest is not what a manifest should be; the source has line and column.
    #[error("bad image manifest {}: {message}", path.display())]
    Parse {
        /// The manifest.
        path: PathBuf,
        /// TOML's message with line, column and excerpt.
        message: String,
    },
    /// The machine is too small for the kernel.
    #[error(
        "memory of {size} is too little: the kernel and its servers need at least {}; \
         give --memory a larger size",
        MemorySize::from_bytes(memory::MIN_RAM)
    )]
    TooLittleMemory {
        /// What was asked for.
        size: MemorySize,
    },
}

impl VmConfig {
    /// Joins the command line with the manifest it names, and checks the result.
    pub fn load(options: &RunOptions) -> Result<Self, ConfigError> {
        let mut config = match (&options.image, &options.kernel) {
            (Some(image), _) => Self::from_image(image)?,
            (None, Some(kernel)) => Self::from_kernel(kernel, options.initrd.as_deref()),
            (None, None) => return Err(ConfigError::Usage("name an image or --kernel".into())),
        };
        config.apply(options);
        config.check()?;
        Ok(config)
    }

    fn from_image(image: &Path) -> Result<Self, ConfigError> {
        let manifest = Manifest::read(image)?;
        Ok(manifest.into_config(image.parent().unwrap_or(Path::new(""))))
    }

    fn from_kernel(kernel: &Path, initrd: Option<&Path>) -> Self {
        let module = |path: &Path| ModuleConfig {
            path: path.into(),
            args: "initrd".into(),
        };
        let modules = initrd.map(module).into_iter().collect();
        Self {
            machine: MachineConfig::default(),
            kernel: kernel.into(),
            modules,
            disks: Vec::new(),
            cpus: 1,
            memory: DEFAULT_MEMORY,
            append: String::new(),
            command: None,
            root: None,
            console: Target::default(),
        }
    }

    fn apply(&mut self, options: &RunOptions) {
        self.machine = options.machine.unwrap_or_default();
        self.cpus = options.cpus.unwrap_or(self.cpus);
        self.memory = options.memory.unwrap_or(self.memory);
        if let Some(console) = &options.console {
            self.console.clone_from(console);
        }
        if !options.disks.is_empty() {
            self.disks.clone_from(&options.disks);
        }
        if let Some(first) = self.disks.first_mut() {
            first.holds = self.root;
        }
        if options.command.is_some() {
            self.command.clone_from(&options.command);
        }
        for more in &options.append {
            if !self.append.is_empty() {
                self.append.push(' ');
            }
            self.append.push_str(more);
        }
    }

    /// Whether the terminal is on the UART, as the machine has it or the kernel's command line wants it
    /// (`ferrix_machine::cmdline::CONSOLE`); then there is no virtio-console.
    pub fn has_serial_terminal(&self) -> bool {
        let words = self.append.split_ascii_whitespace();
        let mut values =
            words.filter_map(|word| word.strip_prefix(cmdline::CONSOLE)?.strip_prefix('='));
        let name = values.next_back().and_then(|value| value.split(',').next());
        !self.machine.model.is_ferrix()
            || name.is_some_and(|name| cmdline::SERIAL_CONSOLES.contains(&name))
    }

    /// How many virtio devices the machine has: disks, console, entropy source.
    pub fn devices(&self) -> usize {
        self.disks.len() + FIXED_DEVICES - usize::from(self.has_serial_terminal())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.cpus == 0 || self.cpus > MAX_CPUS {
            let cpus = self.cpus;
            let message = format!("{cpus} CPUs are not possible; give --cpus 1 to {MAX_CPUS}");
            return Err(ConfigError::Usage(message));
        }
        let most = virtio_mmio::MAX_DEVICES - FIXED_DEVICES;
        let disks = self.disks.len();
        if disks > most {
            let message = format!("{disks} disks are too many; attach at most {most}");
            return Err(ConfigError::Usage(message));
        }
        if self.memory.bytes() < memory::MIN_RAM {
            return Err(ConfigError::TooLittleMemory { size: self.memory });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
