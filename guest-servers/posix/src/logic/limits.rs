//! Resource limits: the numbers that programs ask for. Enforced is `RLIMIT_NOFILE`.

use crate::descriptors::DESCRIPTORS_MAX;
use crate::errno::{Errno, Result};
use linux_raw_sys::general as linux;

/// Bytes of a main thread's stack.
pub const STACK_SIZE: u64 = 8 << 20;
/// Bytes that a process may lock unless told otherwise (Linux's default).
pub const LOCKED_MAX: u64 = 8 << 20;
/// No limit (`RLIM64_INFINITY`).
pub const INFINITY: u64 = u64::MAX;

/// A soft and a hard limit, as `prlimit64` has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far it can be raised.
    pub hard: u64,
}

const COUNT: usize = linux::RLIM_NLIMITS as usize;

/// The limits of a process; what was never set (all zero) has its default.
#[derive(Debug)]
pub struct Limits([Option<Limit>; COUNT]);

impl Limits {
    /// The defaults.
    pub const fn new() -> Limits {
        Limits([None; COUNT])
    }

    /// A limit.
    ///
    /// # Errors
    /// `EINVAL`: no such resource.
    pub fn get(&self, resource: u64) -> Result<Limit> {
        let index = usize::try_from(resource).map_err(|_| Errno::EINVAL)?;
        let set = self.0.get(index).ok_or(Errno::EINVAL)?;
        Ok(set.unwrap_or_else(|| default(resource as u32)))
    }

    /// Sets a limit.
    ///
    /// # Errors
    /// `EINVAL`, or `EPERM` when the hard limit is raised by the unprivileged, or that of descriptors beyond what
    /// the table has.
    pub fn set(&mut self, resource: u64, new: Limit, privileged: bool) -> Result<()> {
        let old = self.get(resource)?;
        if new.soft > new.hard {
            return Err(Errno::EINVAL);
        }
        let descriptors = resource as u32 == linux::RLIMIT_NOFILE;
        let beyond = descriptors && new.hard > DESCRIPTORS_MAX as u64;
        if beyond || (new.hard > old.hard && !privileged) {
            return Err(Errno::EPERM);
        }
        self.0[resource as usize] = Some(new);
        Ok(())
    }

    /// What holds for a resource.
    pub fn soft(&self, resource: u32) -> u64 {
        self.get(resource.into())
            .map_or(INFINITY, |limit| limit.soft)
    }

    /// One past the highest descriptor.
    pub fn descriptors(&self) -> u64 {
        self.get(linux::RLIMIT_NOFILE.into())
            .map_or(0, |limit| limit.soft)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new()
    }
}

fn default(resource: u32) -> Limit {
    let both = |value| Limit {
        soft: value,
        hard: value,
    };
    match resource {
        linux::RLIMIT_NOFILE => both(DESCRIPTORS_MAX as u64),
        linux::RLIMIT_STACK => Limit {
            soft: STACK_SIZE,
            hard: INFINITY,
        },
        linux::RLIMIT_MEMLOCK => both(LOCKED_MAX),
        linux::RLIMIT_CORE | linux::RLIMIT_RTPRIO | linux::RLIMIT_NICE => both(0),
        linux::RLIMIT_NPROC => both(ferrix_abi::layout::MAX_THREADS),
        _ => both(INFINITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_go_down_but_not_up() {
        let mut limits = Limits::new();
        let files = linux::RLIMIT_NOFILE.into();
        assert_eq!(limits.descriptors(), 1024);
        limits
            .set(files, Limit { soft: 16, hard: 32 }, false)
            .unwrap();
        assert_eq!(limits.descriptors(), 16);
        assert_eq!(
            limits.set(files, Limit { soft: 16, hard: 64 }, false),
            Err(Errno::EPERM)
        );
        assert_eq!(
            limits.set(files, Limit { soft: 65, hard: 64 }, true),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            limits.set(
                files,
                Limit {
                    soft: 1,
                    hard: 5000
                },
                true
            ),
            Err(Errno::EPERM)
        );
        assert_eq!(limits.get(99), Err(Errno::EINVAL));
    }
}
