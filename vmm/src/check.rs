//! `vmm check`: says what would run, and everything that is wrong with it, without running.
//!
//! The same code as that of a run decodes, opens and loads; KVM, and the places of console, debugger and trace, are
//! left alone.

use std::fmt::Write;

use crate::boot::{self, KernelImage};
use crate::cli::RunOptions;
use crate::config::{DiskConfig, MemorySize, VmConfig};
use crate::disk::{Disk, SECTOR};
use crate::error::VmmError;
use crate::memory;

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings {
    /// One line each: what would run.
    pub plan: String,
    /// What is wrong, in the order in which a run would meet it.
    pub problems: Vec<VmmError>,
}

/// Checks what `vmm run` with these options would run. An error says why not even that is known.
pub fn check(options: &RunOptions) -> Result<Findings, VmmError> {
    let config = VmConfig::load(options)?;
    let mut findings = Findings::default();
    findings.machine(&config);
    match KernelImage::open(&config.kernel) {
        Ok(kernel) => findings.kernel(&config, &kernel),
        Err(error) => findings.problems.push(error.into()),
    }
    for (index, disk) in config.disks.iter().enumerate() {
        findings.disk(index, disk);
    }
    Ok(findings)
}

impl Findings {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.plan, "{name:<9}{value}");
    }

    fn machine(&mut self, config: &VmConfig) {
        let cpus = match config.cpus {
            1 => "1 CPU".to_owned(),
            cpus => format!("{cpus} CPUs"),
        };
        let terminal = match config.has_serial_terminal() {
            true => "UART",
            false => "virtio-console",
        };
        let model = config.machine.model.name();
        let value = format!(
            "{model}: {cpus}, {} of RAM, terminal on {terminal} ({})",
            config.memory, config.console
        );
        self.line("machine", &value);
        self.line("cmdline", &boot::cmdline::build(config));
    }

    /// The kernel, and what is loaded with it.
    fn kernel(&mut self, config: &VmConfig, kernel: &KernelImage) {
        let (path, kind, entry) = (config.kernel.display(), kernel.kind, kernel.entry);
        let value = format!(
            "{path}: {kind}, entry {entry:#x}, up to {:#x}",
            kernel.end()
        );
        self.line("kernel", &value);
        for module in &config.modules {
            let (path, words) = (module.path.display(), &module.args);
            let value = match std::fs::metadata(&module.path) {
                Ok(file) => format!("{path}: {} bytes, `{words}`", file.len()),
                Err(error) => format!("{path}: {error}"),
            };
            self.line("module", &value);
        }
        let loaded = memory::allocate(config.memory)
            .map_err(VmmError::host("reserve guest RAM"))
            .and_then(|ram| Ok(boot::load(config, kernel, &ram)?));
        self.problems.extend(loaded.err());
    }

    fn disk(&mut self, index: usize, config: &DiskConfig) {
        match Disk::open(config) {
            Ok(disk) => {
                let size = MemorySize::from_bytes(disk.sectors * SECTOR);
                let mode = config.mode.name();
                let value = format!("{}: {size}, {mode}", config.path.display());
                self.line(&format!("disk {index}"), &value);
            }
            Err(error) => self.problems.push(error.into()),
        }
    }
}
