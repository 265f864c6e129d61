//! Signals.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::ipc::FOREVER;
use ferrix_abi::signal::number::{SIGKILL, SIGRTMAX, SIGSTOP};
use ferrix_abi::signal::{Disposition, MaskHow, SignalInfo};

use super::unlocked;
use crate::arch::TrapFrame;
use crate::mm::uaccess::UserPtr;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::{self, InitPid, PIDS, Process, by_pid};
use crate::sched::Next;
use crate::signal::action::UNBLOCKABLE;
use crate::signal::{self as signals, send_to_process, send_to_thread};
use crate::thread::{self, State, by_tid, current, current_process};
use crate::time;

/// `SigAction`.
pub fn action(frame: &mut TrapFrame) -> Next {
    let [signal, disposition, ..] = frame.arguments();
    let mut core = lock();
    let result = set_action(&mut core, signal as u32, disposition);
    Next::result(frame, result.map(|old| u8::from(old) as u64))
}

fn set_action(core: &mut Core, signal: u32, disposition: u64) -> Result<Disposition> {
    let disposition = u8::try_from(disposition)
        .ok()
        .and_then(|number| Disposition::try_from(number).ok());
    let disposition = disposition.ok_or(Error::Invalid)?;
    if !(1..=SIGRTMAX).contains(&signal) || signal == SIGKILL || signal == SIGSTOP {
        return Err(Error::Invalid);
    }
    let process = current_process();
    let mut table = process.signals.dispositions.get(core);
    let old = table.get(signal);
    table.set(signal, disposition);
    process.signals.dispositions.set(core, table);
    signals::settle_process(core, process);
    Ok(old)
}

/// `SigMask`.
pub fn mask(frame: &mut TrapFrame) -> Next {
    let [how, set, ..] = frame.arguments();
    let Some(how) = u8::try_from(how)
        .ok()
        .and_then(|how| MaskHow::try_from(how).ok())
    else {
        return Next::error(frame, Error::Invalid);
    };
    let mut core = lock();
    let caller = current();
    let old = caller.mask.get(&core);
    let new = match how {
        MaskHow::Block => old | set,
        MaskHow::Unblock => old & !set,
        MaskHow::Set => set,
    };
    caller.mask.set(&core, new & !UNBLOCKABLE);
    signals::settle(&mut core, caller);
    frame.rdx = old;
    Next::result(frame, Ok(0))
}

/// `SigPending`.
pub fn pending(frame: &mut TrapFrame) -> Next {
    let core = lock();
    let own = current().pending.get(&core).set();
    frame.rdx = own | current_process().signals.pending.get(&core).set();
    Next::result(frame, Ok(0))
}

/// `SigSuspend`.
pub fn suspend(frame: &mut TrapFrame) -> Next {
    let mask = frame.rdi & !UNBLOCKABLE;
    let mut core = lock();
    let caller = current();
    let old = caller.mask.replace(&core, mask);
    if caller.saved_mask.get(&core).is_none() {
        caller.saved_mask.set(&core, Some(old));
    }
    signals::settle(&mut core, caller);
    thread::wait(core, caller, frame, State::Suspend, FOREVER)
}

/// `SigTake`.
pub fn take(frame: &mut TrapFrame) -> Next {
    let [target, mask_target, ..] = frame.arguments();
    let mut core = lock();
    let taken = signals::take_caught(&mut core, current());
    drop(core);
    let result = match taken {
        None => Ok(0),
        Some((info, mask)) => unlocked(|| {
            UserPtr::<SignalInfo>::new(target).write(&info)?;
            UserPtr::<u64>::new(mask_target).write(&mask)?;
            Ok(1)
        }),
    };
    Next::result(frame, result)
}

/// `SigWait`.
pub fn wait(frame: &mut TrapFrame) -> Next {
    let [set, target, deadline, ..] = frame.arguments();
    let mut core = lock();
    let caller = current();
    if let Some(info) = signals::take_awaited(&mut core, caller, set) {
        drop(core);
        let written = unlocked(|| UserPtr::<SignalInfo>::new(target).write(&info));
        return Next::result(frame, written.map(|()| info.signo as u64));
    }
    if deadline != FOREVER && time::now_ns() >= deadline {
        return Next::error(frame, Error::WouldBlock);
    }
    caller.awaited.set(&core, set & !UNBLOCKABLE);
    thread::wait(core, caller, frame, State::SigWait, deadline)
}

/// `SigSend`.
pub fn send(frame: &mut TrapFrame) -> Next {
    let [target, source, kind, ..] = frame.arguments();
    let result = unlocked(|| UserPtr::<SignalInfo>::new(source).read())
        .and_then(|info| dispatch(target as i64, kind, info));
    Next::result(frame, result.map(|()| 0))
}

fn dispatch(target: i64, kind: u64, info: SignalInfo) -> Result<()> {
    if info.signo > SIGRTMAX {
        return Err(Error::Invalid);
    }
    let mut core = lock();
    match (kind, target) {
        (0, 0) => {
            let group = current_process().group.get(&core);
            to_many(&mut core, info, |core, process| {
                process.group.get(core) == group
            })
        }
        (0, -1) => {
            let others = |core: &Core, process: &Process| {
                process.pid.get(core) != InitPid::PID && !core::ptr::eq(process, current_process())
            };
            to_many(&mut core, info, others)
        }
        (0, ..-1) => {
            let group = target.unsigned_abs();
            to_many(&mut core, info, |core, process| {
                process.group.get(core) as u64 == group
            })
        }
        (0, pid) => {
            let process = by_pid(&core, u32::try_from(pid).unwrap_or(u32::MAX));
            to_one(&mut core, info, process.ok_or(Error::NoSuchProcess)?)
        }
        (1, tid) => {
            let thread = by_tid(&core, u32::try_from(tid).unwrap_or(u32::MAX));
            let thread = thread.ok_or(Error::NoSuchProcess)?;
            let info = permitted(&core, info, thread.process())?;
            if info.signo == 0 {
                Ok(())
            } else {
                send_to_thread(&mut core, thread, info)
            }
        }
        _ => Err(Error::Invalid),
    }
}

/// The signal as the caller may send it to a process: with its own pid and user, unless it is one
/// of those that a program makes up for itself (`sigqueue`), or a server for others.
fn permitted(core: &Core, mut info: SignalInfo, target: &'static Process) -> Result<SignalInfo> {
    let sender = current_process();
    if !process::may_signal(core, sender, target) {
        return Err(Error::NotPermitted);
    }
    let own = core::ptr::eq(sender, target);
    // A server speaks for its clients (SI_MESGQ).
    let is_server = sender.personality.get(core).is_none();
    if info.code >= 0 || !(own || is_server) {
        info.pid = sender.pid.get(core);
        info.uid = sender.identity.get(core).ruid;
    }
    if info.code >= 0 && !own {
        info.code = 0;
    }
    Ok(info)
}

fn to_one(core: &mut Core, info: SignalInfo, target: &'static Process) -> Result<()> {
    let info = permitted(core, info, target)?;
    if info.signo == 0 {
        Ok(())
    } else {
        send_to_process(core, target, info)
    }
}

/// Sends to all processes that are meant; an error only if none could be signalled.
fn to_many(
    core: &mut Core,
    info: SignalInfo,
    meant: impl Fn(&Core, &Process) -> bool,
) -> Result<()> {
    let mut result = Err(Error::NoSuchProcess);
    let mut previous = 0;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        previous = pid;
        if meant(core, process) {
            let sent = to_one(core, info, process);
            if result.is_err() {
                result = sent;
            }
        }
    }
    result
}
