//! The end of waits for messages, of threads, and of servers.

use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::error::{Error, encode};

use super::port::fail_senders;
use super::{Endpoint, Source, post, shortage};
use crate::object::Core;
use crate::process::{PIDS, Process};
use crate::sched;
use crate::thread::{State, TIDS, Thread, work};

/// Takes a thread that sends or receives out of its endpoint.
pub fn withdraw(core: &Core, thread: &'static Thread) {
    let Some(endpoint) = thread.endpoint.take(core) else {
        return;
    };
    match thread.state.get(core) {
        State::Send => endpoint.remove_sender(core, thread),
        _ => endpoint.remove_receiver(core, thread),
    }
}

/// A caller waits for its reply no longer: a reply will fail.
pub fn forget_call(core: &Core, caller: &'static Thread) {
    caller.server.set(core, None);
    caller.timed_out.set(core, false);
    caller.forget_cancel(core);
}

/// Asks the server to end the call of a thread that waits for a reply.
pub fn ask_to_cancel(core: &mut Core, caller: &'static Thread) {
    if let Some(endpoint) = caller.endpoint.get(core) {
        caller.add_work(core, work::CANCELLED);
        post(core, endpoint, &caller.cancel, Source::Cancel(caller));
    }
}

/// A thread has ended: nobody receives at its own endpoint any more.
pub fn thread_ended(core: &mut Core, thread: &'static Thread) {
    while let Some(event) = thread.own.pop_event(core) {
        event.abandon(core);
    }
    fail_senders(core, &thread.own, Error::NoSuchProcess);
    if thread.called.take(core) {
        forget_endpoint(core, &thread.own);
    }
}

/// Nobody receives at an endpoint any more, and it may come to stand for another one. Calls that were received there can still be
/// answered, but nobody is asked to end them.
#[cold]
pub(super) fn forget_endpoint(core: &Core, endpoint: &'static Endpoint) {
    let mut previous = 0;
    while let Some((tid, caller)) = TIDS.next_used(core, previous) {
        previous = tid;
        let received_there = caller.state.get(core) == State::Reply
            && caller
                .endpoint
                .get(core)
                .is_some_and(|other| core::ptr::eq(other, endpoint));
        if received_there {
            caller.endpoint.set(core, None);
        }
    }
}

/// A process has no threads any more: its sessions are stale, and whoever waits for its reply gets an
/// error.
pub fn server_died(core: &mut Core, server: &'static Process) {
    while let Some(session) = server.sessions.first(core) {
        session.become_stale(core);
    }
    while let Some(pager) = server.pagers.first(core) {
        pager.die(core);
    }
    if !server.serves.load(Relaxed) {
        return;
    }
    shortage::server_died(core, server);
    let mut previous = 0;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        previous = pid;
        fail_callers(core, process, server);
    }
}

/// Ends the calls that threads of `process` have made to `server`.
fn fail_callers(core: &mut Core, process: &'static Process, server: &'static Process) {
    let mut next = process.threads.first(core);
    while let Some(caller) = next {
        next = process.threads.after(core, Some(caller));
        let waits = caller.state.get(core) == State::Reply
            && caller
                .server
                .get(core)
                .is_some_and(|other| core::ptr::eq(other, server));
        if waits {
            forget_call(core, caller);
            caller.disarm(core);
            caller.frame(core).rax = encode(Err(Error::BrokenPipe));
            sched::wake(core, caller);
        }
    }
}
