//! The load averages of `/proc/loadavg`.
//!
//! A sample is how many threads ran, on the average since the last sample, and how many were ready at its moment. The
//! first is exact: CPUs account their idle time. There is no periodic interrupt, so a sample may come late; it then
//! counts for all the time since the last one, as if it had been taken every [`PERIOD_NS`].

/// Time between samples, in nanoseconds.
const PERIOD_NS: u64 = 5_000_000_000;
/// What one thread counts.
const ONE: u64 = 2048;
/// e to the power of -5 s by 1, 5 and 15 minutes, in units of 1 / [`ONE`] (Linux's `EXP_1`, `EXP_5`, `EXP_15`).
const DECAY: [u64; 3] = [1884, 2014, 2037];
/// After so many periods a sample is all that counts.
const PERIODS_MAX: u64 = 2000;

/// The averages.
#[derive(Clone, Copy, Debug)]
pub struct Averages {
    values: [u64; 3],
    sampled: u64,
    idle_ns: u64,
}

impl Averages {
    /// At boot.
    pub const fn new() -> Averages {
        Averages {
            values: [0; 3],
            sampled: 0,
            idle_ns: 0,
        }
    }

    /// Whether a sample is due.
    pub fn is_due(&self, now: u64) -> bool {
        now.saturating_sub(self.sampled) >= PERIOD_NS
    }

    /// Takes a sample: `idle_ns` is the idle time of all CPUs since boot.
    pub fn sample(&mut self, now: u64, cpus: u64, idle_ns: u64, waiting: u64) {
        let periods = now.saturating_sub(self.sampled) / PERIOD_NS;
        let elapsed = now.saturating_sub(self.sampled).max(1);
        let idle = idle_ns.saturating_sub(self.idle_ns);
        let busy = (elapsed * cpus).saturating_sub(idle);
        let active = (busy as u128 * ONE as u128 / elapsed as u128) as u64 + waiting * ONE;
        for (value, decay) in self.values.iter_mut().zip(DECAY) {
            for _ in 0..periods.min(PERIODS_MAX) {
                *value = (*value * decay + active * (ONE - decay)) / ONE;
            }
        }
        self.sampled += periods * PERIOD_NS;
        self.idle_ns = idle_ns;
    }

    /// The averages over 1, 5 and 15 minutes, in units of 1 / 2048.
    pub fn values(&self) -> [u64; 3] {
        self.values
    }
}

impl Default for Averages {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_constant_load_is_reached_the_sooner_the_shorter_the_average() {
        let mut averages = Averages::new();
        for second in (5..=60).step_by(5) {
            averages.sample(second * SECOND, 2, second * SECOND, 2);
        }
        // One of two CPUs is busy, two threads wait: 3 (1 - 1/e) after a minute.
        let [one, five, fifteen] = averages.values();
        let expected = (3.0 * (1.0 - (-1.0f64).exp()) * ONE as f64) as u64;
        assert!(one.abs_diff(expected) < ONE / 20, "{one} {expected}");
        assert!(one > five && five > fifteen);
    }

    #[test]
    fn a_late_sample_counts_for_all_the_time() {
        let (mut late, mut often) = (Averages::new(), Averages::new());
        late.sample(600 * SECOND, 1, 0, 0);
        for second in (5..=600).step_by(5) {
            often.sample(second * SECOND, 1, 0, 0);
        }
        assert_eq!(late.values(), often.values());
        assert!(late.values()[0].abs_diff(ONE) < 32, "{:?}", late.values());
        assert!(!late.is_due(604 * SECOND) && late.is_due(605 * SECOND));
    }

    #[test]
    fn nothing_to_do_is_no_load() {
        let mut averages = Averages::new();
        averages.sample(100 * SECOND, 4, 400 * SECOND, 0);
        assert_eq!(averages.values(), [0; 3]);
    }
}
