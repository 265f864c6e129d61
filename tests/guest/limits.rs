//! What processes may use, and what happens when there is no more: the checks of `limitcheck`, which hold on Linux too,
//! programs that eat all there is, and a fork bomb.

use std::time::{Duration, Instant};

use crate::passes::passes;
use crate::trial::{everywhere, slow};
use anyhow::Result;
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

/// For one command that takes its time.
const LONG: Duration = Duration::from_secs(60);
/// For one answer of the shell while others want the machine for themselves.
const ANSWER: Duration = Duration::from_secs(5);
/// So little memory, in MiB, that eating all of it is quick.
const LITTLE: u32 = 32;
/// Pages that the kernel and the servers may keep for the next time: stacks and objects of hundreds of processes,
/// buffers of hundreds of pipes.
const KEPT: u64 = 2500;

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("limits::memory_and_files", || checked("memory files")),
        everywhere("limits::processes", || {
            checked("processes.n processes.r processes.i processes.o")
        }),
        slow(everywhere("limits::cpu_time", || checked("processes.cpu"))),
        everywhere("limits::shell", shell),
        everywhere("limits::violations", violations),
        everywhere("limits::statistics", statistics),
        everywhere("limits::eaters", eaters),
        everywhere("limits::no_memory", || exhausted(&["heap", "tables"])),
        slow(everywhere("limits::nothing_left", || {
            exhausted(&[
                "pages",
                "file 1000",
                "memfd 1000",
                "segments",
                "fds",
                "pipes",
                "lock 200",
                "threads 60",
                "processes",
            ])
        })),
        everywhere("limits::fork_bomb", fork_bomb),
    ]
}

/// Runs checks.
fn checked(names: &str) -> Result<()> {
    passes(&format!("limitcheck {names}"))
}

/// `ulimit` sets and shows what holds for the shell and all that it runs.
fn shell() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check(
        "ulimit; ulimit -u; ulimit -Hs",
        "unlimited\n1024\nunlimited\n",
    )?;
    guest.check("ulimit -a | wc -l", "15\n")?;
    guest.check(
        "(ulimit -n 20; sh -c 'ulimit -n; ulimit -Hn'); ulimit -n",
        "20\n20\n1024\n",
    )?;
    guest.check(
        "(ulimit -S -v 50000; ulimit -v; ulimit -Hv)",
        "50000\nunlimited\n",
    )?;
    guest.check(
        "(ulimit -f 2; head -c 5000 /dev/zero > /tmp/f; echo $?) 2> /dev/null; stat -c %s /tmp/f",
        "153\n1024\n",
    )?;
    for (command, cause) in [
        (
            "asuser 1000 sh -c 'ulimit -n 2000'",
            "ulimit: open files: Operation not permitted\n",
        ),
        (
            "ulimit -n many",
            "ulimit: many: is no number, nor `unlimited`\n",
        ),
        ("ulimit -Z", "ulimit: -Z: no such limit\n"),
    ] {
        let output = guest.run(command)?;
        if !output.ends_with(cause) {
            return Err(guest.wrong(format!("`{command}` printed {output:?}")));
        }
    }
    guest.power_off(0).map(drop)
}

/// What was refused is counted for the process that wanted it, and told to those who may know.
fn violations() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check(
        "check_memory_violation | tail -1; echo $?",
        "violations: 0\n0\n",
    )?;
    guest
        .run("asuser 1000 sh -c 'ulimit -n 3; echo x > /tmp/x; exec sleep 1000' 2> /dev/null &")?;
    guest.check(
        "until [ \"$(cat /proc/$!/comm)\" = sleep ]; do :; done; check_memory_violation $! > /tmp/v; echo $?",
        "1\n",
    )?;
    guest.check("grep -c '^open files .* 3 .* [1-9] *files$' /tmp/v", "1\n")?;
    guest.check("grep -c 'Violations:.[1-9]' /proc/$!/status", "1\n")?;
    // The shell may tell of the end before its prompt, or later.
    guest.run("kill -9 $!")?;
    guest.run("wait")?;
    let failures = guest.run(
        "check_memory_violation 99999; asuser 1000 check_memory_violation 1; echo $?; check_memory_violation x",
    )?;
    for expected in [
        "process 99999: No such process: ps lists those that there are\n",
        "process 1: Operation not permitted: only its own user and root may ask\n2\n",
        "x: is no process id\n",
    ] {
        if !failures.contains(expected) {
            return Err(guest.wrong(format!("{expected:?} is missing in {failures:?}")));
        }
    }
    guest.power_off(0).map(drop)
}

