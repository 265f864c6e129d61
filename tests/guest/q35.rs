//! Machines whose virtio devices are behind PCI: QEMU's q35, and its microvm with PCI.
//!
//! The kernel and the servers are the same; what differs is how devices are found (ACPI tells where configuration
//! space is, init looks through it) and how they interrupt (by messages).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::trial::{everywhere, except, needs, on_qemu, slow};
use anyhow::{Result, ensure};
use ferrix_tests::guest::BOOT_TIME;
use ferrix_tests::host::{self, Need};

use ferrix_tests::{Disk, Guest, Machine, PROMPT, Wiring};
use libtest_mimic::Trial;

const NO_PCI: &str = "the monitor's machine has no PCI";

/// QEMU's firmware assigns addresses to the devices of a q35, and to none of a microvm.
const Q35: &str = "q35";
const MICROVM: &str = "microvm,acpi=on,pcie=on,rtc=on,x-option-roms=off";

pub fn trials() -> Vec<Trial> {
    vec![
        on_qemu("q35::one_cpu", NO_PCI, || works(Q35, "max", 1)),
        on_qemu("q35::four_cpus", NO_PCI, || works(Q35, "max", 4)),
        slow(on_qemu("q35::oldest_processor", NO_PCI, || {
            works(Q35, "qemu64", 2)
        })),
        on_qemu("q35::microvm_with_pci", NO_PCI, || works(MICROVM, "max", 2)),
        on_qemu("q35::i440fx", NO_PCI, || works("pc", "max", 2)),
        on_qemu("q35::disks_by_place", NO_PCI, disks_by_place),
        on_qemu("q35::device_without_vectors", NO_PCI, without_vectors),
        on_qemu("q35::memory_above_4_gib", NO_PCI, memory_above_4_gib),
        on_hardware("q35::by_hardware_kvm", by_kvm),
    ]
}

/// A trial of QEMU with KVM.
fn on_hardware(name: &str, test: fn() -> Result<()>) -> Trial {
    let trial = needs(everywhere(name, test), &[Need::Qemu]);
    let trial = except(trial, Machine::Kvm, "QEMU needs a hardware KVM");
    except(trial, Machine::Qemu, "QEMU needs a hardware KVM")
}

/// A computer before its start.
struct Computer {
    command: Command,
}

impl Computer {
    /// With a console and the default programs, but no disk.
    fn new(machine: &str, accelerator: &str, cpu: &str, cpus: u32) -> Result<Computer> {
        let mut command = host::tool("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-M", machine, "-accel", accelerator, "-cpu", cpu])
            .args(["-smp", &cpus.to_string()])
            .args(["-display", "none", "-no-reboot", "-nodefaults"])
            .args(["-append", "exit_port=0xf4"])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
            .args(["-chardev", "file,id=log,path=/dev/stderr"])
            .args(["-serial", "chardev:log"])
            .args(["-chardev", "stdio,id=console,signal=off"])
            .args(["-device", "virtio-serial-pci"])
            .args(["-device", "virtconsole,chardev=console"])
            .arg("-kernel")
            .arg(host::built("image/kernel")?)
            .arg("-initrd")
            .arg(host::built("image/modules.cpio")?);
        Ok(Computer { command })
    }

    fn memory(mut self, memory: &str) -> Computer {
        self.command.args(["-m", memory]);
        self
    }

    /// Adds any device.
    fn device(mut self, device: &str) -> Computer {
        self.command.args(["-device", device]);
        self
    }

    /// Adds a disk with these properties.
    fn disk(mut self, name: &str, image: &Path, properties: &str) -> Computer {
        let drive = format!("id={name},format=raw,if=none,file={}", image.display());
        self.command.args(["-drive", &drive]);
        self.device(&format!("virtio-blk-pci,drive={name}{properties}"))
    }

    fn start(self) -> Result<Guest> {
        Guest::start_on(Machine::Qemu, self.command, Wiring::Terminal)
    }
}

