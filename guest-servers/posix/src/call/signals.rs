//! Signals as the program asks for them: actions, masks, sending, waiting, the alternate stack.

use crate::state::ACTIONS;
use crate::user::Mask;
use crate::{deliver, local, user};
use ferrix_abi::ipc::FOREVER;
use ferrix_abi::signal::SignalInfo;
use ferrix_posix::actions::{Action, UNBLOCKABLE};
use ferrix_posix::signal_frame::{AltStack, siginfo};
use ferrix_posix::time::{deadline, from_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::signal::{self, Target};
use linux_raw_sys::general::{
    MINSIGSTKSZ, SI_TKILL, SI_USER, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SS_AUTODISARM, SS_DISABLE,
};

/// `sizeof(sigset_t)` in the kernel's interface.
const SET_SIZE: u64 = 8;

fn check_size(size: u64) -> Result<()> {
    if size == SET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

pub fn rt_sigaction(frame: &mut Frame) -> Result<u64> {
    let [number, new, old, size, ..] = frame.args();
    check_size(size)?;
    let number = number as u32;
    let new = user::read_optional::<Action>(new)?;
    let mut actions = ACTIONS.lock();
    let before = actions.get(number)?;
    if let Some(action) = new
        && let Some(disposition) = actions.set(number, action)?
    {
        deliver::tell_kernel(number, disposition)?;
    }
    user::write_optional(old, &before).map(|()| 0)
}

pub fn rt_sigprocmask(frame: &mut Frame) -> Result<u64> {
    let [how, set, old, size, ..] = frame.args();
    check_size(size)?;
    let before = local::get().mask;
    if let Some(Mask(set)) = user::read_optional::<Mask>(set)? {
        let mask = match how as u32 {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        deliver::set_mask(mask & !UNBLOCKABLE);
    }
    user::write_optional(old, &before).map(|()| 0)
}

pub fn rt_sigreturn(frame: &mut Frame) -> Result<u64> {
    deliver::sigreturn(frame)
}

pub fn rt_sigpending(frame: &mut Frame) -> Result<u64> {
    let [place, size, ..] = frame.args();
    check_size(size)?;
    user::write(place, &signal::pending()?).map(|()| 0)
}

pub fn rt_sigsuspend(frame: &mut Frame) -> Result<u64> {
    let [set, size, ..] = frame.args();
    check_size(size)?;
    let Mask(set) = user::read::<Mask>(set)?;
    suspend(set & !UNBLOCKABLE)
}

pub fn pause(_: &mut Frame) -> Result<u64> {
    suspend(local::get().mask)
}

fn suspend(mask: u64) -> Result<u64> {
    match signal::suspend(mask) {
        Ok(()) => Err(Errno::EINTR),
        Err(error) => Err(Errno::from(error).unless_handled()),
    }
}

pub fn rt_sigtimedwait(frame: &mut Frame) -> Result<u64> {
    let [set, info, timeout, size, ..] = frame.args();
    check_size(size)?;
    let Mask(set) = user::read::<Mask>(set)?;
    let wait = user::read_optional(timeout)?
        .map(from_timespec)
        .transpose()?;
    let until = match wait {
        None => FOREVER,
        Some(0) => 0,
        Some(wait) => deadline(monotonic_ns(), wait),
    };
    let got = signal::wait(set & !UNBLOCKABLE, until)?;
    user::write_optional(info, &siginfo(&got))?;
    Ok(got.signo.into())
}

fn send(target: Target, id: u64, number: u64, code: i32) -> Result<u64> {
    let signo = u32::try_from(number)
        .ok()
        .filter(|&number| number <= 64)
        .ok_or(Errno::EINVAL)?;
    let info = SignalInfo {
        signo,
        code,
        ..SignalInfo::default()
    };
    signal::send(target, id as i32, &info)?;
    Ok(0)
}

pub fn kill(frame: &mut Frame) -> Result<u64> {
    let [pid, number, ..] = frame.args();
    send(Target::Process, pid, number, SI_USER as i32)
}

pub fn tkill(frame: &mut Frame) -> Result<u64> {
    let [tid, number, ..] = frame.args();
    if tid as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    send(Target::Thread, tid, number, SI_TKILL)
}

/// The thread group of the target is not compared: tids are unique in the system.
pub fn tgkill(frame: &mut Frame) -> Result<u64> {
    let [group, tid, number, ..] = frame.args();
    if tid as i32 <= 0 || group as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    send(Target::Thread, tid, number, SI_TKILL)
}

pub fn rt_sigqueueinfo(frame: &mut Frame) -> Result<u64> {
    let [pid, number, info, ..] = frame.args();
    queue(Target::Process, pid, number, info)
}

pub fn rt_tgsigqueueinfo(frame: &mut Frame) -> Result<u64> {
    let [_, tid, number, info, ..] = frame.args();
    queue(Target::Thread, tid, number, info)
}

fn queue(target: Target, id: u64, number: u64, info: u64) -> Result<u64> {
    let words: [u64; 16] = user::read(info)?;
    let signo = u32::try_from(number)
        .ok()
        .filter(|&number| number <= 64)
        .ok_or(Errno::EINVAL)?;
    let code = words[1] as i32;
    // What only the kernel may say of a signal cannot be made up for another process.
    if code >= 0 || code == SI_TKILL {
        return Err(Errno::EPERM);
    }
    let (pid, uid) = (words[2] as u32, (words[2] >> 32) as u32);
    let info = SignalInfo {
        signo,
        code,
        pid,
        uid,
        value: words[3],
        ..SignalInfo::default()
    };
    signal::send(target, id as i32, &info)?;
    Ok(0)
}

pub fn sigaltstack(frame: &mut Frame) -> Result<u64> {
    let [new, old, ..] = frame.args();
    let current = local::get().alternate;
    if let Some(wanted) = user::read_optional::<AltStack>(new)? {
        if current.size != 0 && current.contains(frame.rsp) {
            return Err(Errno::EPERM);
        }
        let flags = wanted.flags & !SS_AUTODISARM;
        let next = match flags {
            SS_DISABLE => AltStack::default(),
            0 | 1 if wanted.size < u64::from(MINSIGSTKSZ) => return Err(Errno::ENOMEM),
            0 | 1 => AltStack { flags: 0, ..wanted },
            _ => return Err(Errno::EINVAL),
        };
        local::update(|local| local.alternate = next);
    }
    user::write_optional(old, &current.reported(frame.rsp)).map(|()| 0)
}

/// Used by sleeping calls: whether a wait that was interrupted should go on.
pub fn nothing_pending() -> bool {
    !local::signal_pending()
}
