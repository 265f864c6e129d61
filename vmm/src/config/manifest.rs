//! The image manifest: a TOML file that names what an image consists of.
//!
//! Paths in it are relative to the folder that holds it. The fields are documented in
//! `vmm/README.md`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::console::target::Target;

use super::{
    ConfigError, DEFAULT_MEMORY, DiskConfig, DiskMode, FileSystem, MachineConfig, MemorySize,
    ModuleConfig, VmConfig,
};

/// The manifest as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    kernel: PathBuf,
    cpus: Option<u32>,
    memory: Option<MemorySize>,
    #[serde(default)]
    append: String,
    command: Option<String>,
    root: Option<FileSystem>,
    #[serde(default)]
    console: Target,
    #[serde(default, rename = "module")]
    modules: Vec<Module>,
    #[serde(default, rename = "disk")]
    disks: Vec<Disk>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Module {
    path: PathBuf,
    args: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDisk {
    path: PathBuf,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    snapshot: bool,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenDisk")]
struct Disk {
    path: PathBuf,
    mode: DiskMode,
}

impl TryFrom<WrittenDisk> for Disk {
    type Error = &'static str;

    fn try_from(written: WrittenDisk) -> Result<Self, Self::Error> {
        let mode = match (written.read_only, written.snapshot) {
            (false, false) => DiskMode::ReadWrite,
            (true, false) => DiskMode::ReadOnly,
            (false, true) => DiskMode::Snapshot,
            (true, true) => return Err("a disk is `read_only` or a `snapshot`, not both"),
        };
        Ok(Self {
            path: written.path,
            mode,
        })
    }
}

impl Manifest {
    /// Reads a manifest file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::Parse {
            path: path.into(),
            message: "it is no text (UTF-8); name an image manifest, or boot a kernel by --kernel"
                .into(),
        })?;
        Self::parse(&text, path)
    }

    /// Parses a manifest; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Parse {
            path: path.into(),
            message: error.to_string().trim_end().to_string(),
        })
    }

    /// Resolves paths against the manifest's folder and fills in defaults.
    pub fn into_config(self, folder: &Path) -> VmConfig {
        VmConfig {
            machine: MachineConfig::default(),
            kernel: folder.join(self.kernel),
            modules: self
                .modules
                .into_iter()
                .map(|m| m.into_config(folder))
                .collect(),
            disks: self
                .disks
                .into_iter()
                .map(|d| DiskConfig {
                    path: folder.join(d.path),
                    mode: d.mode,
                    holds: None,
                })
                .collect(),
            cpus: self.cpus.unwrap_or(1),
            memory: self.memory.unwrap_or(DEFAULT_MEMORY),
            append: self.append,
            command: self.command,
            root: self.root,
            console: self.console.below(folder),
        }
    }
}

impl Module {
    fn into_config(self, folder: &Path) -> ModuleConfig {
        let name = || {
            self.path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
        };
        let args = self.args.clone().or_else(name).unwrap_or_default();
        ModuleConfig {
            path: folder.join(&self.path),
            args,
        }
    }
}
