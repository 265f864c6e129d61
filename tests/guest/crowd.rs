//! Many guests at once, each of which reaches its prompt, answers, and costs the host little; many one after another.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrix_tests::guest::{COMMAND_TIME, PROMPT};
use ferrix_tests::{Disk, Guest, Options, Wiring, extent};
use kvm_ioctls::Kvm;
use libtest_mimic::Trial;

use crate::trial::on_monitor;

/// Guests of a usual run, and of a long one.
const GUESTS: [usize; 2] = [3, 100];
/// For one more guest to come up beside the others.
const EACH: Duration = Duration::from_secs(10);
/// Virtual machines that come and go, and threads that switch meanwhile.
const MACHINES: usize = 30;
const BUSY_THREADS: usize = 3;
/// KiB of the monitor's own, of each guest (issue: 3 MiB).
const MOST: u64 = 3 << 10;

pub fn trials() -> Vec<Trial> {
    vec![
        on_monitor("crowd::guests_at_once", "about the monitor's memory", crowd),
        on_monitor(
            "crowd::machines_come_and_go",
            "about the host's KVM",
            come_and_go,
        ),
    ]
}

/// How many: `FERRIX_GUESTS`, else what the extent of the tests allows.
fn count() -> Result<usize> {
    match std::env::var("FERRIX_GUESTS") {
        Ok(text) => text.parse().context("FERRIX_GUESTS is no number"),
        Err(_) => Ok(GUESTS[usize::from(extent::is_long())]),
    }
}

/// The host's kernel bears it, also an emulated one, whose threads switch all the while (`docs/kvm.md`).
fn come_and_go() -> Result<()> {
    let kvm = Kvm::new()?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..BUSY_THREADS {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    std::thread::yield_now();
                }
            });
        }
        let made = (0..MACHINES).try_for_each(|_| kvm.create_vm().map(drop));
        done.store(true, Relaxed);
        Ok(made?)
    })
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
