//! `scaling`: how much sooner busy threads are done on more processors.
//!
//! The same work is done on one processor and on several, by turns, so that both see the same of what else the host does;
//! of each the shortest time counts. Half the time on two processors is the best there can be.

use std::hint::black_box;
use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::cx::{Cx, Fail, Outcome};
use crate::sys::realtime::{microseconds, now, stay_within};

/// Steps of one thread: some 50 ms, so that what its start costs does not matter.
const STEPS: u64 = 200_000_000;

/// `scaling [-n THREADS] [-c CPUS] [-r ROUNDS]`.
pub fn scaling(cx: &mut Cx) -> Outcome {
    let opts = cx.options("n:c:r:")?;
    let option = |letter, default: u64| opts.number(letter, default).map_err(Fail::usage);
    let (threads, cpus, rounds) = (option('n', 4)?, option('c', 2)?, option('r', 5)?);
    if !(1..=63).contains(&cpus) || rounds == 0 {
        return Err(Fail::usage("1 to 63 processors, and one round at least"));
    }
    let mut shortest = [u64::MAX; 2];
    for _ in 0..rounds {
        for (time, mask) in shortest.iter_mut().zip([1, (1 << cpus) - 1]) {
            stay_within(mask).map_err(|why| Fail::on("sched_setaffinity", &why))?;
            *time = work(threads).min(*time);
        }
    }
    let [one, several] = shortest;
    let text = |nanoseconds| microseconds(Duration::from_nanos(nanoseconds));
    writeln!(
        cx.out,
        "{threads} threads: {} on 1 CPU, {} on {cpus} CPUs: {:.3} of it",
        text(one),
        text(several),
        several as f64 / one as f64
    )?;
    Ok(0)
}

/// Lets threads do their work; how long that takes, in nanoseconds.
fn work(threads: u64) -> u64 {
    let start = now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..STEPS).for_each(|step| _ = black_box(step)));
        }
    });
    now() - start
}
