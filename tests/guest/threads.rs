//! POSIX threads of musl, unmodified: `tests/real/threads.c`; programs about priorities and CPUs, ours and busybox's.

use anyhow::{Context, Result};
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, Options, real};
use libtest_mimic::Trial;

use crate::trial::{everywhere, needs, slow};

pub fn trials() -> Vec<Trial> {
    let by_musl = [
        everywhere("threads::pthreads", pthreads),
        everywhere("threads::inversion_without_inheritance", inversion),
        everywhere("threads::scheduling_calls", scheduling_calls),
        slow(everywhere("threads::shared_and_balanced", shares)),
    ];
    let by_musl = by_musl.into_iter().map(|trial| needs(trial, &[Need::Musl]));
    let busybox = everywhere("threads::busybox_tools", busybox_tools);
    by_musl
        .chain([
            everywhere("threads::our_tools", our_tools),
            everywhere("threads::rust_std", rust_std),
            needs(busybox, &[Need::Busybox]),
        ])
        .collect()
}

/// A guest with the test program in `/real`.
fn guest(options: Options) -> Result<Guest> {
    let disk = Disk::copy()?;
    disk.add(&real::programs("threads", &["threads"])?, "/real")?;
    Guest::at_prompt(&disk, options)
}

/// Runs tests of the program, which say that they are well.
fn succeed(guest: &mut Guest, names: &[&str]) -> Result<()> {
    let expected: String = names.iter().map(|name| format!("{name} ok\n")).collect();
    guest.check(&format!("/real/threads {}", names.join(" ")), &expected)
}

fn pthreads() -> Result<()> {
    let mut guest = guest(Options::new().cpus(2))?;
    succeed(
        &mut guest,
        &["pi_mutex", "pi_condition", "inversion", "robust", "locks"],
    )?;
    succeed(&mut guest, &["lives", "names", "guard", "suspension"])?;
    guest.power_off(0).map(drop)
}

/// Threads as Rust's standard library makes them: `tests/real/rust_threads.rs`.
fn rust_std() -> Result<()> {
    let disk = Disk::copy()?;
    disk.add(&real::programs("rust", &["rust_threads"])?, "/real")?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    let names = "join mutex condvar rwlock barrier thread_locals scopes park names mpsc panics once detach stack";
    let expected: String = names
        .split(' ')
        .map(|name| format!("{name} ok\n"))
        .collect();
    guest.check("/real/rust_threads", &expected)?;
    guest.power_off(0).map(drop)
}

fn inversion() -> Result<()> {
    let mut guest = guest(Options::new().append("inheritance=off"))?;
    succeed(&mut guest, &["inversion_stays", "pi_mutex"])?;
    guest.power_off(0).map(drop)
}

fn scheduling_calls() -> Result<()> {
    let mut guest = guest(Options::new().cpus(2))?;
    succeed(&mut guest, &["parameters", "nice_values", "as_user"])?;
    guest.power_off(0).map(drop)
}

fn shares() -> Result<()> {
    let mut guest = guest(Options::new().cpus(4))?;
    succeed(&mut guest, &["rr_share", "balance"])?;
    guest.power_off(0).map(drop)
}

fn our_tools() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    guest.run("sleep 100 & p=$!")?;
    for (command, expected) in [
        (
            "chrt -f 42 cut -d ' ' -f 18,40,41 /proc/self/stat",
            "-43 42 1\n",
        ),
        (
            "chrt -b 0 cut -d ' ' -f 18,19,41 /proc/self/stat",
            "20 0 3\n",
        ),
        (
            "nice -n 7 cut -d ' ' -f 18,19,41 /proc/self/stat",
            "27 7 0\n",
        ),
        (
            "chrt -m | head -n 2 | tail -n 1",
            "SCHED_FIFO min/max priority\t: 1/99\n",
        ),
        ("taskset -c 1 cut -d ' ' -f 39 /proc/self/stat", "1\n"),
        (
            "taskset 1 grep Cpus_allowed: /proc/self/status",
            "Cpus_allowed:\t1\n",
        ),
        (
            "renice -n 4 -p $p | cut -d ' ' -f 2-",
            "old priority 0, new priority 4\n",
        ),
        (
            "chrt -r -p 9 $p; chrt -p $p | cut -d ' ' -f 3-",
            "current scheduling policy: SCHED_RR\ncurrent scheduling priority: 9\n",
        ),
        (
            "taskset -c -p 0 $p | tail -n 1 | cut -d ' ' -f 3-",
            "new affinity list: 0\n",
        ),
        ("cat /proc/$p/wchan; echo", "sleep_until\n"),
        (
            "grep -c effective_priority /proc/$p/sched /proc/$p/task/$p/sched | cut -d : -f 2",
            "1\n1\n",
        ),
        ("top -b -n 1 | grep -c sleep", "1\n"),
        ("grep -c ^cpu /proc/stat", "3\n"),
        (
            "cut -d ' ' -f 1 /proc/loadavg | grep -c '^[0-9]*[.][0-9][0-9]$'",
            "1\n",
        ),
    ] {
        guest.check(command, expected)?;
    }
    guest.power_off(0).map(drop)
}

fn busybox_tools() -> Result<()> {
    let busybox = host::in_path("busybox").context("busybox")?;
    let disk = Disk::copy()?;
    disk.add(&[busybox], "/real")?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    guest.run("b=/real/busybox; $b sleep 100 & p=$!")?;
    for (command, expected) in [
        ("$b nproc", "2\n"),
        ("$b taskset 2 $b cut -d ' ' -f 39 /proc/self/stat", "1\n"),
        (
            "$b renice -n 6 -p $p; $b cut -d ' ' -f 19 /proc/$p/stat",
            "6\n",
        ),
        (
            "$b taskset -p $p | $b cut -d ' ' -f 3-",
            "current affinity mask: 3\n",
        ),
        ("$b top -b -n 1 | $b grep -c '[b]usybox sleep'", "1\n"),
        ("$b top -b -n 1 | $b grep -c '^CPU:.*idle'", "1\n"),
        ("$b ps -o pid,nice,comm | $b grep -c ' 6 busybox'", "1\n"),
        (
            "$b uptime | $b grep -c 'load average: [0-9.]*, [0-9.]*, [0-9.]*'",
            "1\n",
        ),
    ] {
        guest.check(command, expected)?;
    }
    guest.power_off(0).map(drop)
}
