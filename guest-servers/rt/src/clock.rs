//! The time, read from the kernel information page without a system call.

use crate::sys::system::{cycles, kernel_info, realtime_offset};

/// Nanoseconds since boot.
pub fn monotonic_ns() -> u64 {
    let info = kernel_info();
    let elapsed = cycles().wrapping_sub(info.tsc_base);
    ((u128::from(elapsed) * u128::from(info.tsc_multiplier)) >> 32) as u64
}

/// Nanoseconds since 1970.
pub fn realtime_ns() -> u64 {
    monotonic_ns().wrapping_add(realtime_offset())
}

/// Seconds since 1970.
pub fn realtime_seconds() -> u64 {
    realtime_ns() / 1_000_000_000
}
