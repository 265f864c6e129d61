//! Nobody polls: an idle system costs the host next to nothing.

use std::time::Duration;

use crate::trial::everywhere;
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest, Machine, Options};
use libtest_mimic::Trial;

/// How long is measured.
const SPAN: Duration = Duration::from_secs(3);

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("idle::one_cpu_costs_nothing", || idle(1)),
        everywhere("idle::four_cpus_cost_nothing", || idle(4)),
    ]
}

fn idle(cpus: u32) -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(cpus))?;
    guest.check("echo settled", "settled\n")?;
    let before = guest.cpu_time()?;
    // The span itself is what is measured: nothing is waited for.
    std::thread::sleep(SPAN);
    let used = guest.cpu_time()? - before;
    // An emulated processor takes longer for the little that there is to do.
    ensure!(
        used < SPAN / 100 * Machine::current()?.slowness(),
        "{SPAN:?} at the prompt cost {used:?} of the host's processor time"
    );
    guest.power_off(0).map(drop)
}
