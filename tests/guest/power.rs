//! Ends of machines without an exit port: by what ACPI says, or by a reset.

use crate::trial::{everywhere, on_qemu};
use anyhow::{Result, ensure};
use ferrix_tests::guest::{BOOT_TIME, COMMAND_TIME};
use ferrix_tests::{Disk, Firmware, Guest, Options, PROMPT};
use libtest_mimic::Trial;

const HAS_PORT: &str = "the monitor's own machine has an exit port";
/// Takes back the exit port that the command line names.
const NO_PORT: &str = "exit_port=0";

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("power::a_reset_ends_the_machine", reset),
        on_qemu("power::off_by_sleep_control", HAS_PORT, sleep_control),
        on_qemu("power::reset_by_acpi", HAS_PORT, || {
            reset_again(Firmware::Acpi)
        }),
        on_qemu("power::reset_without_acpi", HAS_PORT, || {
            reset_again(Firmware::CommandLine)
        }),
    ]
}

/// `reboot` is no `poweroff`: the machine is told of no status.
fn reset() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.send_line("reboot")?;
    let ending = guest.wait(COMMAND_TIME)?;
    ensure!(ending.status.code() == Some(0), "{}", ending.status);
    disk.check()
}

/// QEMU ends with status 0 when it is switched off; a reset would start it anew.
fn sleep_control() -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new().append(NO_PORT).qemu(RESETS);
    let mut guest = Guest::at_prompt(&disk, options)?;
    guest.send_line("poweroff 5")?;
    let ending = guest.wait(COMMAND_TIME)?;
    ensure!(ending.status.code() == Some(0), "{}", ending.status);
    disk.check()
}

/// For a reset that starts the machine anew.
const RESETS: &[&str] = &["-action", "reboot=reset"];

fn reset_again(firmware: Firmware) -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new().firmware(firmware).qemu(RESETS);
    let mut guest = Guest::at_prompt(&disk, options)?;
    guest.run("echo kept > /home/kept")?;
    guest.send_line("reboot")?;
    guest.expect(PROMPT, BOOT_TIME)?;
    guest.check("cat /home/kept", "kept\n")?;
    guest.power_off(3)?;
    disk.check()
}
