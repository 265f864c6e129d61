//! From the monitor to the shell, and back out with a status.

use crate::trial::{everywhere, on_monitor};
use anyhow::Result;
use ferrix_tests::guest::BOOT_TIME;
use ferrix_tests::{Disk, Guest, Options, Wiring, host};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("boot::shell_on_a_terminal", shell_on_a_terminal),
        everywhere("boot::command_status_is_the_machines", command_status),
        everywhere("boot::command_killed_by_a_signal", command_killed),
        everywhere(
            "boot::command_output_is_all_of_standard_output",
            command_output,
        ),
        everywhere("boot::smallest_memory", smallest_memory),
        on_monitor(
            "boot::milestones_in_statistics",
            "about the monitor's --stats",
            milestones,
        ),
    ]
}

fn shell_on_a_terminal() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check("echo hello | wc -c", "6\n")?;
    let message = std::fs::read_to_string(host::root().join("images/rootfs/etc/motd"))?;
    guest.check("cat /etc/motd", &message)?;
    guest.power_off(7)?;
    disk.check()
}

/// Runs one command, with pipes.
fn command(command: &str) -> Result<ferrix_tests::Ending> {
    let disk = Disk::copy()?;
    let options = Options::new().command(command);
    Guest::boot(&disk, options, Wiring::Script)?.wait(BOOT_TIME)
}

fn command_status() -> Result<()> {
    command("sh -c \"exit 3\"")?.must_be(3)?;
    command("true")?.must_be(0)
}

fn command_killed() -> Result<()> {
    command("segv")?.must_be(128 + 11)
}

fn command_output() -> Result<()> {
    let ending = command("sh -c 'seq 3; echo no >&2; exit 5'")?;
    ending.must_be(5)?;
    let printed = ending.screen.replace('\r', "");
    if printed == "1\n2\n3\nno\n" {
        return Ok(());
    }
    Err(ending.wrong(&format!("standard output is {printed:?}")))
}

/// The size that the machine's contract promises.
fn smallest_memory() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().memory(32))?;
    guest.check("seq 1 1000 | sort -rn | head -1", "1000\n")?;
    guest.power_off(0).map(drop)
}

fn milestones() -> Result<()> {
    let disk = Disk::copy()?;
    let guest = Guest::at_prompt(&disk, Options::new().monitor(&["--stats"]))?;
    let ending = guest.power_off(0)?;
    let json = ending.log.lines().find(|line| line.starts_with('{'));
    let json = json.unwrap_or_default();
    for name in [
        "kernel_entry",
        "kernel_ready",
        "servers_ready",
        "first_exec",
        "prompt",
        "insn_emulation",
    ] {
        if !json.contains(&format!("\"{name}\"")) {
            return Err(ending.wrong(&format!("--stats has no `{name}`")));
        }
    }
    Ok(())
}
