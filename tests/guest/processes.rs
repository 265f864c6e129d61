//! Processes and pipes, and that nothing of them stays behind.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::trial::everywhere;
use anyhow::{Context, Result};
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

/// For 200 times fork, exec and wait.
const LOOP_TIME: Duration = Duration::from_secs(60);
/// What must be as before when all children are gone.
const COUNTERS: [&str; 7] = [
    "free_pages",
    "processes",
    "threads",
    "handles",
    "objects",
    "ports",
    "sessions",
];
/// The last child's remains may still be on their way out when its parent goes on; a leak stays.
const LOOKS: usize = 5;

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("processes::pipeline", pipeline),
        everywhere("processes::fork_exec_wait_leaks_nothing", no_leak),
    ]
}

fn pipeline() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check("seq 1 1000 | sort -rn | head -1", "1000\n")?;
    guest.check("yes | head -3 | wc -l; false; echo $?", "3\n1\n")?;
    guest.check("(exit 9); echo $?", "9\n")?;
    guest.check("sleep 0.1; echo $?", "0\n")?;
    guest.power_off(0).map(drop)
}

type Counters = BTreeMap<String, u64>;

fn counters(guest: &mut Guest) -> Result<Counters> {
    let text = guest.run("cat /proc/ferrix/kernel")?;
    let all: Counters = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_string(), value.parse().ok()?))
        })
        .collect();
    COUNTERS
        .iter()
        .map(|&name| {
            let value = all
                .get(name)
                .with_context(|| format!("no {name} in:\n{text}"))?;
            Ok((name.to_string(), *value))
        })
        .collect()
}

fn no_leak() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    // The first rounds, and the first look, fill the caches that stay.
    run_loop(&mut guest, 20)?;
    counters(&mut guest)?;
    let mut before = counters(&mut guest)?;
    let mut after = after_loop(&mut guest, &before)?;
    let mut one_less = before.clone();
    one_less
        .entry("free_pages".into())
        .and_modify(|free| *free -= 1);
    if after == one_less {
        // A cache of the kernel took a page; a leak takes one again.
        before = after;
        after = after_loop(&mut guest, &before)?;
    }
    if after != before {
        return Err(guest.wrong(format!("before: {before:?}\nafter:  {after:?}")));
    }
    guest.power_off(0).map(drop)
}

/// The counters behind the loop, which get some time to be as `before`.
fn after_loop(guest: &mut Guest, before: &Counters) -> Result<Counters> {
    run_loop(guest, 100)?;
    let mut now = Counters::new();
    for _ in 0..LOOKS {
        now = counters(guest)?;
        if now == *before {
            break;
        }
    }
    Ok(now)
}

fn run_loop(guest: &mut Guest, rounds: u32) -> Result<()> {
    let output = guest.run_within(&format!("forkloop {rounds}"), LOOP_TIME)?;
    match output.as_str() {
        "ok\n" => Ok(()),
        other => Err(guest.wrong(format!("forkloop printed {other:?}"))),
    }
}
