//! `rtlat`: how late a real-time thread runs that a timer wakes, beside others that want the same processor.
//!
//! The thread is `SCHED_FIFO`; on its processor there are also threads that compute, and one that is in long system calls
//! (memory is mapped, all of it made present, and unmapped). Lateness is the time from the moment asked for
//! to the thread's first look at the clock.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::cx::{Cx, Fail, Outcome};
use crate::sys::realtime::{become_fifo, map_and_unmap, microseconds, now, sleep_until, stay_on};

/// Linux's number of the kernel's priority 100.
const PRIORITY: i32 = 13;
/// Bytes that the long calls make present.
const MAPPED: usize = 1 << 20;
/// The processor that all want.
const CPU: u32 = 0;

/// What the other threads do.
#[derive(Default)]
struct Load {
    ends: AtomicBool,
    /// In the call that makes memory present.
    calling: AtomicBool,
    /// Those calls,
    calls: AtomicU64,
    /// and rounds of computing.
    rounds: AtomicU64,
}

/// What the real-time thread found.
#[derive(Default)]
struct Found {
    late: Vec<u64>,
    /// Times that it woke while the other was in its call.
    inside: usize,
}

/// `rtlat [-n SAMPLES] [-i MICROSECONDS] [-l THREADS]`.
pub fn rtlat(cx: &mut Cx) -> Outcome {
    let opts = cx.options("n:i:l:")?;
    let option = |letter, default: u64| opts.number(letter, default).map_err(Fail::usage);
    let (samples, interval, threads) = (option('n', 1000)?, option('i', 1000)?, option('l', 2)?);
    let explain = |why| Fail::on("sched_setscheduler", &why);
    stay_on(CPU).map_err(|why| Fail::on("sched_setaffinity", &why))?;
    let load = Load::default();
    let found = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| compute(&load));
        }
        if threads != 0 {
            scope.spawn(|| call(&load));
        }
        let found = become_fifo(PRIORITY).and_then(|()| measure(&load, samples, interval * 1000));
        load.ends.store(true, SeqCst);
        found
    })
    .map_err(explain)?;
    report(cx, found, &load)
}

fn compute(load: &Load) {
    while !load.ends.load(SeqCst) {
        for step in 0..10_000u32 {
            std::hint::black_box(step);
        }
        load.rounds.fetch_add(1, SeqCst);
    }
}

fn call(load: &Load) {
    while !load.ends.load(SeqCst) {
        load.calling.store(true, SeqCst);
        let done = map_and_unmap(MAPPED, || load.calling.store(false, SeqCst));
        if done.is_ok() {
            load.calls.fetch_add(1, SeqCst);
        }
    }
}

fn measure(load: &Load, samples: u64, interval: u64) -> std::io::Result<Found> {
    let mut found = Found::default();
    let mut next = now() + interval;
    for _ in 0..samples {
        sleep_until(next)?;
        let woken = now();
        found.inside += usize::from(load.calling.load(SeqCst));
        found.late.push(woken.saturating_sub(next));
        // A little off the others' rhythm each time; the others must come to run in between.
        next = woken + interval + woken % 1024;
    }
    Ok(found)
}

fn report(cx: &mut Cx, mut found: Found, load: &Load) -> Outcome {
    found.late.sort_unstable();
    let (late, last) = (&found.late, found.late.len().saturating_sub(1));
    if late.is_empty() {
        return Ok(0);
    }
    let at = |share: f64| microseconds(Duration::from_nanos(late[(last as f64 * share) as usize]));
    writeln!(
        cx.out,
        "late: least {}, half {}, 99% {}, most {}",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    )?;
    let (calls, rounds) = (load.calls.load(SeqCst), load.rounds.load(SeqCst));
    writeln!(
        cx.out,
        "woken {} times, {} of them inside a system call; beside it {calls} calls, {rounds} rounds",
        late.len(),
        found.inside
    )?;
    let bucket = |nanoseconds: u64| (nanoseconds / 1000 + 1).next_power_of_two();
    for group in late.chunk_by(|a, b| bucket(*a) == bucket(*b)) {
        writeln!(cx.out, "< {:>8} us: {}", bucket(group[0]), group.len())?;
    }
    Ok(0)
}
