//! The machine's initramfs: our init and the kernel modules it loads.

use super::kernel_modules::Modules;
use crate::archive::Archive;
use crate::{cargo, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What the machine needs: its way to the host's files and streams, and KVM.
const WANTED: &[&str] = &[
    "virtio_pci",
    "virtio_console",
    "virtiofs",
    "overlay",
    "kvm_amd",
];
const SOURCES: &str = "scripts/hardware-kvm-init";
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Makes `initramfs` if our init or the modules are newer.
pub fn update(modules: &Path, stamp: &Path, initramfs: &Path) -> Result<()> {
    let init = build_init()?;
    if !crate::build::is_newer(&init, initramfs)? && !crate::build::is_newer(stamp, initramfs)? {
        return Ok(());
    }
    let mut archive = Archive::aligned(4);
    archive.add_file("init", &init)?;
    let mut list = String::new();
    for module in Modules::find(modules)?.closure(WANTED)? {
        archive.add(&module.name, &module.image);
        list += &format!("{}\n", module.name);
    }
    archive.add("modules", list.as_bytes());
    // Others may be booting the old one.
    let fresh = initramfs.with_extension("new");
    archive.finish(&fresh)?;
    fs::rename(&fresh, initramfs).with_context(|| initramfs.display().to_string())
}

/// Asks cargo only if a source changed: it can wait long for other builds.
fn build_init() -> Result<PathBuf> {
    let program = Path::new("target")
        .join(TARGET)
        .join("programs/hardware-kvm-init");
    let sources = ["Cargo.toml", "src"].map(|name| Path::new(SOURCES).join(name));
    for source in crate::image::files_below(&sources[1])?
        .iter()
        .chain(&sources[..1])
    {
        if crate::build::is_newer(source, &program)? {
            build()?;
            break;
        }
    }
    Ok(program)
}

fn build() -> Result<()> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--profile",
        "programs",
        "--target",
        TARGET,
    ]);
    run(command.args(["--package", "hardware-kvm-init"]))
        .context("building hardware-kvm's init (`scripts/setup` adds its Rust target)")
}
