//! SIGCHLD and the alarm.

use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::{SIGALRM, SIGCHLD};

use super::send_to_process;
use crate::object::Core;
use crate::process::Process;
use crate::process::waiting::Report;
use crate::thread::{self, Outcome, State};
use crate::timer::{self, Owner};

/// Linux's `si_code`s of SIGCHLD.
mod code {
    pub const EXITED: i32 = 1;
    pub const KILLED: i32 = 2;
    pub const DUMPED: i32 = 3;
    pub const STOPPED: i32 = 5;
    pub const CONTINUED: i32 = 6;
}

/// Linux's `si_code` of a signal from the kernel.
pub const SI_KERNEL: i32 = 0x80;

/// A child has something to report, or is gone without (`None`): wakes the threads that wait for
/// children, and tells the process.
pub fn child_changed(core: &mut Core, parent: &'static Process, child: Option<&'static Process>) {
    let mut next = parent.threads.first(core);
    while let Some(waiter) = next {
        next = parent.threads.after(core, Some(waiter));
        if waiter.state.get(core) == State::Child {
            thread::finish(core, waiter, Outcome::Repeat);
        }
    }
    let Some(child) = child else { return };
    let Some(report) = child.report.get(core) else {
        return;
    };
    let status = report.status();
    let code = match report {
        Report::Ended(status) if status & 0x80 != 0 => code::DUMPED,
        Report::Ended(status) if status & 0x7f != 0 => code::KILLED,
        Report::Ended(_) => code::EXITED,
        Report::Stopped(_) => code::STOPPED,
        Report::Continued => code::CONTINUED,
    };
    let info = SignalInfo {
        signo: SIGCHLD,
        code,
        pid: child.pid.get(core),
        uid: child.identity.get(core).ruid,
        value: status as u64,
        ..SignalInfo::default()
    };
    // SIGCHLD is pending once at most, so its queue does not fill up.
    let _ = send_to_process(core, parent, info);
}

/// A process's alarm has expired at or before `now`.
pub fn alarm_expired(core: &mut Core, process: &'static Process, now: u64) {
    let signals = &process.signals;
    let interval = signals.interval.get(core);
    let last = signals.alarm.deadline(core);
    // Expirations that were missed are not made up for.
    if let Some(missed) = (now - last).checked_div(interval) {
        timer::set(
            core,
            &signals.alarm,
            last + (missed + 1) * interval,
            Owner::Alarm(process),
        );
    }
    let info = SignalInfo {
        signo: SIGALRM,
        code: SI_KERNEL,
        ..SignalInfo::default()
    };
    // Pending once at most.
    let _ = send_to_process(core, process, info);
}
