//! Wrong pointers in every call of a Linux program: `EFAULT`, or what Linux says instead, and everybody lives on.
//! (Those of the kernel's own calls are in its own tests, `pointers::`.)

use std::time::Duration;

use crate::trial::{everywhere, slow};
use anyhow::{Result, ensure};
use ferrix_tests::host;
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

const SWEEP_TIME: Duration = Duration::from_secs(90);

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("pointers::every_call", || sweep(1, "efault --few")),
        slow(everywhere("pointers::every_place", || sweep(4, "efault"))),
        everywhere("pointers::races", races),
    ]
}

/// A disk with the program `guest-servers/programs/src/bin/NAME`.
fn disk_with(name: &str) -> Result<Disk> {
    let disk = Disk::copy()?;
    let program = host::built(&format!("x86_64-unknown-linux-musl/programs/{name}"))?;
    for request in [
        format!("write {} /bin/{name}", program.display()),
        format!("sif /bin/{name} mode 0100755"),
    ] {
        let mut debugfs = host::tool("debugfs");
        host::output(debugfs.args(["-w", "-R", &request]).arg(disk.path()))?;
    }
    Ok(disk)
}

/// Runs it at the prompt; it succeeds, and the system goes on.
fn run(guest: &mut Guest, command: &str) -> Result<String> {
    let output = guest.run_within(&format!("{command}; echo $?"), SWEEP_TIME)?;
    if !output.ends_with("\n0\n") {
        return Err(guest.wrong(format!("{command} printed {output}")));
    }
    Ok(output)
}

fn end(mut guest: Guest, disk: &Disk) -> Result<()> {
    guest.check("cat /etc/motd | wc -l", "2\n")?;
    let ending = guest.power_off(0)?;
    let log = &ending.log;
    ensure!(!log.contains("panic"), "the log: {log}");
    ensure!(
        !log.contains("posix: fault"),
        "the personality faulted: {log}"
    );
    disk.check()
}

fn sweep(cpus: u32, command: &str) -> Result<()> {
    let disk = disk_with("efault")?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(cpus))?;
    let output = run(&mut guest, command)?;
    ensure!(output.contains(" scenes, 0 failed"), "{output}");
    run(&mut guest, "efault --missing")?;
    end(guest, &disk)
}

fn races() -> Result<()> {
    let disk = disk_with("efault")?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(4))?;
    run(&mut guest, "efault --races")?;
    end(guest, &disk)
}
