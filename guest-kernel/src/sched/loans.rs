//! For what threads lend their priority: calls to servers here, futexes in [`futex::pi`](crate::futex::pi).

use super::inherit::{self, Inheritance, Inheritor, Lending};
use super::{Entity, requeue};
use crate::arch::trace_point::trace_point;
use crate::boot::command_line;
use crate::object::Core;
use crate::thread::{State, Thread, work};
use crate::trace;

impl Inheritor for Thread {
    #[inline(always)]
    fn inheritance(&self) -> &Inheritance<Thread> {
        &self.inheritance
    }

    #[inline(always)]
    fn entity(&self) -> &Entity {
        &self.sched
    }

    fn note_lending(&self, core: &Core, lends: Lending) {
        let others = self.work.get(core) & !work::LENDS;
        let bit = match lends {
            Lending::Lends => work::LENDS,
            Lending::Keeps => 0,
        };
        self.work.set(core, others | bit);
    }

    fn requeue(&'static self, core: &Core, change: impl FnOnce()) {
        let before = self.sched.priority.get(core);
        requeue(core, self, change);
        trace_point(|| trace::inherit(core, self, before));
    }

    fn waits_for(&self, core: &Core) -> Option<&'static Thread> {
        let server = match self.state.get(core) {
            State::Reply => self.callee.get(core),
            State::Send => self.endpoint.get(core)?.server(core),
            _ => None,
        };
        server.filter(|server| works(core, server))
    }
}

/// Whether a server thread is at work: what it has received it has not put aside for something else.
fn works(core: &Core, server: &Thread) -> bool {
    !matches!(
        server.state.get(core),
        State::Free | State::Dead | State::Receive
    )
}

/// As the command line says.
pub fn init_inheritance(line: &str) {
    if !command_line::inherits(line) {
        inherit::disable();
    }
}

/// Who calls or sends lends its priority to the server thread, if that is less urgent.
#[inline(always)]
pub fn lend(core: &Core, caller: &'static Thread, server: &'static Thread) {
    if caller.work.get(core) & work::LENDS != 0
        || server.inheritance.has_donors(core)
        || caller.sched.priority.get(core) > server.sched.priority.get(core)
    {
        lend_now(core, caller, server);
    }
}

#[inline(never)]
fn lend_now(core: &Core, caller: &'static Thread, server: &'static Thread) {
    inherit::withdraw(core, caller);
    let higher = caller.sched.priority.get(core) > server.sched.own(core);
    let gone = matches!(server.state.get(core), State::Free | State::Dead);
    if higher && !gone && inherit::is_enabled() {
        // Who waits for the caller cannot be helped by it.
        let _ = inherit::donate(core, caller, server);
    }
}

/// The server has replied, or receives anew: its callers lend it nothing any more. Those who wait to send still do.
#[inline(always)]
pub fn return_loans(core: &Core, server: &'static Thread) {
    if server.inheritance.has_donors(core) {
        return_now(core, server);
    }
}

#[inline(never)]
fn return_now(core: &Core, server: &'static Thread) {
    let calls = |donor: &'static Thread| donor.state.get(core) == State::Reply;
    inherit::move_donors(core, server, None, calls);
}
