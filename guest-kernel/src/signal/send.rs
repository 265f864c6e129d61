//! Sending signals, and acting on those that are not caught.

use ferrix_abi::error::Result;
use ferrix_abi::signal::number::{SIGCONT, SIGKILL};
use ferrix_abi::signal::{SignalInfo, SignalSet};

use super::action::{Action, Candidate, STOPS, Taker, UNBLOCKABLE, choose};
use super::queue::bit;
use crate::object::Core;
use crate::process::{self, InitPid, Process};
use crate::thread::{self, Outcome, State, Thread, work};

/// Sends a signal to a process: a thread that does not block it takes it.
pub fn send_to_process(core: &mut Core, target: &'static Process, info: SignalInfo) -> Result<()> {
    if !prepare(core, target, info.signo) {
        return Ok(());
    }
    let threads = target
        .threads
        .iter(core)
        .map(|thread| candidate(core, thread));
    let taker = choose(threads, info.signo);
    post(core, target, taker, info, None)
}

/// Sends a signal to a thread.
pub fn send_to_thread(core: &mut Core, target: &'static Thread, info: SignalInfo) -> Result<()> {
    let process = target.process();
    if !prepare(core, process, info.signo) {
        return Ok(());
    }
    let taker = choose(core::iter::once(candidate(core, target)), info.signo);
    post(core, process, taker, info, Some(target))
}

fn candidate(core: &Core, thread: &'static Thread) -> Candidate<&'static Thread> {
    let awaited = match thread.state.get(core) {
        State::SigWait => thread.awaited.get(core),
        _ => 0,
    };
    Candidate {
        thread,
        mask: thread.mask.get(core) & !UNBLOCKABLE,
        awaited,
    }
}

/// What happens whoever takes it: stop and continue signals cancel each other, SIGKILL kills. Whether
/// anything is left to do.
fn prepare(core: &mut Core, target: &'static Process, signal: u32) -> bool {
    if !target.is_alive(core) {
        return false;
    }
    if signal == SIGKILL {
        if target.pid.get(core) != InitPid::PID {
            process::kill(core, target, SIGKILL);
        }
        return false;
    }
    if signal == SIGCONT {
        discard_pending(core, target, STOPS);
        process::continue_all(core, target);
    } else if STOPS & bit(signal) != 0 {
        discard_pending(core, target, bit(SIGCONT));
    }
    true
}

fn discard_pending(core: &mut Core, target: &'static Process, signals: SignalSet) {
    target.signals.pending.get_mut(core).discard(signals);
    let mut next = target.threads.first(core);
    while let Some(thread) = next {
        thread.pending.get_mut(core).discard(signals);
        next = target.threads.after(core, Some(thread));
    }
}

/// Queues the signal, or acts at once where nothing can hold it back.
fn post(
    core: &mut Core,
    target: &'static Process,
    taker: Taker<&'static Thread>,
    info: SignalInfo,
    directed: Option<&'static Thread>,
) -> Result<()> {
    let action = target.signals.dispositions.get(core).action(info.signo);
    if matches!(taker, Taker::Thread(_)) && action != Action::Catch {
        act(core, target, action, &info);
        return Ok(());
    }
    match directed {
        Some(thread) => thread.pending.get_mut(core).push(info)?,
        None => target.signals.pending.get_mut(core).push(info)?,
    }
    match taker {
        Taker::Waiter(thread) => thread::finish(core, thread, Outcome::Repeat),
        Taker::Thread(thread) => {
            thread.add_work(core, work::SIGNAL);
            thread::interrupt(core, thread);
        }
        Taker::Nobody => {}
    }
    Ok(())
}

/// Does what a signal that is not caught does.
fn act(core: &mut Core, target: &'static Process, action: Action, info: &SignalInfo) {
    let protected = target.pid.get(core) == InitPid::PID;
    match action {
        Action::Terminate if !protected => process::kill(core, target, info.signo),
        Action::Stop if !protected => process::stop(core, target, info.signo),
        _ => {}
    }
}

/// After a change of a thread's mask or of dispositions: acts on pending signals that are not caught
/// and not blocked, and notes whether a caught one is there.
pub fn settle(core: &mut Core, thread: &'static Thread) {
    let process = thread.process();
    loop {
        let open = !(thread.mask.get(core) & !UNBLOCKABLE);
        let ready =
            (thread.pending.get(core).set() | process.signals.pending.get(core).set()) & open;
        if ready == 0 {
            return thread.clear_work(core, work::SIGNAL | work::TOLD);
        }
        let caught = process.signals.dispositions.get(core).caught();
        if ready & !caught == 0 {
            return thread.add_work(core, work::SIGNAL);
        }
        let Some(info) = take(core, thread, open & !caught) else {
            return;
        };
        let action = process.signals.dispositions.get(core).action(info.signo);
        act(core, process, action, &info);
    }
}

/// As [`settle`], for all threads of a process.
pub fn settle_process(core: &mut Core, process: &'static Process) {
    let mut next = process.threads.first(core);
    while let Some(thread) = next {
        settle(core, thread);
        next = process.threads.after(core, Some(thread));
    }
}

/// Takes the next pending signal of a set: the thread's own first.
pub(super) fn take(
    core: &mut Core,
    thread: &'static Thread,
    allowed: SignalSet,
) -> Option<SignalInfo> {
    if let Some(info) = thread.pending.get_mut(core).take(allowed) {
        return Some(info);
    }
    thread.process().signals.pending.get_mut(core).take(allowed)
}

/// Whether a caught signal is there that the thread does not block.
pub fn interrupts(core: &Core, thread: &Thread) -> bool {
    let process = thread.process();
    let pending = thread.pending.get(core).set() | process.signals.pending.get(core).set();
    let caught = process.signals.dispositions.get(core).caught();
    pending & caught & !thread.mask.get(core) != 0
}
