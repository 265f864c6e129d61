//! Sleeping, the alarm, the wall clock.

use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::FOREVER;

use crate::arch::TrapFrame;
use crate::object::core_lock::lock;
use crate::sched::Next;
use crate::thread::{self, State, current, current_process};
use crate::time;
use crate::timer::{self, Owner};

/// `SleepUntil`.
pub fn sleep_until(frame: &mut TrapFrame) -> Next {
    let deadline = frame.rdi;
    if deadline != FOREVER && time::now_ns() >= deadline {
        return Next::result(frame, Ok(0));
    }
    thread::wait(lock(), current(), frame, State::Sleep, deadline)
}

/// `AlarmSet`.
pub fn set_alarm(frame: &mut TrapFrame) -> Next {
    let [first, interval, ..] = frame.arguments();
    let core = lock();
    let process = current_process();
    let signals = &process.signals;
    let left = match signals.alarm.is_armed(&core) {
        true => signals
            .alarm
            .deadline(&core)
            .saturating_sub(time::now_ns())
            .max(1),
        false => 0,
    };
    frame.rdx = signals.interval.replace(&core, interval);
    if first == FOREVER {
        signals.alarm.cancel(&core);
    } else {
        timer::set(&core, &signals.alarm, first, Owner::Alarm(process));
    }
    Next::result(frame, Ok(left))
}

/// `ClockSet`.
pub fn set_clock(frame: &mut TrapFrame) -> Next {
    let [nanoseconds, resource, ..] = frame.arguments();
    let core = lock();
    let process = current_process();
    let permitted = match process.identity.get(&core).euid {
        0 if resource == 0 => Ok(()),
        _ => process.check_resource(&core, Handle(resource as u32), Rights::POWER),
    };
    drop(core);
    let result = permitted.map(|()| {
        time::set_realtime_offset(nanoseconds.wrapping_sub(time::now_ns()));
        0
    });
    Next::result(frame, result)
}
