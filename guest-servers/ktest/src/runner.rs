//! Runs tests, each in a process of its own, and looks for what it left behind.

use alloc::format;
use alloc::string::String;

use ferrix_abi::info::SystemStats;
use ferrix_abi::process::{WaitFor, wait};
use ferrix_abi::signal::number::{SIGCHLD, SIGKILL};
use ferrix_abi::signal::{MaskHow, SignalInfo, SignalSet};
use ferrix_rt::sys::{process, signal, system};
use ferrix_rt::{clock, log};

use crate::options;
use crate::support::{Failure, Outcome, Test, set_of, sleep_ms, spawn};

/// A test that takes longer hangs. The stress tests want two CPUs of the host for three seconds: a host
/// that is busy with other things takes its time.
const LIMIT_NS: u64 = 40_000_000_000;
/// Threads that end on other CPUs may take this long to be gone.
const SETTLE_MS: u64 = 200;

/// Runs the tests that the command line picks; how many failed.
pub fn all(subjects: &[(&str, &[Test])]) -> usize {
    let (cpus, seed) = (system::kernel_info().cpus, options::seed());
    log!("ktest", "{cpus} CPUs, seed={seed}");
    let (mut ran, mut failed) = (0, 0);
    for (subject, tests) in subjects {
        for (test, body) in *tests {
            let name = format!("{subject}::{test}");
            if name.contains(options::only()) {
                ran += 1;
                failed += usize::from(!one(&name, *body));
            }
        }
    }
    log!("ktest", "{ran} tests, {failed} failed");
    // A name that picks nothing is a mistake.
    failed + usize::from(ran == 0)
}

fn one(name: &str, body: fn() -> Outcome) -> bool {
    let result = isolated(body);
    match &result {
        Ok(()) => log!("ktest", "{name} ok"),
        Err(Failure(why)) => log!("ktest", "{name} FAILED: {why}"),
    }
    result.is_ok()
}

/// Runs one test in a child, in a group of its own, and ends all that it started.
fn isolated(body: fn() -> Outcome) -> Outcome {
    let before = counters()?;
    let chld = set_of(SIGCHLD);
    signal::mask(MaskHow::Block, chld)?;
    let pid = spawn(|| {
        process::set_group(0, 0)?;
        signal::mask(MaskHow::Set, 0)?;
        body()
    })?;
    let result = end_of_test(pid, chld);
    let kill = SignalInfo {
        signo: SIGKILL,
        ..Default::default()
    };
    // The group is often gone already.
    let _ = signal::send(signal::Target::Process, -(pid as i32), &kill);
    while process::wait(WaitFor::Any, 0, wait::EXITED).is_ok() {}
    result?;
    nothing_left(before)
}

fn end_of_test(pid: u32, chld: SignalSet) -> Outcome {
    // Who asks for more rounds waits longer.
    let deadline = clock::monotonic_ns() + LIMIT_NS * options::rounds().clamp(1, 100);
    loop {
        let options = wait::EXITED | wait::NO_HANG;
        match process::wait(WaitFor::Pid, pid, options)? {
            Some(ended) if ended.status == 0 => return Ok(()),
            Some(ended) => {
                let text = format!("it ended with status {:#x}", ended.status);
                return Err(Failure(text));
            }
            None if clock::monotonic_ns() > deadline => {
                return Err(Failure(String::from("it hangs")));
            }
            // Its children's ends wake too, once they are ours.
            None => drop(signal::wait(chld, deadline + 1)),
        }
    }
}

/// What must be the same before and after.
type Counters = [(&'static str, u64); 6];

fn counters() -> Result<Counters, Failure> {
    let SystemStats {
        processes,
        threads,
        handles,
        objects,
        ports,
        sessions,
        ..
    } = system::statistics()?;
    Ok([
        ("processes", processes),
        ("threads", threads),
        ("handles", handles),
        ("objects", objects),
        ("ports", ports),
        ("sessions", sessions),
    ])
}

fn nothing_left(before: Counters) -> Outcome {
    let mut after = counters()?;
    for _ in 0..SETTLE_MS {
        if after == before {
            return Ok(());
        }
        sleep_ms(1);
        after = counters()?;
    }
    let text = format!("it left something behind: {before:?} became {after:?}");
    Err(Failure(text))
}
