//! Boots the default image on a copy of its disk: by the monitor, or by QEMU without KVM.

use crate::image::copy_sparse;
use crate::tool;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tempfile::TempDir;

/// QEMU's `microvm` as the kernel likes it: devices announced on the command line.
const QEMU: &[&str] = &[
    "-M",
    "microvm,acpi=off,rtc=on,x-option-roms=off",
    "-cpu",
    "max",
    "-m",
    "256",
    "-display",
    "none",
    "-no-reboot",
    "-nodefaults",
    "-global",
    "virtio-mmio.force-legacy=false",
    "-kernel",
    "target/image/kernel",
    "-initrd",
    "target/image/modules.cpio",
    // The kernel's log goes to standard error, the console to standard output.
    "-chardev",
    "file,id=log,path=/dev/stderr",
    "-serial",
    "chardev:log",
    "-chardev",
    "stdio,id=console,signal=off",
    "-device",
    "virtio-serial-device",
    "-device",
    "virtconsole,chardev=console",
    "-device",
    "virtio-blk-device,drive=root",
];

/// Runs the monitor; its status is ours.
pub fn boot(options: &[String]) -> Result<ExitCode> {
    let (_folder, disk) = disk_copy()?;
    let mut vmm = Command::new("target/release/vmm");
    vmm.args(["run", "images/default.toml"]);
    let names_disk = |option: &String| option == "--disk" || option.starts_with("--disk=");
    if !options.iter().any(names_disk) {
        vmm.arg("--disk").arg(&disk);
    }
    finish(vmm.args(options), "target/release/vmm")
}

/// Runs QEMU without KVM; `poweroff` ends it (always with status 0: the machine has no way to tell one).
pub fn boot_qemu(options: &[String]) -> Result<ExitCode> {
    let (_folder, disk) = disk_copy()?;
    finish(qemu("tcg", &disk).args(options), "qemu-system-x86_64")
}

/// The command that boots the default image in QEMU by an accelerator, `tcg` or `kvm`.
pub fn qemu(accelerator: &str, disk: &Path) -> Command {
    let drive = format!("id=root,format=raw,if=none,file={}", disk.display());
    let mut qemu = tool("qemu-system-x86_64");
    qemu.args(["-accel", accelerator]).args(QEMU);
    qemu.args(["-drive", &drive]);
    qemu
}

/// A copy of the root disk in a folder that goes when the value is dropped.
fn disk_copy() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::Builder::new()
        .prefix("boot-")
        .tempdir_in("target");
    let folder = folder.context("making a folder in target")?;
    let disk = folder.path().join("disk.img");
    copy_sparse(Path::new("target/image/root.img"), &disk)?;
    Ok((folder, disk))
}

fn finish(command: &mut Command, name: &str) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("running {name}"))?;
    Ok(ExitCode::from(status.code().unwrap_or(128) as u8))
}
