//! Linux's `struct sched_attr`, and policies with flags.

use crate::errno::{Errno, Result};
use ferrix_abi::sched::{NICE, Scheduling};
use linux_raw_sys::general as linux;

/// Bytes of the structure that the first Linux with it knew (`SCHED_ATTR_SIZE_VER0`).
pub const SIZE_FIRST: usize = 48;
/// Bytes that are known here (`SCHED_ATTR_SIZE_VER1`).
pub const SIZE: usize = 56;

/// The policy's parameters stay (`SCHED_FLAG_KEEP_PARAMS`), or the policy (`SCHED_FLAG_KEEP_POLICY`).
const KEEP_POLICY: u64 = 8;
const KEEP_PARAMETERS: u64 = 16;
/// Children start ordinary (`SCHED_FLAG_RESET_ON_FORK`).
const RESET_ON_FORK: u64 = 1;

/// `struct sched_attr` (sched_setattr(2)), without its first word, the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value, for policies without priority.
    pub nice: i32,
    /// Real-time priority.
    pub priority: u32,
}

impl Attributes {
    /// From a structure that may be cut. What is behind the priority is for `SCHED_DEADLINE`, or a hint.
    pub fn from_bytes(bytes: &[u8; SIZE]) -> Attributes {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        Attributes {
            policy: word(4),
            flags: u64::from(word(8)) | u64::from(word(12)) << 32,
            nice: word(16) as i32,
            priority: word(20),
        }
    }

    /// The structure.
    pub fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let words = [
            SIZE as u32,
            self.policy,
            self.flags as u32,
            (self.flags >> 32) as u32,
            self.nice as u32,
            self.priority,
        ];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// A policy's number with Linux's flag, and a priority.
///
/// # Errors
/// `EINVAL` if they are no policy's.
pub fn scheduling(number: u32, priority: u32, nice: i8) -> Result<Scheduling> {
    let reset = number & linux::SCHED_RESET_ON_FORK != 0;
    let policy = number & !linux::SCHED_RESET_ON_FORK;
    Ok(Scheduling {
        policy: u8::try_from(policy).map_err(|_| Errno::EINVAL)?,
        nice,
        realtime: u8::try_from(priority).map_err(|_| Errno::EINVAL)?,
        reset_on_fork: reset.into(),
    })
}

/// What `sched_setattr` asks of a thread that has `now`.
///
/// # Errors
/// `EINVAL`: flags that are not known, numbers that nothing has.
pub fn wanted(attributes: &Attributes, now: Scheduling) -> Result<Scheduling> {
    let Attributes { flags, nice, .. } = *attributes;
    if flags & !(RESET_ON_FORK | KEEP_POLICY | KEEP_PARAMETERS) != 0 {
        return Err(Errno::EINVAL);
    }
    let policy = match flags & KEEP_POLICY {
        0 => attributes.policy,
        _ => now.policy.into(),
    };
    let is_real_time = matches!(policy, linux::SCHED_FIFO | linux::SCHED_RR);
    let nice = match is_real_time || flags & KEEP_PARAMETERS != 0 {
        true => now.nice,
        false => nice.clamp(*NICE.start(), *NICE.end()) as i8,
    };
    let priority = match flags & KEEP_PARAMETERS {
        0 => attributes.priority,
        _ => now.realtime.into(),
    };
    let mut wanted = scheduling(policy, priority, nice)?;
    wanted.reset_on_fork = u8::from(flags & RESET_ON_FORK != 0);
    Ok(wanted)
}

/// What `sched_getattr` tells.
pub fn attributes(now: Scheduling) -> Attributes {
    let real_time = now.realtime != 0;
    Attributes {
        policy: now.policy.into(),
        flags: u64::from(now.reset_on_fork) * RESET_ON_FORK,
        nice: if real_time { 0 } else { now.nice.into() },
        priority: now.realtime.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Scheduling = Scheduling {
        policy: 1,
        nice: 4,
        realtime: 30,
        reset_on_fork: 0,
    };

    #[test]
    fn attributes_come_back() {
        let told = attributes(NOW);
        assert_eq!((told.policy, told.priority, told.nice), (1, 30, 0));
        assert_eq!(wanted(&told, NOW), Ok(NOW));
        assert_eq!(Attributes::from_bytes(&told.to_bytes()), told);
    }

    #[test]
    fn flags_keep_what_they_say() {
        let keep = |flags| {
            let attributes = Attributes {
                flags,
                policy: 3,
                nice: -90,
                ..Attributes::default()
            };
            wanted(&attributes, NOW)
        };
        let batch = keep(RESET_ON_FORK).unwrap();
        assert_eq!((batch.policy, batch.nice, batch.reset_on_fork), (3, -20, 1));
        assert_eq!(keep(KEEP_POLICY | KEEP_PARAMETERS), Ok(NOW));
        assert_eq!(keep(2), Err(Errno::EINVAL));
    }

    #[test]
    fn a_flag_may_come_with_the_policy() {
        let fifo = scheduling(linux::SCHED_FIFO | linux::SCHED_RESET_ON_FORK, 7, 0).unwrap();
        assert_eq!((fifo.policy, fifo.realtime, fifo.reset_on_fork), (1, 7, 1));
        assert_eq!(scheduling(linux::SCHED_FIFO, 256, 0), Err(Errno::EINVAL));
    }
}
