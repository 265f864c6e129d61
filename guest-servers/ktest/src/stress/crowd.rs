//! Threads of one process that do all that threads can do to each other, by chance.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, Tag};
use ferrix_abi::sched::{NORMAL, Policy};
use ferrix_rt::sys::{ipc, system, thread};

use super::{Random, serve, sleep_us};
use crate::support::*;

const WORKERS: usize = 6;
const STEPS: u64 = 60;
/// Steps between two meetings of all workers.
const APART: u64 = 10;

/// Their threads' ids.
static TIDS: [AtomicU32; WORKERS] = [const { AtomicU32::new(0) }; WORKERS];
/// How many have come to the meeting,
static ARRIVED: AtomicU32 = AtomicU32::new(0);
/// and how many meetings there were: the futex on which they wait.
static MEETINGS: AtomicU32 = AtomicU32::new(0);

/// Two servers and six workers. Whoever waits has no deadline: a lost wake-up is a test that does not end.
pub fn run(port: Handle, random: &mut Random) -> Outcome {
    for _ in 0..2 {
        start_thread(move || serve(port))?;
    }
    let mut workers = Vec::new();
    for tid in &TIDS {
        let mut own = Random::from_seed(random.below(u64::MAX));
        let worker = start_thread(move || work(port, &mut own))?;
        tid.store(worker.tid, SeqCst);
        workers.push(worker);
    }
    workers.into_iter().try_for_each(|worker| worker.join())
}

fn work(port: Handle, random: &mut Random) -> Outcome {
    for number in 0..STEPS {
        if number.is_multiple_of(APART) {
            meet();
        }
        let other = TIDS[random.below(WORKERS as u64) as usize].load(SeqCst);
        match random.below(8) {
            0 | 1 => call(port, number)?,
            2 => start_thread(move || call(port, number))?.join()?,
            3 => move_away(other, random)?,
            4 => change_priority(other, random)?,
            5 => sleep_us(random.below(200)),
            6 => (0..random.below(2000)).for_each(|step| _ = core::hint::black_box(step)),
            _ => thread::yield_now(),
        }
    }
    // All are there until nobody names them any more.
    meet();
    Ok(())
}

fn call(port: Handle, number: u64) -> Outcome {
    let reply = ipc::call(port, Tag::SHORT, [number, 0, 0, 0])?;
    equal(reply.words[0], number + 1)
}

fn move_away(tid: u32, random: &mut Random) -> Outcome {
    let all = (1 << system::kernel_info().cpus.min(32)) - 1;
    Ok(thread::set_affinity(tid, 1 + random.below(all))?)
}

fn change_priority(tid: u32, random: &mut Random) -> Outcome {
    let (low, high) = (u64::from(*NORMAL.start()), u64::from(*NORMAL.end()));
    let base = low + random.below(high - low + 1);
    Ok(thread::set_scheduling(
        tid,
        Policy::Other,
        base as u8,
        resource(),
    )?)
}

/// Waits until all workers are here.
fn meet() {
    let before = MEETINGS.load(SeqCst);
    if ARRIVED.fetch_add(1, SeqCst) + 1 == WORKERS as u32 {
        ARRIVED.store(0, SeqCst);
        MEETINGS.store(before + 1, SeqCst);
        let _ = thread::futex_wake(MEETINGS.as_ptr() as u64, WORKERS as u64, u32::MAX);
    }
    while MEETINGS.load(SeqCst) == before {
        // It says at once if the last one came meanwhile.
        let _ = thread::futex_wait(MEETINGS.as_ptr() as u64, before, FOREVER, u32::MAX);
    }
}
