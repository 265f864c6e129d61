//! The heap of a native program, between threads of different priorities.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use ferrix_abi::sched::Policy;
use ferrix_rt::clock;
use ferrix_rt::sys::thread;

use crate::support::*;

pub const TESTS: &[Test] = &[("a_holder_that_cannot_run", a_holder_that_cannot_run)];

const BUSY: u8 = 90;
const URGENT: u8 = 100;
const MAIN: u8 = 110;
/// How often the urgent thread comes: rather often while the busy one has the heap's lock.
const TIMES: u64 = 200;
const PAUSE_NS: u64 = 400_000;

/// A thread that allocates all the time is pre-empted by a more urgent one, which allocates too: it gets what it wants,
/// although the other one, on the same CPU, may have the heap's lock.
fn a_holder_that_cannot_run() -> Outcome {
    static DONE: AtomicBool = AtomicBool::new(false);
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Fifo, MAIN, resource())?;
    let busy = at(BUSY, || {
        while !DONE.load(SeqCst) {
            use_heap(64)?;
        }
        Ok(())
    })?;
    let urgent = at(URGENT, || {
        for time in 0..TIMES {
            thread::sleep_until(clock::monotonic_ns() + PAUSE_NS)?;
            use_heap(time as usize)?;
        }
        DONE.store(true, SeqCst);
        Ok(())
    })?;
    urgent.join()?;
    busy.join()
}

fn at(priority: u8, body: fn() -> Outcome) -> Result<Thread, Failure> {
    start_thread(move || {
        thread::set_scheduling(0, Policy::Fifo, priority, resource())?;
        body()
    })
}

/// Allocates, looks whether the memory is the caller's alone, and frees it.
fn use_heap(length: usize) -> Outcome {
    let mut numbers: Vec<u64> = Vec::new();
    for number in 0..length as u64 {
        numbers.push(number);
        numbers.shrink_to_fit();
    }
    let all = (0..length as u64).eq(numbers.iter().copied());
    holds(all, "nobody else writes there")
}
