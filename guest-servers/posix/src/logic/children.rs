//! What `wait4` and `waitid` report.

use ferrix_abi::process::{WaitFor, wait};
use linux_raw_sys::general as linux;

/// Whom `wait4`'s pid means: the kind and the id; a group of 0 is the caller's own.
pub fn whom(pid: i32) -> (WaitFor, u32) {
    match pid {
        -1 => (WaitFor::Any, 0),
        0 => (WaitFor::Group, 0),
        pid if pid < 0 => (WaitFor::Group, pid.unsigned_abs()),
        pid => (WaitFor::Pid, pid as u32),
    }
}

/// The kernel's options for `wait4`'s; `None` if there are unknown ones.
pub fn wait4_options(options: u64) -> Option<u32> {
    let linux_only = linux::__WALL | linux::__WNOTHREAD | linux::__WCLONE;
    let known = linux::WNOHANG | linux::WUNTRACED | linux::WCONTINUED;
    let options = options as u32 & !linux_only;
    (options & !known == 0).then_some(options | wait::EXITED)
}

/// `si_code` and `si_status` for a status of `wait4`.
pub fn code_and_status(status: u32) -> (u32, u32) {
    if status == 0xffff {
        return (linux::CLD_CONTINUED, ferrix_abi::signal::number::SIGCONT);
    }
    match status & 0x7f {
        0 => (linux::CLD_EXITED, status >> 8 & 0xff),
        0x7f => (linux::CLD_STOPPED, status >> 8 & 0xff),
        signal if status & 0x80 != 0 => (linux::CLD_DUMPED, signal),
        signal => (linux::CLD_KILLED, signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_codes() {
        assert_eq!(code_and_status(3 << 8), (linux::CLD_EXITED, 3));
        assert_eq!(code_and_status(9), (linux::CLD_KILLED, 9));
        assert_eq!(code_and_status(11 | 0x80), (linux::CLD_DUMPED, 11));
        assert_eq!(code_and_status(20 << 8 | 0x7f), (linux::CLD_STOPPED, 20));
        assert_eq!(code_and_status(0xffff).0, linux::CLD_CONTINUED);
    }

    #[test]
    fn pids_of_wait4() {
        assert_eq!(whom(-5), (WaitFor::Group, 5));
        assert_eq!(whom(i32::MIN), (WaitFor::Group, 1 << 31));
        assert_eq!(wait4_options(0x4000_0001), Some(5));
        assert_eq!(wait4_options(64), None);
    }
}
