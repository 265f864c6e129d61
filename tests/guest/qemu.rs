//! The same kernel, modules and disk on a machine that is not ours: QEMU's microvm, emulated.
//!
//! It has no exit port, no frequency leaf, no ACPI here; its virtio devices are announced on the command line,
//! two in one page, and its console is virtio-console. What runs here follows the specifications.

use std::time::Duration;

use crate::trial::needing;
use anyhow::Result;
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, PROMPT, Wiring};
use libtest_mimic::Trial;

/// QEMU's own start and a boot in emulation, beside other work of the machine.
const EMULATED_BOOT_TIME: Duration = Duration::from_secs(40);

pub fn trials() -> Vec<Trial> {
    vec![needing("qemu::microvm_without_kvm", &[Need::Qemu], microvm)]
}

fn microvm() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = start(&disk)?;
    guest.expect(PROMPT, EMULATED_BOOT_TIME)?;
    guest.check("echo hello | wc -c", "6\n")?;
    let message = std::fs::read_to_string(host::root().join("images/rootfs/etc/motd"))?;
    guest.check("cat /etc/motd", &message)?;
    guest.check(
        "seq 1 1000 > /home/numbers; sync; tail -1 /home/numbers",
        "1000\n",
    )?;
    // A reset ends QEMU; there is no port for a status.
    guest.power_off(0)?;
    disk.check()
}

fn start(disk: &Disk) -> Result<Guest> {
    let mut qemu = host::tool("qemu-system-x86_64");
    qemu.args(["-M", "microvm,acpi=off,rtc=on,x-option-roms=off"])
        .args(["-accel", "tcg", "-cpu", "max", "-m", "256"])
        .args(["-display", "none", "-no-reboot", "-nodefaults"])
        .args(["-global", "virtio-mmio.force-legacy=false"])
        .arg("-kernel")
        .arg(host::built("image/kernel")?)
        .arg("-initrd")
        .arg(host::built("image/modules.cpio")?)
        .args(["-chardev", "file,id=log,path=/dev/stderr"])
        .args(["-serial", "chardev:log"])
        .args(["-chardev", "stdio,id=console,signal=off"])
        .args(["-device", "virtio-serial-device"])
        .args(["-device", "virtconsole,chardev=console"])
        .arg("-drive")
        .arg(format!(
            "id=root,format=raw,if=none,file={}",
            disk.path().display()
        ))
        .args(["-device", "virtio-blk-device,drive=root"]);
    Guest::start(qemu, Wiring::Terminal)
}
