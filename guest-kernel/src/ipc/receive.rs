//! `Receive`.

use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::Tag;

use super::endpoint::{Arrival, Party};
use super::send::take_from;
use super::{Endpoint, event};
use crate::arch::TrapFrame;
use crate::object::core_lock::lock;
use crate::object::{Core, Object};
use crate::sched::{self, Next};
use crate::thread::{self, State, Thread, current};

impl Party for Thread {
    #[inline(always)]
    fn id(&self, core: &Core) -> u32 {
        self.tid.get(core)
    }

    #[inline(always)]
    fn only(&self, core: &Core) -> u32 {
        self.only.get(core)
    }
}

/// The endpoint that a receiver names: a port with the right to receive, or its own.
#[inline(always)]
pub(super) fn source(core: &Core, caller: &'static Thread, name: u64) -> Result<&'static Endpoint> {
    if name as u32 == 0 {
        return Ok(&caller.own);
    }
    match caller
        .process()
        .object(core, Handle(name as u32), Rights::RECEIVE)?
    {
        Object::Port(port) => Ok(&port.endpoint),
        _ => Err(Error::BadHandle),
    }
}

/// `Receive`.
pub fn receive(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let caller = current();
    let tag = Tag((frame.rax >> 8) as u32);
    let endpoint = match source(&core, caller, frame.rdi) {
        Ok(endpoint) => endpoint,
        Err(error) => return Next::error(frame, error),
    };
    thread::settle_stop(&mut core, caller);
    caller.process().serves.store(true, Relaxed);
    sched::return_loans(&core, caller);
    let only = frame.rsi as u32;
    if take_arrival(&mut core, caller, endpoint, only) {
        return Next::Caller;
    }
    if let Err(error) = start_waiting(&mut core, caller, endpoint, tag, only) {
        return Next::error(frame, error);
    }
    sched::block(core, caller, State::Receive)
}

/// Takes what has arrived for the caller, into its registers, if anything has.
#[inline(always)]
pub(super) fn take_arrival(
    core: &mut Core,
    caller: &'static Thread,
    endpoint: &'static Endpoint,
    only: u32,
) -> bool {
    while let Some(arrival) = endpoint.arrival(core, only) {
        match arrival {
            Arrival::Event(event) => {
                if let Some(source) = event::take_current(core, event) {
                    event::deliver(core, source, caller);
                    return true;
                }
            }
            // A message that cannot be transferred fails at its sender; the next one is looked at.
            Arrival::Sender(sender) if take_from(core, sender, caller).is_ok() => return true,
            Arrival::Sender(_) => {}
        }
    }
    false
}

/// The caller waits in the endpoint; the deadline is armed if the tag asks for one.
#[inline(always)]
pub(super) fn start_waiting(
    core: &mut Core,
    caller: &'static Thread,
    endpoint: &'static Endpoint,
    tag: Tag,
    only: u32,
) -> Result<()> {
    if tag.0 & Tag::MODIFIERS != 0 || caller.work.get(core) != 0 {
        check_modifiers(core, caller, tag)?;
    }
    caller.tag.set(core, tag);
    caller.only.set(core, only);
    caller.endpoint.set(core, Some(endpoint));
    endpoint.add_receiver(core, caller);
    Ok(())
}

#[cold]
fn check_modifiers(core: &mut Core, caller: &'static Thread, tag: Tag) -> Result<()> {
    if tag.0 & Tag::NON_BLOCKING != 0 {
        return Err(Error::WouldBlock);
    }
    thread::may_wait(core, caller, tag.0 & Tag::INTERRUPTIBLE != 0)?;
    if tag.0 & Tag::TIMEOUT != 0 {
        thread::bound(core, caller, caller.utcb_deadline(core));
    }
    Ok(())
}
