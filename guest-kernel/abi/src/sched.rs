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

/// Nice values.
pub const NICE: core::ops::RangeInclusive<i32> = -20..=19;
/// Linux's real-time priorities. The kernel has fewer: neighbours share one.
pub const LINUX_REALTIME: core::ops::RangeInclusive<u32> = 1..=99;

/// The base priority of a nice value of [`NICE`].
pub const fn base_of_nice(nice: i32) -> u8 {
    (NORMAL_DEFAULT as i32 - nice) as u8
}

/// The nice value of a time-shared thread's base priority: that of servers is the lowest.
pub const fn nice_of_base(base: u8) -> i32 {
    let nice = NORMAL_DEFAULT as i32 - base as i32;
    if nice < *NICE.start() {
        *NICE.start()
    } else {
        nice
    }
}

/// The base priority of one of Linux's real-time priorities.
pub const fn base_of_realtime(priority: u32) -> u8 {
    let span = (*REALTIME.end() - *REALTIME.start()) as u32;
    *REALTIME.start() + ((priority - 1) * span / 98) as u8
}

/// The lowest of Linux's real-time priorities that has this base priority.
pub const fn realtime_of_base(base: u8) -> u32 {
    let span = (*REALTIME.end() - *REALTIME.start()) as u32;
    let above = if base > *REALTIME.end() {
        span
    } else {
        (base - *REALTIME.start()) as u32
    };
    1 + (above * 98).div_ceil(span)
}

/// A thread's scheduling as Linux has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// Linux's number of the policy, [`BATCH`](Self::BATCH) included.
    pub policy: u8,
    /// The nice value; real-time threads keep theirs for later.
    pub nice: i8,
    /// Real-time priority, 1 to 99; 0 for others.
    pub realtime: u8,
    /// 1: children do not inherit what is better than ordinary.
    pub reset_on_fork: u8,
}

impl Scheduling {
    /// As [`Policy::Other`].
    pub const BATCH: u8 = 3;

    /// As a register carries it.
    pub const fn pack(self) -> u64 {
        u32::from_le_bytes([
            self.policy,
            self.nice as u8,
            self.realtime,
            self.reset_on_fork,
        ]) as u64
    }

    /// From a register.
    pub const fn unpack(word: u64) -> Scheduling {
        let [policy, nice, realtime, reset_on_fork] = (word as u32).to_le_bytes();
        Scheduling {
            policy,
            nice: nice as i8,
            realtime,
            reset_on_fork,
        }
    }
}

/// Whose nice value: Linux's `PRIO_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Whose {
    /// A thread's.
    Thread = 0,
    /// That of all threads of a process group.
    Group = 1,
    /// That of all threads of a user.
    User = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_values_stay_in_the_time_shared_range() {
        for nice in NICE {
            assert!(NORMAL.contains(&base_of_nice(nice)));
            assert_eq!(nice_of_base(base_of_nice(nice)), nice);
        }
        assert_eq!(nice_of_base(SERVER_DEFAULT), -20);
    }

    #[test]
    fn real_time_priorities_keep_their_order() {
        let bases = || LINUX_REALTIME.map(base_of_realtime);
        assert!(bases().zip(bases().skip(1)).all(|(low, high)| low <= high));
        assert!(bases().all(|base| REALTIME.contains(&base)));
        assert_eq!(base_of_realtime(99), *REALTIME.end());
        assert!(
            REALTIME
                .clone()
                .all(|base| base_of_realtime(realtime_of_base(base)) == base)
        );
        assert_eq!(realtime_of_base(127), 99);
    }

    #[test]
    fn scheduling_is_packed() {
        let scheduling = Scheduling {
            policy: 2,
            nice: -20,
            realtime: 99,
            reset_on_fork: 1,
        };
        assert_eq!(Scheduling::unpack(scheduling.pack()), scheduling);
    }
}
