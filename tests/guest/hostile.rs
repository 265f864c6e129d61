//! A guest that gives every device of the monitor garbage (`vmm/checks/src/hostile`): the monitor stays up, its
//! memory stays flat, and afterwards its devices work.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ferrix_tests::host;
use ferrix_tests::resident::Resident;
use ferrix_tests::{Guest, Wiring, extent};
use libtest_mimic::Trial;
use tempfile::NamedTempFile;

use crate::trial::on_monitor;

/// From one look at the monitor's memory to the next.
const LOOK: Duration = Duration::from_millis(20);
/// Beside other work of the machine, after the garbage.
const CHECKS_TIME: Duration = Duration::from_secs(60);
/// KiB by which the monitor may grow once every device has been tried: buffers that are as large as they get.
const GROWTH: u64 = 1024;
/// KiB that the monitor itself may have at most.
const MOST: u64 = 8 << 10;
/// Fewer looks at the memory than these say nothing of its growth: the host was busy.
const LOOKS: usize = 10;

pub fn trials() -> Vec<Trial> {
    vec![on_monitor(
        "hostile::garbage_for_every_device",
        "about the monitor's memory",
        garbage,
    )]
}

/// Milliseconds of garbage: `FERRIX_HOSTILE_MS`, else what the extent of the tests allows.
fn duration() -> Result<u64> {
    match std::env::var("FERRIX_HOSTILE_MS") {
        Ok(text) => Ok(text.parse()?),
        Err(_) if extent::is_long() => Ok(30_000),
        Err(_) => Ok(1_500),
    }
}

/// A disk as the checks expect it: byte n of sector s is `s + n / 2`.
fn disk() -> Result<NamedTempFile> {
    let mut disk = NamedTempFile::new()?;
    for sector in 0..2048 {
        let bytes: Vec<u8> = (0..512).map(|n| (sector + n / 2) as u8).collect();
        disk.write_all(&bytes)?;
    }
    Ok(disk)
}

fn garbage() -> Result<()> {
    host::built("image/vmm-checks")?;
    let disks = [disk()?, disk()?, disk()?];
    let mut command = Command::new("sh");
    // What the guest writes to its console is garbage, too.
    command.args(["-c", "exec \"$@\" > /dev/null", "sh"]);
    command.arg(host::monitor()?.get_program());
    command.current_dir(host::root());
    command.args(["run", "images/checks.toml", "--memory", "32M"]);
    command.args(["--timeout", "240", "--log-level", "error"]);
    for (disk, mode) in disks.iter().zip([",ro", "", ",snapshot"]) {
        let path = disk.path().display();
        command.args(["--disk", &format!("{path}{mode}")]);
    }
    let ms = duration()?;
    command.args(["--append", &format!("hostile={ms} seed=7 only=blk_")]);
    let mut guest = Guest::start(command, Wiring::Script)?;
    let mut looks = vec![];
    while guest.runs_for(LOOK)? {
        // A process that is about to end has no memory left to look at.
        looks.extend(guest.resident().ok());
    }
    let ending = guest.wait(CHECKS_TIME)?;
    ending.must_be(0)?;
    for text in [" operations\n", " checks, 0 failed, "] {
        ensure!(ending.log.contains(text), "{}", ending.wrong(text));
    }
    flat(&looks, ms)
}

/// The monitor's own memory in the second half is what it was in the first.
fn flat(looks: &[Resident], ms: u64) -> Result<()> {
    let (first, second) = looks.split_at(looks.len() / 2);
    let most = |looks: &[Resident]| looks.iter().map(|look| look.own).max().unwrap_or(0);
    let (before, after) = (most(first), most(second));
    println!("{ms} ms of garbage: at most {before} KiB, later {after} KiB of the monitor's own");
    ensure!(
        after <= MOST && (looks.len() < LOOKS || after <= before + GROWTH),
        "the monitor's own memory grew from {before} KiB to {after} KiB"
    );
    Ok(())
}
