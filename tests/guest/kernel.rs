//! The kernel's own tests, `guest-servers/ktest`, in its place as the only program of a machine.

use std::time::{Duration, SystemTime};

use crate::trial::{needing, on_kvm};
use anyhow::{Context, Result, ensure};
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Ending, Guest, Wiring};
use libtest_mimic::Trial;

/// For all of them, beside other work of the machine.
const SUITE_TIME: Duration = Duration::from_secs(60);
/// The same in QEMU's emulation.
const EMULATED_SUITE_TIME: Duration = Duration::from_secs(120);

pub fn trials() -> Vec<Trial> {
    vec![
        on_kvm("kernel::suite_one_cpu", || suite("1")),
        on_kvm("kernel::suite_four_cpus", || suite("4")),
        on_kvm("kernel::stress", stress),
        needing("kernel::suite_without_kvm", &[Need::Qemu], emulated),
    ]
}

fn run(options: &[&str]) -> Result<()> {
    let mut command = host::monitor()?;
    command
        .args(["images/ktest.toml", "--timeout", "60"])
        .args(options);
    let ending = Guest::start(command, Wiring::Script)?.wait(SUITE_TIME)?;
    all_passed(&ending)?;
    ending.must_be(0)
}

/// The log says so itself, whatever becomes of the status.
fn all_passed(ending: &Ending) -> Result<()> {
    let passed = ending.log.contains(" tests, 0 failed\n");
    ensure!(
        passed,
        "{}",
        ending.wrong("a test of the kernel failed: see the lines with FAILED")
    );
    Ok(())
}

fn suite(cpus: &str) -> Result<()> {
    run(&["--cpus", cpus])
}

/// Another seed each time. It is in the log, and in the failure: `--append "only=stress seed=N"` repeats it.
fn stress() -> Result<()> {
    let since = SystemTime::UNIX_EPOCH.elapsed()?;
    let seed = u64::from(since.subsec_nanos()) << 16 | since.as_secs() & 0xffff;
    println!("kernel::stress: seed={seed}");
    let append = format!("only=stress rounds=2 seed={seed}");
    run(&["--cpus", "4", "--append", &append]).with_context(|| format!("seed={seed}"))
}

/// A lone module is init. The status is lost there: a reset ends QEMU.
fn emulated() -> Result<()> {
    let mut qemu = host::tool("qemu-system-x86_64");
    qemu.args(["-M", "microvm,acpi=off,rtc=on,x-option-roms=off"])
        .args(["-accel", "tcg", "-cpu", "max", "-m", "256"])
        .args(["-display", "none", "-no-reboot", "-nodefaults"])
        .arg("-kernel")
        .arg(host::built("image/kernel")?)
        .arg("-initrd")
        .arg(host::built("image/ktest")?)
        .args(["-chardev", "file,id=log,path=/dev/stderr"])
        .args(["-serial", "chardev:log"]);
    let ending = Guest::start(qemu, Wiring::Script)?.wait(EMULATED_SUITE_TIME)?;
    all_passed(&ending)
}
