//! `coherence [-s SEED] [-n OPERATIONS] [-t SECONDS] FILE`: random operations on a file by several descriptors,
//! mappings and processes, each compared with what the file has to hold. It runs on Linux too.

mod files;
mod model;
mod operations;
mod rare;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cx::{Cx, Fail, Outcome};
use operations::Test;

/// Numbers that look random, and are the same for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }
}

/// Operations shown when one fails.
const SHOWN: usize = 12;

/// `coherence [-s SEED] [-n OPERATIONS] [-t SECONDS] FILE`.
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("s:n:t:")?;
    let [path] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs a file"));
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let by_time = now.map_or(1, |time| u64::from(time.subsec_nanos()));
    let seed = opts.number('s', by_time).map_err(Fail::Usage)?;
    let count: u64 = opts.number('n', 1000).map_err(Fail::Usage)?;
    let seconds: u64 = opts.number('t', 0).map_err(Fail::Usage)?;
    let start = Instant::now();
    let goes_on = |done: u64| match seconds {
        0 => done < count,
        _ => start.elapsed() < Duration::from_secs(seconds),
    };
    let mut test =
        Test::new(Path::new(path), Random::new(seed)).map_err(|why| Fail::on(path, &why))?;
    let mut done = 0;
    while goes_on(done) {
        if let Err(wrong) = test.step() {
            for line in test.last_steps(SHOWN) {
                cx.complain(line);
            }
            let text = format!("seed {seed}, operation {done}: {wrong}");
            return Err(Fail::new(text));
        }
        done += 1;
    }
    let skipped = test.skipped();
    test.finish().map_err(|why| Fail::on(path, &why))?;
    writeln!(
        cx.out,
        "seed {seed}: {done} operations, {skipped} not offered, all agree"
    )?;
    Ok(0)
}
