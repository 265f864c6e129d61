//! Programs of checks, such as `memcheck`: a line for each check, which ends with `ok`.

use std::time::Duration;

use anyhow::Result;
use ferrix_tests::{Disk, Guest, Options};

/// For one group of checks, each with a few forks.
pub const CHECK_TIME: Duration = Duration::from_secs(60);

/// Runs such a program in a guest with two CPUs; every line must end with `ok`, and there must be one.
pub fn passes(command: &str) -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    let output = guest.run_within(&format!("{command}; echo $?"), CHECK_TIME)?;
    let (lines, status) = output.trim_end().rsplit_once('\n').unwrap_or_default();
    if status != "0" || lines.is_empty() || !lines.lines().all(|line| line.ends_with(" ok")) {
        return Err(guest.wrong(format!("{command} printed {output}")));
    }
    guest.power_off(0).map(drop)
}