/// `/proc` tells limits, slabs and where memory is.
fn statistics() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check(
        "(ulimit -n 33; grep 'open files' /proc/self/limits | tr -s ' ')",
        "Max open files 33 33 files \n",
    )?;
    guest.check(
        "head -1 /proc/slabinfo; grep -c ^kmalloc- /proc/slabinfo",
        "slabinfo - version: 2.1\n14\n",
    )?;
    let before = objects(&mut guest)?;
    guest.run("for n in $(seq 20); do sleep 1000 & pids=\"$pids $!\"; done")?;
    let during = objects(&mut guest)?;
    if during < before + 40 {
        return Err(guest.wrong(format!("{before} objects, with 20 processes more {during}")));
    }
    guest.run("kill -9 $pids; wait")?;
    for field in [
        "MemAvailable",
        "AnonPages",
        "Slab",
        "KernelStack",
        "PageTables",
    ] {
        guest.check(&format!("grep -c '^{field}: .* kB$' /proc/meminfo"), "1\n")?;
    }
    guest.power_off(0).map(drop)
}

/// Objects in use in the kernel's slabs.
fn objects(guest: &mut Guest) -> Result<u64> {
    let text = guest.run("grep ^kmalloc- /proc/slabinfo | tr -s ' ' | cut -d ' ' -f 2")?;
    Ok(text
        .lines()
        .filter_map(|line| line.parse::<u64>().ok())
        .sum())
}

/// Programs that want more than their limit get the error that Linux gives.
fn eaters() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    for (limit, command, expected) in [
        (
            "-v 20000",
            "eat heap",
            "eat: heap: ENOMEM after 1. MiB from malloc",
        ),
        (
            "-d 10000",
            "eat heap",
            "eat: heap: ENOMEM after [5-9] MiB from malloc",
        ),
        (
            "-l 64",
            "asuser 1000 eat lock",
            "eat: lock: ENOMEM after 16 pages locked",
        ),
        ("-n 50", "eat fds", "eat: fds: EMFILE after 4. open files"),
        (
            "-n 50",
            "eat pipes",
            "eat: pipes: EMFILE after 2. full pipes",
        ),
        (
            "-u 10",
            "asuser 1000 eat threads",
            "eat: threads: EAGAIN after 9 threads",
        ),
        (
            "-u 10",
            "asuser 1000 eat processes",
            "eat: processes: EAGAIN after 9 processes",
        ),
    ] {
        guest.check(
            &format!("(ulimit {limit}; {command}) | grep -c '^{expected}$'"),
            "1\n",
        )?;
    }
    guest.check("(ulimit -m 2000; eat pages) 2> /dev/null; echo $?", "137\n")?;
    guest.check("(ulimit -f 200; eat file) 2> /dev/null; echo $?", "153\n")?;
    guest.power_off(0).map(drop)
}

/// Who eats all memory is killed, or gets an error; the shell, the servers and the memory are there afterwards.
fn exhausted(kinds: &[&str]) -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new().memory(LITTLE);
    let mut guest = Guest::at_prompt(&disk, options)?;
    let servers = guest.run(SERVERS)?;
    let before = free_pages(&mut guest)?;
    for kind in kinds {
        let output = guest.run_within(&format!("eat {kind} 2>&1; echo status $?"), LONG)?;
        if output.contains("status 137\n") {
            guest.expect_log(" (eat), which has ", LONG)?;
        } else if !output.starts_with("eat: ") || !output.ends_with("status 0\n") {
            return Err(guest.wrong(format!("eat {kind} printed {output}")));
        }
        guest.check("echo alive > /tmp/alive; cat /tmp/alive", "alive\n")?;
        guest.check(SERVERS, &servers)?;
        let after = free_pages(&mut guest)?;
        if after + KEPT < before {
            return Err(guest.wrong(format!("eat {kind}: {before} pages were free, now {after}")));
        }
    }
    guest.power_off(0).map(drop)
}

/// The pids of init, the servers and the shell.
const SERVERS: &str = "for n in 1 2 3 4 5; do echo $n $(cat /proc/$n/comm); done; echo $$";

fn free_pages(guest: &mut Guest) -> Result<u64> {
    let text = guest.run("grep free_pages /proc/ferrix/kernel | cut -d ' ' -f 2")?;
    text.trim()
        .parse()
        .map_err(|_| guest.wrong(format!("free pages are {text}")))
}

/// Inside its limit a fork bomb harms nobody: the shell answers all the time, and afterwards all is as before.
fn fork_bomb() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    let count = "ls /proc | grep -c '^[0-9]'";
    let before = guest.run(count)?;
    guest.run("(ulimit -u 20; asuser 1000 bomb 3 > /tmp/bomb) &")?;
    let begin = Instant::now();
    let mut turn = 0;
    while begin.elapsed() < Duration::from_secs(3) {
        turn += 1;
        let answer = guest.run_within(&format!("echo turn $(({turn} + 1000))"), ANSWER)?;
        if !answer.ends_with(&format!("turn {}\n", turn + 1000)) {
            return Err(guest.wrong(format!("turn {turn}: {answer}")));
        }
    }
    guest.run_within("wait 2> /dev/null", LONG)?;
    let refused = "grep -c '^bomb: [0-9]* children, [1-9][0-9]* refused$' /tmp/bomb";
    guest.check(refused, "1\n")?;
    guest.check(count, &before)?;
    guest.power_off(0).map(drop)
}
