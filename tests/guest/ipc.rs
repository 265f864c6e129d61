//! Message queues, semaphores, sockets, events and pipes: the checks of `ipccheck`, which hold on Linux too.

use std::time::Duration;

use crate::trial::everywhere;
use anyhow::Result;
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

/// For one group of checks, each with a few forks.
const CHECK_TIME: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    let groups = [
        ("ipc::message_queues", "mq"),
        ("ipc::counters_and_lists", "event epoll"),
        ("ipc::sockets", "socket"),
        ("ipc::system_v", "msg sem"),
    ];
    groups
        .map(|(name, groups)| everywhere(name, move || checked(groups)))
        .into()
}

/// Runs groups of checks; every line must end with `ok`.
fn checked(groups: &str) -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    let output = guest.run_within(&format!("ipccheck {groups}; echo $?"), CHECK_TIME)?;
    let (lines, status) = output.trim_end().rsplit_once('\n').unwrap_or_default();
    if status != "0" || !lines.lines().all(|line| line.ends_with(" ok")) {
        return Err(guest.wrong(format!("ipccheck {groups} printed {output}")));
    }
    guest.power_off(0).map(drop)
}
