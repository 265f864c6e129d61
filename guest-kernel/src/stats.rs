//! Kernel-wide counters.

#[cfg(target_os = "none")]
mod collect;
#[cfg(target_os = "none")]
pub use collect::{Before, before, collect};

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter that may lose an increment when two CPUs count at once, and costs two instructions.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Adds one.
    #[inline(always)]
    pub fn count(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

/// Interrupts since boot.
pub static INTERRUPTS: Counter = Counter::new();