fn tcg(machine: &str, cpu: &str, cpus: u32) -> Result<Computer> {
    Computer::new(machine, "tcg,thread=multi", cpu, cpus)
}

/// Boots, reads, writes, ends, and leaves a clean file system.
fn works(machine: &str, cpu: &str, cpus: u32) -> Result<()> {
    let disk = Disk::copy()?;
    let computer = tcg(machine, cpu, cpus)?.memory("256");
    uses_disk(computer, &disk, cpus)
}

fn uses_disk(computer: Computer, disk: &Disk, cpus: u32) -> Result<()> {
    let mut guest = computer.disk("root", disk.path(), "").start()?;
    guest.expect(PROMPT, BOOT_TIME)?;
    guest.check("grep -c processor /proc/cpuinfo", &format!("{cpus}\n"))?;
    let message = std::fs::read_to_string(host::root().join("images/rootfs/etc/motd"))?;
    guest.check("cat /etc/motd", &message)?;
    let write = "seq 1 20000 > /home/numbers; sync; tail -1 /home/numbers";
    guest.check(write, "20000\n")?;
    guest.power_off(3)?;
    let numbers: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    ensure!(disk.dump("/home/numbers")? == numbers.as_bytes());
    disk.check()
}

/// Disks are named in the order of bus, device and function, whatever the command line's order; some have
/// the modern interface only, one is behind a bridge.
fn disks_by_place() -> Result<()> {
    let disk = Disk::copy()?;
    let folder = ferrix_tests::disk::folder()?;
    let image = |name| file_system(folder.path(), name);
    let computer = tcg(Q35, "max", 1)?.memory("256");
    let mut guest = computer
        .device("pcie-root-port,id=bridge,addr=0x3,chassis=1,bus=pcie.0")
        .disk("d", &image("d")?, ",bus=bridge,disable-legacy=on")
        .disk("c", &image("c")?, ",addr=0x9.0x1")
        .disk(
            "b",
            &image("b")?,
            ",addr=0x9.0x0,multifunction=on,disable-legacy=on",
        )
        .disk("a", disk.path(), ",addr=0x4")
        .device("virtio-rng-pci,addr=0x2")
        .start()?;
    guest.expect(PROMPT, BOOT_TIME)?;
    for name in ["b", "c", "d"] {
        guest.check(&format!("mount /dev/vd{name} /mnt; cat /mnt/name"), name)?;
        guest.check("umount /mnt", "")?;
    }
    guest.power_off(0)?;
    disk.check()
}

/// A small file system with a file that holds its name.
fn file_system(folder: &Path, name: &str) -> Result<PathBuf> {
    let content = folder.join(name);
    std::fs::create_dir(&content)?;
    std::fs::write(content.join("name"), name)?;
    let image = folder.join(format!("{name}.img"));
    let mut mke2fs = host::tool("mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext2", "-b", "4096", "-d"]);
    host::output(mke2fs.arg(&content).arg(&image).arg("1M"))?;
    Ok(image)
}

/// Whoever takes a device's vectors away is told what it lacks.
fn without_vectors() -> Result<()> {
    let disk = Disk::copy()?;
    let computer = tcg(Q35, "max", 1)?.memory("256");
    let disk = computer.disk("root", disk.path(), ",addr=0x4,vectors=0");
    let mut guest = disk.start()?;
    let message = "init: virtio device 00:04.0 cannot be used: it has no MSI-X table";
    guest.expect_log(message, BOOT_TIME)?;
    Ok(())
}

/// Firmware's tables are then beyond the first GiB, and not in what it calls RAM.
fn memory_above_4_gib() -> Result<()> {
    let disk = Disk::copy()?;
    let computer = tcg(Q35, "qemu64", 1)?.memory("5G");
    uses_disk(computer, &disk, 1)
}

fn by_kvm() -> Result<()> {
    let disk = Disk::copy()?;
    let computer = Computer::new(Q35, "kvm", "max", 2)?.memory("256");
    uses_disk(computer, &disk, 2)
}
