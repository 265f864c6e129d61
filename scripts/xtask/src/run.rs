//! Boots the default image on a copy of its disk: by the monitor, or by QEMU without KVM.

use crate::image::copy_sparse;
use crate::tool;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tempfile::TempDir;

/// A machine of QEMU.
struct Machine {
    /// As `--machine` names it.
    name: &'static str,
    options: &'static [&'static str],
    /// How the names of its virtio devices end.
    bus: &'static str,
}

/// The first one is the default: devices announced on the command line. The second has them behind PCI.
const MACHINES: &[Machine] = &[
    Machine {
        name: "microvm",
        options: &[
            "-M",
            "microvm,acpi=off,rtc=on,x-option-roms=off",
            "-global",
            "virtio-mmio.force-legacy=false",
        ],
        bus: "device",
    },
    Machine {
        name: "q35",
        options: &["-M", "q35"],
        bus: "pci",
    },
];

const QEMU: &[&str] = &[
    "-cpu",
    "max",
    "-m",
    "256",
    "-display",
    "none",
    "-no-reboot",
    "-nodefaults",
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

/// Runs QEMU without KVM, with the machine that `--machine NAME` names; the other options are QEMU's.
/// `poweroff` ends it (always with status 0: the machine has no way to tell one).
pub fn boot_qemu(options: &[String]) -> Result<ExitCode> {
    let (machine, options) = match options {
        [option, name, rest @ ..] if option == "--machine" => (machine(name)?, rest),
        _ => (&MACHINES[0], options),
    };
    let (_folder, disk) = disk_copy()?;
    let mut qemu = qemu_with(machine, "tcg", &disk);
    finish(qemu.args(options), "qemu-system-x86_64")
}

fn machine(name: &str) -> Result<&'static Machine> {
    let found = MACHINES.iter().find(|machine| machine.name == name);
    found.with_context(|| {
        let names: Vec<_> = MACHINES.iter().map(|machine| machine.name).collect();
        format!("no machine `{name}`: expected {}", names.join(" or "))
    })
}

/// The command that boots the default image in QEMU's microvm by an accelerator, `tcg` or `kvm`.
pub fn qemu(accelerator: &str, disk: &Path) -> Command {
    qemu_with(&MACHINES[0], accelerator, disk)
}

fn qemu_with(machine: &Machine, accelerator: &str, disk: &Path) -> Command {
    let bus = machine.bus;
    let mut qemu = tool("qemu-system-x86_64");
    qemu.args(machine.options);
    qemu.args(["-accel", accelerator]).args(QEMU);
    for device in [
        format!("virtio-serial-{bus}"),
        "virtconsole,chardev=console".into(),
        format!("virtio-blk-{bus},drive=root"),
    ] {
        qemu.args(["-device", &device]);
    }
    let drive = format!("id=root,format=raw,if=none,file={}", disk.display());
    qemu.args(["-drive", &drive]);
    qemu
}

/// A copy of the root disk in a folder that goes when the value is dropped.
pub fn disk_copy() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::Builder::new()
        .prefix("boot-")
        .tempdir_in("target");
    let folder = folder.context("making a folder in target")?;
    let disk = folder.path().join("disk.img");
    copy_sparse(Path::new("target/image/root.img"), &disk)?;
    Ok((folder, disk))
}

/// Runs a command to its end; its status is ours.
pub fn finish(command: &mut Command, name: &str) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("running {name}"))?;
    Ok(ExitCode::from(status.code().unwrap_or(128) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_their_own_devices() {
        let line = |name| {
            let command = qemu_with(machine(name).unwrap(), "tcg", Path::new("a.img"));
            let words: Vec<_> = command
                .get_args()
                .map(|word| word.to_string_lossy())
                .collect();
            words.join(" ")
        };
        assert!(line("microvm").contains("virtio-blk-device,drive=root"));
        assert!(line("q35").starts_with("-M q35 ") && line("q35").contains("virtio-serial-pci"));
        let error = machine("pc").err().unwrap().to_string();
        assert_eq!(error, "no machine `pc`: expected microvm or q35");
    }
}
