//! Many guests at once: each reaches its prompt and answers, and costs the host little.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrix_tests::guest::{COMMAND_TIME, PROMPT};
use ferrix_tests::{Disk, Guest, Options, Wiring, extent};
use libtest_mimic::Trial;

use crate::trial::on_monitor;

/// Guests of a usual run, and of a long one.
const GUESTS: [usize; 2] = [3, 100];
/// For one more guest to come up beside the others.
const EACH: Duration = Duration::from_secs(10);
/// KiB of the monitor's own, of each guest (issue: 3 MiB).
const MOST: u64 = 3 << 10;

pub fn trials() -> Vec<Trial> {
    vec![on_monitor(
        "crowd::guests_at_once",
        "about the monitor's memory",
        crowd,
    )]
}

/// How many: `FERRIX_GUESTS`, else what the extent of the tests allows.
fn count() -> Result<usize> {
    match std::env::var("FERRIX_GUESTS") {
        Ok(text) => text.parse().context("FERRIX_GUESTS is no number"),
        Err(_) => Ok(GUESTS[usize::from(extent::is_long())]),
    }
}

fn crowd() -> Result<()> {
    let count = count()?;
    let began = Instant::now();
    let disk = Disk::copy()?;
    let argument = format!("{},snapshot", disk.path().display());
    let options = Options::new().monitor(&["--disk", &argument]);
    let start = |_| Guest::launch(&options, Wiring::Terminal);
    let mut guests = (0..count).map(start).collect::<Result<Vec<_>>>()?;
    let patience = EACH * count as u32;
    for guest in &mut guests {
        guest.expect(PROMPT, patience)?;
    }
    let up = began.elapsed();
    for (number, guest) in guests.iter_mut().enumerate() {
        guest.send_line(&format!("echo guest $(({number} + 1))"))?;
    }
    for (number, guest) in guests.iter_mut().enumerate() {
        let answer = guest.expect(PROMPT, COMMAND_TIME + patience)?;
        ensure!(
            answer.contains(&format!("guest {}", number + 1)),
            "guest {number}: {answer:?}"
        );
    }
    let answered = began.elapsed();
    let memory = guests
        .iter()
        .map(Guest::resident)
        .collect::<Result<Vec<_>>>()?;
    let most = memory.iter().max().context("guests")?;
    println!(
        "{count} guests: all at the prompt after {up:.1?}, all have answered after {answered:.1?}; the monitor's own \
         memory {} KiB at most, the guest's {} KiB",
        most.own, most.guest
    );
    ensure!(most.own <= MOST, "{} KiB of the monitor's own", most.own);
    guests
        .into_iter()
        .try_for_each(|guest| guest.power_off(0).map(drop))
}
