//! The checks of the machine from the outside (`vmm/checks`), on the monitor and on QEMU with the same
//! expectations: none fails, and what is skipped is skipped for a reason that this machine may have.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrix_tests::{Ending, Guest, Machine, Wiring, host};
use libtest_mimic::Trial;
use tempfile::NamedTempFile;

use crate::trial::{on_monitor, on_qemu, slow};

/// For all checks, beside other work of the machine.
const CHECKS_TIME: Duration = Duration::from_secs(60);
/// How many checks there are at least, so that none gets lost.
const AT_LEAST: usize = 153;
const SECTORS: usize = 2048;
const BINARY: &str = "image/vmm-checks";
/// What the checks write to the console.
const CONSOLE_TEXT: &str = "checks: this is the console";
const NOT_QEMU: &str = "about the monitor's machine: checks::qemu_* are the same on QEMU's";
const NOT_MONITOR: &str = "about QEMU's machines: checks::one_cpu is the same on the monitor's";

pub fn trials() -> Vec<Trial> {
    let on = |name, cpus, memory, also: &'static [&'static str]| {
        on_monitor(name, NOT_QEMU, move || monitor(cpus, memory, also))
    };
    let qemu = |name, machine, more: &'static [&'static str]| {
        on_qemu(name, NOT_MONITOR, move || emulator(machine, more))
    };
    vec![
        on("checks::one_cpu", "1", "256M", &["one CPU", NO_HIGH_RAM]),
        on("checks::four_cpus", "4", "256M", &[NO_HIGH_RAM]),
        slow(on("checks::memory_above_4_gib", "2", "4G", &[])),
        on_monitor("checks::exit_statuses", NOT_QEMU, exit_statuses),
        qemu(
            "checks::qemu_microvm",
            "microvm,acpi=off,rtc=on",
            &[NO_ACPI, NO_HIGH_RAM],
        ),
        qemu(
            "checks::qemu_microvm_with_acpi",
            "microvm,acpi=on,rtc=on",
            &[
                NO_HIGH_RAM,
                "the command line announces no device",
                "the line is another I/O APIC's",
                "QEMU's ACPI tables do not name the timer's line",
            ],
        ),
        qemu("checks::qemu_q35", "q35", NO_MMIO),
    ]
}

const NO_HIGH_RAM: &str = "no RAM above 4 GiB was given";
const NO_ACPI: &str = "the machine has no ACPI tables";
/// A PC's virtio devices are behind PCI.
const NO_MMIO: &[&str] = &[
    NO_HIGH_RAM,
    "the command line announces no device",
    "no virtio-mmio device",
    "no virtio-blk device",
    "no virtio-console device",
    "no virtio-rng device",
];
/// Reasons that any of our monitor's machines may have.
const OF_MONITOR: &[&str] = &[
    "the monitor does not offer it",
    "CPUID does not offer it",
    "every window has a device",
];
/// Further reasons where KVM emulates kernels (docs/kvm.md).
const OF_EMULATING_KVM: &[&str] = &[
    "this KVM emulates kernels and shows its host's CPUID",
    "this KVM ends interrupts when it delivers them",
];
/// And where the SVM below KVM is QEMU's emulation (docs/kvm.md).
const OF_EMULATED_SVM: &[&str] = &["KVM does not see XSETBV"];
/// What QEMU's emulation lacks, or leaves to the driver: the reason is told beside each check.
const OF_QEMU: &[&str] = &[
    "not Ferrix's monitor",
    "no frequency leaf",
    "no KVM clock",
    "CPUID does not offer it",
    "CPUID does not offer TSC-deadline",
    "CPUID does not offer x2APIC",
    "QEMU's emulated APIC does not do that",
    "QEMU leaves that to the driver",
    "VIRTIO_CONSOLE_F_SIZE is not offered",
    "every window has a device",
    "no port B to see the output",
    "no i8042",
];
/// What hardware KVM has for its guests, and no check may therefore skip there.
const ON_HARDWARE: &[&str] = &[
    "feature_xsave",
    "feature_smep",
    "feature_smap",
    "feature_umip",
    "feature_fsgsbase",
    "feature_popcnt",
    "feature_cmpxchg16b",
    "lapic_timer_deadline",
    "x2apic_mode",
];

/// A disk as the checks expect it: byte n of sector s is `s + n / 2`.
fn scratch_disk() -> Result<NamedTempFile> {
    let mut disk = NamedTempFile::new()?;
    for sector in 0..SECTORS {
        let bytes: Vec<u8> = (0..512).map(|n| (sector + n / 2) as u8).collect();
        disk.write_all(&bytes)?;
    }
    Ok(disk)
}

fn vmm() -> Result<Command> {
    // Also says what to do if it was not built.
    host::built(BINARY)?;
    let mut command = host::monitor()?;
    command.arg("images/checks.toml");
    Ok(command)
}

