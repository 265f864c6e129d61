//! `wait4`, `waitid`.

use crate::user;
use ferrix_abi::process::{WaitFor, WaitResult, wait};
use ferrix_abi::signal::number::SIGCHLD;
use ferrix_posix::children::{code_and_status, wait4_options, whom};
use ferrix_posix::time::to_timeval;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::process;
use linux_raw_sys::general::{P_ALL, P_PGID, P_PID, rusage};

pub fn wait4(frame: &mut Frame) -> Result<u64> {
    let [pid, status, options, usage, ..] = frame.args();
    let options = wait4_options(options).ok_or(Errno::EINVAL)?;
    let (which, id) = whom(pid as i32);
    let Some(child) = wait_for(which, id, options)? else {
        return Ok(0);
    };
    user::write_optional(status, &child.status)?;
    store_usage(usage, &child)?;
    Ok(child.pid.into())
}

pub fn waitid(frame: &mut Frame) -> Result<u64> {
    let [kind, id, info, options, usage, _] = frame.args();
    let which = match kind as u32 {
        P_ALL => WaitFor::Any,
        P_PID => WaitFor::Pid,
        P_PGID => WaitFor::Group,
        _ => return Err(Errno::EINVAL),
    };
    let states = wait::STOPPED | wait::EXITED | wait::CONTINUED;
    let options = options as u32;
    if options & !(states | wait::NO_HANG | wait::NO_WAIT) != 0 || options & states == 0 {
        return Err(Errno::EINVAL);
    }
    let child = wait_for(which, id as u32, options)?;
    let mut words = [0u64; 16];
    if let Some(child) = &child {
        let (code, status) = code_and_status(child.status);
        words[0] = SIGCHLD.into();
        words[1] = code.into();
        words[2] = u64::from(child.pid) | u64::from(child.uid) << 32;
        words[3] = status.into();
        store_usage(usage, child)?;
    }
    user::write_optional(info, &words).map(|()| 0)
}

fn wait_for(which: WaitFor, id: u32, options: u32) -> Result<Option<WaitResult>> {
    let id = match which {
        WaitFor::Group if id == 0 => process::group(0)?,
        _ => id,
    };
    process::wait(which, id, options).map_err(|error| Errno::from(error).restartable())
}

fn store_usage(place: u64, child: &WaitResult) -> Result<()> {
    if place == 0 {
        return Ok(());
    }
    let mut usage: rusage = user::zeroed();
    usage.ru_utime = to_timeval(child.user_ns);
    usage.ru_stime = to_timeval(child.system_ns);
    user::write(place, &usage)
}
