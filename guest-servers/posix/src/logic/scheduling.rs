//! Linux's nice values and real-time priorities on the kernel's 128 priorities.

use crate::errno::{Errno, Result};
use ferrix_abi::sched::{self, Policy};

/// Lowest and highest real-time priority.
pub const REALTIME: core::ops::RangeInclusive<u8> = 1..=99;

/// The kernel's priority of a nice value (-20 to 19; others are clamped).
pub fn priority_of_nice(nice: i32) -> u8 {
    (i32::from(sched::NORMAL_DEFAULT) - nice.clamp(-20, 19)) as u8
}

/// The nice value of a time-shared thread.
pub fn nice_of_priority(priority: u8) -> i32 {
    (i32::from(sched::NORMAL_DEFAULT) - i32::from(priority)).clamp(-20, 19)
}

/// The kernel's priority for a policy's Linux priority.
///
/// # Errors
/// `EINVAL` if the policy has no such priority.
pub fn priority(policy: Policy, linux: u32) -> Result<u8> {
    match policy {
        Policy::Other if linux == 0 => Ok(sched::NORMAL_DEFAULT),
        Policy::Idle if linux == 0 => Ok(*sched::IDLE.start()),
        Policy::Fifo | Policy::RoundRobin if (1..=99).contains(&linux) => {
            let span = u32::from(sched::REALTIME.end() - sched::REALTIME.start());
            Ok(sched::REALTIME.start() + ((linux - 1) * span / 98) as u8)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The Linux priority of a thread: 0 outside real time.
pub fn linux_priority(priority: u8) -> u32 {
    if !sched::REALTIME.contains(&priority) {
        return 0;
    }
    let span = u32::from(sched::REALTIME.end() - sched::REALTIME.start());
    1 + (u32::from(priority - sched::REALTIME.start()) * 98).div_ceil(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_values_stay_in_the_time_shared_range() {
        for nice in -20..=19 {
            let priority = priority_of_nice(nice);
            assert!(sched::NORMAL.contains(&priority));
            assert_eq!(nice_of_priority(priority), nice);
        }
    }

    #[test]
    fn real_time_priorities_keep_their_order_and_come_back_stable() {
        let mut last = 0;
        for linux in REALTIME {
            let kernel = priority(Policy::Fifo, linux.into()).unwrap();
            assert!(sched::REALTIME.contains(&kernel) && kernel >= last);
            let back = linux_priority(kernel);
            assert_eq!(priority(Policy::Fifo, back), Ok(kernel));
            last = kernel;
        }
        assert_eq!(priority(Policy::Fifo, 99), Ok(*sched::REALTIME.end()));
        assert_eq!(priority(Policy::Other, 5), Err(Errno::EINVAL));
    }
}
