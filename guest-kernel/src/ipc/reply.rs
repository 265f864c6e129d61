//! `Reply` and `ReplyReceive`.

use ferrix_abi::error::{Error, Result, encode};
use ferrix_abi::ipc::Tag;

use super::fast;
use super::receive::{source, start_waiting, take_arrival};
use super::send::hand_over;
use super::transfer::transfer;
use crate::arch::TrapFrame;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::sched::{self, Next};
use crate::thread::{self, State, Thread, by_tid, current};

/// The caller that a token names, if it waits for the replier's process.
#[inline(always)]
pub fn caller_of(core: &Core, replier: &'static Thread, token: u64) -> Result<&'static Thread> {
    match by_tid(core, token as u32) {
        Some(caller)
            if caller.token.get(core) == token
                && caller.state.get(core) == State::Reply
                && caller
                    .server
                    .get(core)
                    .is_some_and(|server| core::ptr::eq(server, replier.process())) =>
        {
            Ok(caller)
        }
        _ => Err(Error::NoSuchProcess),
    }
}

/// Gives the reply to the caller, which can run then but is not made ready.
#[inline(always)]
fn answer(core: &mut Core, replier: &'static Thread, frame: &TrapFrame) -> Result<&'static Thread> {
    let caller = caller_of(core, replier, frame.r9)?;
    if caller.timed_out.get(core) {
        time_out(core, caller);
        return Err(Error::NoSuchProcess);
    }
    let tag = Tag((frame.rax >> 8) as u32);
    transfer(core, replier, caller, tag)?;
    caller.server.set(core, None);
    caller.forget_cancel(core);
    caller.disarm(core);
    let words = [frame.rsi, frame.rdx, frame.r10, frame.r8];
    let to = caller.frame(core);
    to.rax = ((tag.0 & !Tag::MODIFIERS) as u64) << 8;
    [to.rsi, to.rdx, to.r10, to.r8] = words;
    Ok(caller)
}

/// The caller's deadline had passed: that is its answer, whatever the server's is.
#[cold]
fn time_out(core: &mut Core, caller: &'static Thread) {
    caller.timed_out.set(core, false);
    caller.server.set(core, None);
    caller.forget_cancel(core);
    caller.disarm(core);
    caller.frame(core).rax = encode(Err(Error::TimedOut));
    sched::wake(core, caller);
}

/// `Reply`.
pub fn reply(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let replier = current();
    match answer(&mut core, replier, frame) {
        Ok(caller) => {
            sched::return_loans(&core, replier);
            sched::wake(&core, caller);
            Next::result(frame, Ok(0))
        }
        Err(error) => Next::error(frame, error),
    }
}

/// `ReplyReceive`.
pub fn reply_receive(frame: &mut TrapFrame) -> Next {
    fast::try_reply_receive(frame);
    reply_receive_ordinarily(frame)
}

#[inline(never)]
fn reply_receive_ordinarily(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let replier = current();
    let endpoint = match source(&core, replier, frame.rdi) {
        Ok(endpoint) => endpoint,
        Err(error) => return Next::error(frame, error),
    };
    thread::settle_stop(&mut core, replier);
    let caller = match answer(&mut core, replier, frame) {
        Ok(caller) => caller,
        Err(error) => return Next::error(frame, error),
    };
    sched::return_loans(&core, replier);
    if take_arrival(&mut core, replier, endpoint, 0) {
        sched::wake(&core, caller);
        return Next::Caller;
    }
    let tag = Tag((frame.rax >> 8) as u32 & Tag::MODIFIERS);
    if let Err(error) = start_waiting(&mut core, replier, endpoint, tag, 0) {
        sched::wake(&core, caller);
        return Next::error(frame, error);
    }
    replier.state.set(&core, State::Receive);
    hand_over(core, caller)
}
