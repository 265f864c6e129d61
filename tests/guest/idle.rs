//! Nobody polls: an idle system costs the host next to nothing.

use std::time::Duration;

use crate::trial::on_kvm;
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest};
use libtest_mimic::Trial;

/// How long is measured.
const SPAN: Duration = Duration::from_secs(3);

pub fn trials() -> Vec<Trial> {
    vec![
        on_kvm("idle::one_cpu_costs_nothing", || idle("1")),
        on_kvm("idle::four_cpus_cost_nothing", || idle("4")),
    ]
}

fn idle(cpus: &str) -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, &["--cpus", cpus])?;
    guest.check("echo settled", "settled\n")?;
    let before = guest.cpu_time()?;
    // The span itself is what is measured: nothing is waited for.
    std::thread::sleep(SPAN);
    let used = guest.cpu_time()? - before;
    ensure!(
        used < SPAN / 100,
        "{SPAN:?} at the prompt cost {used:?} of the host's processor time"
    );
    guest.power_off(0).map(drop)
}
