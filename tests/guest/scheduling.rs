//! Several CPUs, and one that is shared.

use std::time::Duration;

use crate::trial::{everywhere, slow};
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

/// How soon the shell must answer while something else wants the only CPU.
const ANSWER_TIME: Duration = Duration::from_secs(5);

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere(
            "scheduling::busy_programs_on_different_cpus",
            different_cpus,
        ),
        everywhere("scheduling::busy_threads_on_different_cpus", threads),
        slow(everywhere("scheduling::thirty_two_cpus", many_cpus)),
        everywhere(
            "scheduling::shell_answers_beside_an_endless_loop",
            endless_loop,
        ),
    ]
}

fn different_cpus() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(4))?;
    guest.check("nproc", "4\n")?;
    guest.run("spin 1 > /tmp/first & spin 1 > /tmp/second; wait")?;
    let numbers = guest.run("cat /tmp/first /tmp/second")?;
    let cpus: Vec<u32> = numbers.lines().flat_map(str::parse).collect();
    match cpus[..] {
        [first, second] if first != second && first < 4 && second < 4 => {}
        _ => return Err(guest.wrong(format!("the programs ran on {cpus:?}"))),
    }
    guest.power_off(0).map(drop)
}

fn threads() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(4))?;
    let numbers = guest.run("cpus 2")?;
    let count = numbers.split_ascii_whitespace().count();
    ensure!(count >= 2, "two busy threads ran on CPU {numbers}");
    guest.power_off(0).map(drop)
}

/// As many as the kernel supports: all start, and the last one runs a program.
fn many_cpus() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(32))?;
    guest.check("nproc", "32\n")?;
    guest.check("grep -c '^cpu[0-9]' /proc/stat", "32\n")?;
    guest.check(
        "for n in 0 15 31; do taskset -c $n cut -d ' ' -f 39 /proc/self/stat; done",
        "0\n15\n31\n",
    )?;
    guest.power_off(0).map(drop)
}

fn endless_loop() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(1))?;
    guest.run("spin & loop=$!")?;
    let answer = guest.run_within("kill -0 $loop && echo hello | wc -c", ANSWER_TIME)?;
    ensure!(
        answer == "6\n",
        "beside an endless loop the shell says {answer:?}"
    );
    guest.run_within("kill -9 $loop; wait $loop", ANSWER_TIME)?;
    let gone = guest.run("kill -0 $loop; echo $?")?;
    ensure!(gone.ends_with("1\n"), "after kill -9: {gone:?}");
    guest.power_off(0).map(drop)
}
