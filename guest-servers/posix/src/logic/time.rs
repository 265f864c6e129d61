//! Linux's time structures in nanoseconds.

use crate::errno::{Errno, Result};
use ferrix_abi::ipc::FOREVER;
use linux_raw_sys::general::{__kernel_old_timeval as timeval, __kernel_timespec as timespec};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of a `timespec`.
///
/// # Errors
/// `EINVAL` for a negative time or nanoseconds beyond a second.
pub fn from_timespec(time: timespec) -> Result<u64> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::EINVAL)?;
    let nanoseconds = u64::try_from(time.tv_nsec).map_err(|_| Errno::EINVAL)?;
    if nanoseconds >= SECOND {
        return Err(Errno::EINVAL);
    }
    // Later than the clock can tell is never.
    Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
}

/// A `timespec` of nanoseconds.
pub const fn to_timespec(ns: u64) -> timespec {
    timespec {
        tv_sec: (ns / SECOND) as i64,
        tv_nsec: (ns % SECOND) as i64,
    }
}

/// Nanoseconds of a `timeval`.
///
/// # Errors
/// `EINVAL` for a negative time or microseconds beyond a second.
pub fn from_timeval(time: timeval) -> Result<u64> {
    let in_range = (0..1_000_000).contains(&time.tv_usec);
    let nanoseconds = if in_range { time.tv_usec * 1000 } else { -1 };
    from_timespec(timespec {
        tv_sec: time.tv_sec,
        tv_nsec: nanoseconds,
    })
}

/// A `timeval` of nanoseconds.
pub const fn to_timeval(ns: u64) -> timeval {
    timeval {
        tv_sec: (ns / SECOND) as i64,
        tv_usec: (ns % SECOND / 1000) as i64,
    }
}

/// A deadline so many nanoseconds from now.
pub const fn deadline(now: u64, wait: u64) -> u64 {
    now.saturating_add(wait)
}

/// A deadline on the wall clock as one on the monotonic clock.
pub const fn from_realtime(wall: u64, offset: u64) -> u64 {
    if wall == FOREVER {
        FOREVER
    } else {
        wall.saturating_sub(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_is_refused() {
        assert!(
            from_timespec(timespec {
                tv_sec: -1,
                tv_nsec: 0
            })
            .is_err()
        );
        assert!(
            from_timespec(timespec {
                tv_sec: 0,
                tv_nsec: 1_000_000_000
            })
            .is_err()
        );
        assert!(
            from_timeval(timeval {
                tv_sec: 0,
                tv_usec: 1_000_000
            })
            .is_err()
        );
        assert!(
            from_timeval(timeval {
                tv_sec: 0,
                tv_usec: i64::MAX
            })
            .is_err()
        );
    }

    #[test]
    fn far_future_is_forever() {
        let far = timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        };
        assert_eq!(deadline(5, from_timespec(far).unwrap()), FOREVER);
        assert_eq!(from_realtime(FOREVER, 7), FOREVER);
        assert_eq!(from_realtime(3, 7), 0);
    }

    proptest::proptest! {
        #[test]
        fn round_trip(ns in 0u64..u64::MAX / 4) {
            proptest::prop_assert_eq!(from_timespec(to_timespec(ns)), Ok(ns));
            proptest::prop_assert_eq!(from_timeval(to_timeval(ns)), Ok(ns / 1000 * 1000));
        }
    }
}
