//! Firecracker's machine: by our monitor's model of it, and by Firecracker itself.

use crate::trial::{needs, on_monitor, slow};
use anyhow::{Context, Result, ensure};
use ferrix_tests::guest::{BOOT_TIME, COMMAND_TIME};
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, Machine, Options, PROMPT, Wiring, firecracker};
use libtest_mimic::Trial;

const NEEDS_KVM: &str = "Firecracker's machine needs KVM";

pub fn trials() -> Vec<Trial> {
    let real = on_monitor("firecracker::firecracker_itself", NEEDS_KVM, itself);
    let smp = on_monitor(
        "firecracker::firecracker_itself_with_cpus",
        NEEDS_KVM,
        itself_with_cpus,
    );
    vec![
        on_monitor("firecracker::devices_in_acpi", NEEDS_KVM, in_acpi),
        on_monitor(
            "firecracker::devices_on_the_command_line",
            NEEDS_KVM,
            in_words,
        ),
        slow(on_monitor(
            "firecracker::large_memory",
            NEEDS_KVM,
            large_memory,
        )),
        slow(on_monitor(
            "firecracker::every_end_is_a_reset",
            NEEDS_KVM,
            ends,
        )),
        needs(real, &[Need::Firecracker]),
        needs(smp, &[Need::Firecracker]),
    ]
}

fn model(options: Options, machine: &str) -> Result<(Disk, Guest)> {
    let disk = Disk::copy()?;
    let guest = Guest::at_prompt(&disk, options.monitor(&["--machine", machine]))?;
    Ok((disk, guest))
}

fn in_acpi() -> Result<()> {
    let (disk, mut guest) = model(Options::new().cpus(2), "firecracker,announce=acpi")?;
    guest.check("nproc", "2\n")?;
    use_it(&mut guest)?;
    guest.power_off(0)?;
    disk.check()
}

fn in_words() -> Result<()> {
    let (disk, mut guest) = model(Options::new(), "firecracker,announce=cmdline")?;
    use_it(&mut guest)?;
    guest.power_off(0)?;
    disk.check()
}

/// The initrd is above the first GiB, and so is most RAM.
fn large_memory() -> Result<()> {
    let (disk, mut guest) = model(Options::new().memory(2048), "firecracker")?;
    use_it(&mut guest)?;
    guest.power_off(0)?;
    disk.check()
}

/// There is no port for a status.
fn ends() -> Result<()> {
    let (_disk, guest) = model(Options::new(), "firecracker")?;
    let mut command = host::monitor()?;
    command.args([
        "images/default.toml",
        "--machine",
        "firecracker",
        "--command",
        "false",
    ]);
    drop(guest);
    let guest = Guest::start_on(Machine::current()?, command, Wiring::Script)?;
    guest.wait(BOOT_TIME)?.must_be(0)?;
    let (_disk, mut guest) = model(Options::new(), "firecracker")?;
    guest.send_line("reboot")?;
    guest.wait(COMMAND_TIME)?.must_be(0)
}

fn use_it(guest: &mut Guest) -> Result<()> {
    let message = std::fs::read_to_string(host::root().join("images/rootfs/etc/motd"))?;
    guest.check("cat /etc/motd", &message)?;
    guest.check(
        "seq 1 1000 > /home/numbers; sync; tail -1 /home/numbers",
        "1000\n",
    )?;
    let year: u32 = guest.run("date +%Y")?.trim().parse().context("the year")?;
    ensure!(year >= 2024, "the clock says {year}");
    Ok(())
}

fn itself() -> Result<()> {
    run_itself(1, 256)
}

fn itself_with_cpus() -> Result<()> {
    run_itself(2, 1536)
}

fn run_itself(cpus: u32, memory: u32) -> Result<()> {
    let (disk, folder) = (Disk::copy()?, tempfile::tempdir()?);
    let command = firecracker::command(&disk, cpus, memory, folder.path())?;
    let mut guest = Guest::start_on(Machine::current()?, command, Wiring::Terminal)?;
    guest.expect(PROMPT, BOOT_TIME)?;
    guest.check("nproc", &format!("{cpus}\n"))?;
    use_it(&mut guest)?;
    guest.power_off(0)?;
    disk.check()
}