fn monitor(cpus: &str, memory: &str, also: &[&str]) -> Result<()> {
    let disk = scratch_disk()?;
    let mut command = vmm()?;
    // Ends even if the test that started it is gone.
    command.args(["--timeout", "240", "--cpus", cpus, "--memory", memory]);
    command.args(["--append", &format!("cpus={cpus}")]);
    command.arg("--disk").arg(disk.path());
    let ending = Guest::start(command, Wiring::Script)?.wait(CHECKS_TIME)?;
    let hardware = Machine::current()? == Machine::Hardware;
    let below = if hardware {
        OF_EMULATED_SVM
    } else {
        OF_EMULATING_KVM
    };
    all_passed(&ending, &[OF_MONITOR, below, also].concat())?;
    let skipped = |name: &&&str| ending.log.contains(&format!("check: {name} skipped"));
    if let Some(name) = ON_HARDWARE.iter().filter(|_| hardware).find(skipped) {
        return Err(ending.wrong(&format!("{name} is skipped on hardware")));
    }
    ensure!(
        ending.screen.contains(CONSOLE_TEXT),
        "{}",
        ending.wrong("the console's text is missing on standard output")
    );
    ending.must_be(0)
}

fn emulator(machine: &str, more: &[&str]) -> Result<()> {
    let disk = scratch_disk()?;
    let mut qemu = host::tool("qemu-system-x86_64");
    qemu.args(["-M", machine, "-accel", "tcg", "-cpu", "max"])
        .args(["-m", "256", "-smp", "4", "-display", "none"])
        .args(["-no-reboot", "-nodefaults"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args(["-append", "checks cpus=4 exit_port=0xf4"])
        .arg("-kernel")
        .arg(host::built(BINARY)?)
        .arg("-initrd")
        .arg(host::root().join("images/checks.toml"))
        .args(["-chardev", "file,id=log,path=/dev/stderr"])
        .args(["-serial", "chardev:log"]);
    let windows = machine.starts_with("microvm");
    if windows {
        let file = disk.path().display();
        qemu.args(["-global", "virtio-mmio.force-legacy=false"])
            .arg("-drive")
            .arg(format!("id=disk,format=raw,if=none,file={file}"))
            .args(["-device", "virtio-blk-device,drive=disk"])
            .args(["-chardev", "stdio,id=console,signal=off"])
            .args(["-device", "virtio-serial-device"])
            .args(["-device", "virtconsole,chardev=console"])
            .args(["-device", "virtio-rng-device"]);
    }
    let guest = Guest::start_on(Machine::Qemu, qemu, Wiring::Script)?;
    let ending = guest.wait(CHECKS_TIME)?;
    all_passed(&ending, &[OF_QEMU, more].concat())?;
    ensure!(
        !windows || ending.screen.contains(CONSOLE_TEXT),
        "{}",
        ending.wrong("the console's text is missing on standard output")
    );
    ending.must_be(0)
}

/// None failed, none is lost, and each that was skipped had one of these reasons.
fn all_passed(ending: &Ending, reasons: &[&str]) -> Result<()> {
    let lines = || {
        ending
            .log
            .lines()
            .filter_map(|line| line.strip_prefix("check: "))
    };
    if lines().any(|line| line.contains(" FAILED (")) {
        return Err(ending.wrong("a check failed: see the lines with FAILED"));
    }
    for line in lines() {
        let Some((name, rest)) = line.split_once(" skipped (") else {
            continue;
        };
        let reason = rest.rsplit_once(')').context("a reason ends")?.0;
        if !reasons.contains(&reason) {
            return Err(ending.wrong(&format!("{name} may not be skipped here: {reason}")));
        }
    }
    let told = ending
        .log
        .lines()
        .find(|line| line.contains(" checks, 0 failed, "));
    let count = told.and_then(|line| line.split(' ').next()?.parse().ok());
    match count {
        Some(count) if (AT_LEAST..).contains(&count) => Ok(()),
        _ => Err(ending.wrong(&format!("not all of {AT_LEAST} checks ran and passed"))),
    }
}

/// The ways to end, and the statuses that vmm/README.md lists for them.
fn exit_statuses() -> Result<()> {
    let mut ways: Vec<(String, u8, &str)> = [0, 1, 2, 7, 63, 64, 127, 128, 137, 255]
        .map(|status| (status.to_string(), status, ""))
        .into();
    ways.extend([
        ("triple-fault".into(), 69, "triple fault"),
        ("internal-error".into(), 69, "the guest crashed"),
        ("panic".into(), 253, "kernel panicked"),
        ("reset".into(), 0, ""),
    ]);
    for (way, status, told) in ways {
        let mut command = vmm()?;
        command.args(["--timeout", "240", "--append", &format!("end={way}")]);
        let ending = Guest::start(command, Wiring::Script)?.wait(CHECKS_TIME)?;
        ending
            .must_be(status)
            .with_context(|| format!("end={way}"))?;
        ensure!(ending.log.contains(told), "{}", ending.wrong(told));
    }
    let mut command = vmm()?;
    command.args(["--append", "end=halt", "--timeout", "1"]);
    let ending = Guest::start(command, Wiring::Script)?.wait(CHECKS_TIME)?;
    ending.must_be(124)
}
