//! Linux's structures of message queues.

use crate::errno::{Errno, Result};
use ferrix_proto::queue::mq::notify;
use linux_raw_sys::general as linux;

/// `struct mq_attr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Attributes {
    /// `mq_flags`.
    pub flags: i64,
    /// `mq_maxmsg`.
    pub messages: i64,
    /// `mq_msgsize`.
    pub size: i64,
    /// `mq_curmsgs`.
    pub now: i64,
    /// Zero.
    pub reserved: [i64; 4],
}

/// `struct sigevent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Notification {
    /// `sigev_value`.
    pub value: u64,
    /// `sigev_signo`.
    pub signal: i32,
    /// `sigev_notify`.
    pub kind: i32,
    /// What no kind here has.
    pub more: [u64; 6],
}

/// How the server is to notify.
///
/// # Errors
/// `EINVAL` for what Linux does not know, and for what is no signal.
pub fn notify_kind(event: &Notification) -> Result<u64> {
    match event.kind as u32 {
        linux::SIGEV_NONE => Ok(notify::NONE),
        linux::SIGEV_SIGNAL if (0..=64).contains(&event.signal) => Ok(notify::SIGNAL),
        linux::SIGEV_THREAD => Ok(notify::THREAD),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_signals_are_checked() {
        let event = |kind, signal| {
            notify_kind(&Notification {
                kind,
                signal,
                value: 1,
                more: [0; 6],
            })
        };
        assert_eq!(event(0, 10), Ok(notify::SIGNAL));
        assert_eq!(event(0, 65), Err(Errno::EINVAL));
        assert_eq!(event(0, -1), Err(Errno::EINVAL));
        assert_eq!(event(1, 99), Ok(notify::NONE));
        assert_eq!(event(2, 3), Ok(notify::THREAD));
        assert_eq!(event(3, 0), Err(Errno::EINVAL));
    }
}
