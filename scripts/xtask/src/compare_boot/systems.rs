//! What is booted, by whom, and with which command line. One CPU and 256 MiB each.

use super::linux::Linux;
use crate::{run, tool};
use std::path::Path;
use std::process::Command;

const FERRIX_PROMPT: &str = "ferrix:/# ";
const BUSYBOX_PROMPT: &str = "/ # ";

/// Linux without what costs time and brings nothing here: no probing for PC devices, no self-tests, no
/// randomisation, no mitigations, one serial port for the console.
const LINUX_OPTIONS: &str = "console=ttyS0 quiet tsc=reliable no_timer_check nokaslr cryptomgr.notests \
                             mitigations=off i8042.noaux i8042.nokbd 8250.nr_uarts=1 audit=0 lsm= panic=-1";

/// What QEMU can use here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// A `/dev/kvm` on hardware virtualization.
    HardwareKvm,
    /// Emulation only; our monitor uses the `/dev/kvm` that there is.
    Emulation,
}

/// One row of the table.
pub struct System {
    pub name: &'static str,
    pub monitor: &'static str,
    pub prompt: &'static str,
    /// Ferrix boots from a disk, Linux from its initramfs alone.
    pub has_disk: bool,
    pub command: fn(&Linux, &Path) -> Command,
}

impl Host {
    /// Linux names a CPU's own virtualization among its flags.
    pub fn here() -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let hardware = cpus
            .split_whitespace()
            .any(|flag| flag == "svm" || flag == "vmx");
        if hardware && Path::new("/dev/kvm").exists() {
            Self::HardwareKvm
        } else {
            Self::Emulation
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::HardwareKvm => "Hardware KVM",
            Self::Emulation => "QEMU by emulation (TCG), the monitor on this machine's /dev/kvm",
        }
    }
}

/// The rows; Ferrix on our monitor is the first.
pub fn all(host: Host) -> Vec<System> {
    let ferrix = |monitor, command| System {
        name: "Ferrix",
        monitor,
        prompt: FERRIX_PROMPT,
        has_disk: true,
        command,
    };
    let linux = |name, monitor, command| System {
        name,
        monitor,
        prompt: BUSYBOX_PROMPT,
        has_disk: false,
        command,
    };
    const PLAIN: &str = "Debian's cloud kernel + busybox, started as in QEMU's manual";
    const PACKED: &str = "Debian's cloud kernel + busybox, tuned";
    const UNPACKED: &str = "the same, kernel unpacked before";
    match host {
        Host::HardwareKvm => vec![
            ferrix("vmm", |_, disk| vmm(disk)),
            ferrix("QEMU microvm, KVM", |_, disk| run::qemu("kvm", disk)),
            linux(PLAIN, "QEMU microvm, KVM", |linux, _| manual(linux)),
            linux(PACKED, "QEMU microvm, KVM", |linux, _| {
                microvm("kvm", &linux.packed, linux)
            }),
            linux(UNPACKED, "QEMU microvm, KVM", |linux, _| {
                microvm("kvm", &linux.unpacked, linux)
            }),
            linux(UNPACKED, "vmm", |linux, _| vmm_linux(linux)),
        ],
        Host::Emulation => vec![
            ferrix("vmm", |_, disk| vmm(disk)),
            ferrix("QEMU microvm, TCG", |_, disk| run::qemu("tcg", disk)),
            linux(PACKED, "QEMU microvm, TCG", |linux, _| {
                microvm("tcg", &linux.packed, linux)
            }),
            linux(UNPACKED, "QEMU microvm, TCG", |linux, _| {
                microvm("tcg", &linux.unpacked, linux)
            }),
        ],
    }
}

fn vmm(disk: &Path) -> Command {
    let mut vmm = Command::new("target/release/vmm");
    vmm.args(["run", "images/default.toml", "--disk"]).arg(disk);
    vmm
}

fn vmm_linux(linux: &Linux) -> Command {
    let mut vmm = Command::new("target/release/vmm");
    vmm.args(["run", "--memory", "256M", "--append", LINUX_OPTIONS]);
    vmm.arg("--kernel").arg(&linux.unpacked);
    vmm.arg("--initrd").arg(&linux.initramfs);
    vmm
}

/// Without timers and interrupt controllers that a KVM guest does not need, but with the clock, for which
/// Debian's kernel would wait for seconds. Emulated, Linux needs them all, and cannot find out how fast the
/// time-stamp counter is.
fn microvm(accelerator: &str, kernel: &Path, linux: &Linux) -> Command {
    let (machine, options) = match accelerator {
        "kvm" => (
            "microvm,rtc=on,pit=off,pic=off,x-option-roms=off",
            LINUX_OPTIONS.to_owned(),
        ),
        _ => (
            "microvm,rtc=on,x-option-roms=off",
            format!("{LINUX_OPTIONS} tsc_early_khz={}", kilohertz()),
        ),
    };
    let mut qemu = tool("qemu-system-x86_64");
    qemu.args(["-accel", accelerator, "-M", machine])
        .args(["-cpu", "max", "-m", "256", "-display", "none"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-serial", "stdio", "-append", &options, "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(&linux.initramfs);
    qemu
}

/// Nothing but the example of QEMU's manual for microvm: the kernel as Debian ships it, its messages on the
/// console.
fn manual(linux: &Linux) -> Command {
    let mut qemu = tool("qemu-system-x86_64");
    qemu.args(["-M", "microvm", "-enable-kvm", "-cpu", "host", "-m", "256"])
        .args(["-nodefaults", "-no-user-config", "-nographic"])
        .args(["-serial", "stdio", "-append", "console=ttyS0", "-kernel"])
        .arg(&linux.packed)
        .arg("-initrd")
        .arg(&linux.initramfs);
    qemu
}

/// The rate of this CPU's time-stamp counter, which QEMU's emulation passes on. A wrong one would only
/// make the guest's clock go wrong.
fn kilohertz() -> u32 {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let megahertz = cpus.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim_end() == "cpu MHz").then(|| value.trim().parse::<f64>().ok())?
    });
    (megahertz.unwrap_or(2000.0) * 1000.0) as u32
}
