//! Time: the TSC, whose frequency the hypervisor says or the PIT tells.
//!
//! Upper bounds are generous, as the host may be busy; lower bounds are not.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_machine::cpuid as leaf;

use crate::arch::cpu;
use crate::pit;

/// How long anything may take that should happen at once.
pub const PATIENCE_MS: u64 = 10_000;

static TSC_KHZ: AtomicU64 = AtomicU64::new(0);

/// Frequency by the hypervisor's timing leaf, if it has one.
pub fn offered_tsc_khz() -> Option<u64> {
    crate::checks::cpuid::hypervisor_leaf(leaf::TIMING)
        .map(|timing| timing.eax.into())
        .filter(|&khz| khz != 0)
}

/// Chooses the frequency; once, at the start.
pub fn init() {
    let khz = offered_tsc_khz().or_else(pit::measure_tsc_khz);
    // Without either, durations are too long rather than too short.
    TSC_KHZ.store(khz.unwrap_or(5_000_000), Relaxed);
}

/// Ticks of the TSC in a millisecond.
pub fn tsc_khz() -> u64 {
    TSC_KHZ.load(Relaxed)
}

/// Microseconds in TSC ticks.
pub fn micros(ticks: u64) -> u64 {
    ticks.saturating_mul(1000) / tsc_khz()
}

/// Waits for a condition, at most `ms`; whether it came true.
pub fn wait(ms: u64, mut condition: impl FnMut() -> bool) -> bool {
    let end = cpu::tsc() + ms * tsc_khz();
    loop {
        // Looked at once more after the time: this CPU may have been away.
        let over = cpu::tsc() >= end;
        if condition() {
            return true;
        }
        if over {
            return false;
        }
        core::hint::spin_loop();
    }
}

/// Lets time pass, with interrupts as they are.
pub fn pause(ms: u64) {
    wait(ms, || false);
}

/// A counter's value and the time at which it was read, to within `1/2^10` ms if possible: a
/// reading that was interrupted is repeated.
pub fn sample(read: impl Fn() -> u64) -> (u64, u64) {
    let mut best = (0, 0, u64::MAX);
    for _ in 0..20 {
        let before = cpu::tsc();
        let value = read();
        let after = cpu::tsc();
        if after - before < best.2 {
            best = (value, before + (after - before) / 2, after - before);
        }
        if best.2 < tsc_khz() / 50 {
            break;
        }
    }
    (best.0, best.1)
}
