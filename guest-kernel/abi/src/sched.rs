//! Scheduling policies and the 128 priorities; a higher number runs first.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// A scheduling policy, with Linux's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Policy {
    /// Time sharing with ageing: priorities 4 to 87.
    Other = 0,
    /// Real time, first in first out: 88 to 119.
    Fifo = 1,
    /// Real time, round robin: 88 to 119.
    RoundRobin = 2,
    /// Only when nothing else runs: 0 to 3.
    Idle = 5,
}

/// Number of priorities.
pub const PRIORITIES: usize = 128;
/// The range of [`Policy::Idle`].
pub const IDLE: core::ops::RangeInclusive<u8> = 0..=3;
/// Ordinary time-shared threads, within the range of [`Policy::Other`].
pub const NORMAL: core::ops::RangeInclusive<u8> = 4..=45;
/// What a new program runs at (nice 0).
pub const NORMAL_DEFAULT: u8 = 24;
/// System servers: time-shared policy, fixed priority.
pub const SERVER: core::ops::RangeInclusive<u8> = 46..=87;
/// What a server runs at unless init's manifest says otherwise.
pub const SERVER_DEFAULT: u8 = 66;
/// [`Policy::Fifo`] and [`Policy::RoundRobin`].
pub const REALTIME: core::ops::RangeInclusive<u8> = 88..=119;
/// Interrupt threads.
pub const INTERRUPT: core::ops::RangeInclusive<u8> = 120..=127;
