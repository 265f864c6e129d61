//! The end of waits.

use ferrix_abi::error::{Error, Result, encode};
use ferrix_abi::ipc::Tag;

use super::State;
use super::kind::{Thread, work};
use crate::arch::TrapFrame;
use crate::mm::oom;
use crate::object::{Core, CoreGuard};
use crate::sched::{self, Next};
use crate::timer::{self, Owner};
use crate::{futex, ipc, process, signal};

/// Bytes of the `SYSCALL` instruction.
const SYSCALL_LENGTH: u64 = 2;

/// How a wait ends.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// The system call returns this.
    Result(Result<u64>),
    /// The system call is made again ([`State::repeats`]).
    Repeat,
}

/// Whether a thread that is about to wait must not: it has been killed, or a signal is there that
/// would interrupt it. If it may, it runs no more: if a stop waited for that, it is reported, which can end
/// other threads' waits. So nothing that was found out about those may be used afterwards.
#[inline(always)]
pub fn may_wait(core: &mut Core, thread: &'static Thread, interruptible: bool) -> Result<()> {
    if thread.work.get(core) & work::BEFORE_WAIT == 0 {
        return Ok(());
    }
    if is_interrupted(core, thread, interruptible) {
        return Err(Error::Interrupted);
    }
    process::runs_no_more(core, thread);
    Ok(())
}

/// Reports a stop that waits for this thread alone before it takes or gives a message, after which it may come to wait: in the
/// midst of that, no other thread's wait may end.
#[inline(always)]
pub fn settle_stop(core: &mut Core, thread: &'static Thread) {
    if thread.work.get(core) & work::AWAITED != 0 {
        process::runs_no_more(core, thread);
    }
}

/// Whether a thread has been killed, or a signal is there that would interrupt its wait.
pub fn is_interrupted(core: &Core, thread: &Thread, interruptible: bool) -> bool {
    let bits = thread.work.get(core);
    bits & work::KILL != 0
        || interruptible
            && bits & (work::SIGNAL | work::TOLD) != 0
            && signal::interrupts(core, thread)
}

/// The caller waits, until `deadline` at most (`FOREVER`: no deadline), by a call that signals interrupt.
pub fn wait(
    mut core: CoreGuard,
    caller: &'static Thread,
    frame: &mut TrapFrame,
    state: State,
    deadline: u64,
) -> Next {
    if let Err(error) = may_wait(&mut core, caller, true) {
        drop(core);
        return Next::error(frame, error);
    }
    if state.repeats() {
        frame.rip -= SYSCALL_LENGTH;
    }
    bound(&core, caller, deadline);
    sched::block(core, caller, state)
}

/// Bounds a wait by a deadline.
#[inline(always)]
pub fn bound(core: &Core, caller: &'static Thread, deadline: u64) {
    if deadline != ferrix_abi::ipc::FOREVER {
        caller.add_work(core, work::TIMED);
        timer::set(core, &caller.timer, deadline, Owner::Thread(caller));
    }
}

/// Takes a waiting thread out of whatever it waits in.
pub fn unblock(core: &mut Core, thread: &'static Thread) {
    thread.disarm(core);
    match thread.state.get(core) {
        State::Send | State::Receive => ipc::withdraw(core, thread),
        State::Reply => ipc::forget_call(core, thread),
        State::Futex => futex::withdraw(core, thread),
        State::FutexPi => futex::pi::withdraw(core, thread),
        State::Poll => ipc::end_poll(core, thread),
        State::Page => ipc::end_page_wait(core, thread),
        State::Memory => oom::withdraw(core, thread),
        State::Alone => thread.process().survivor.set(core, None),
        _ => {}
    }
}

/// Ends a thread's wait: it becomes ready.
pub fn finish(core: &mut Core, thread: &'static Thread, outcome: Outcome) {
    let repeats = thread.state.get(core).repeats();
    unblock(core, thread);
    if let Outcome::Result(result) = outcome {
        let frame = thread.frame(core);
        frame.rax = encode(result);
        if repeats {
            frame.rip += SYSCALL_LENGTH;
        }
    }
    sched::wake(core, thread);
}

/// A caught signal has come for a thread: ends its wait if it can be interrupted.
pub fn interrupt(core: &mut Core, thread: &'static Thread) {
    let interruptible = thread.tag.get(core).0 & Tag::INTERRUPTIBLE != 0;
    match thread.state.get(core) {
        State::Send | State::Receive if !interruptible => {}
        State::Reply if interruptible => ipc::ask_to_cancel(core, thread),
        State::Reply | State::Page | State::Memory | State::Alone => {}
        state if state.is_blocked() => {
            finish(core, thread, Outcome::Result(Err(Error::Interrupted)));
        }
        _ => {}
    }
}

/// A thread's deadline has passed.
pub fn expired(core: &mut Core, thread: &'static Thread) {
    let outcome = match thread.state.get(core) {
        State::Sleep => Outcome::Result(Ok(0)),
        State::Poll | State::SigWait | State::Child => Outcome::Repeat,
        State::Reply => {
            thread.timed_out.set(core, true);
            return ipc::ask_to_cancel(core, thread);
        }
        State::Page => return ipc::page_timed_out(core, thread),
        State::Memory => return oom::look_again(core, thread),
        state if state.is_blocked() => Outcome::Result(Err(Error::TimedOut)),
        _ => return,
    };
    finish(core, thread, outcome);
}
