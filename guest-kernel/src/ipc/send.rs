//! `Call` and `Send`.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, Tag};

use super::fast;
use super::transfer::transfer;
use super::{Endpoint, Session};
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::arch::trace_point::trace_point;
use crate::object::core_lock::lock;
use crate::object::{Core, CoreGuard, Object};
use crate::sched::{self, Next};
use crate::thread::{self, State, Thread, by_tid, current, work};
use crate::trace;

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
struct Destination {
    endpoint: &'static Endpoint,
    badge: u32,
    session: Option<&'static Session>,
}

/// What the tag and RDI name.
#[inline(always)]
fn destination(core: &Core, caller: &'static Thread, tag: Tag, name: u64) -> Result<Destination> {
    if tag.0 & Tag::TO_THREAD != 0 {
        let thread = by_tid(core, name as u32).ok_or(Error::NoSuchProcess)?;
        thread.called.set(core, true);
        return Ok(Destination {
            endpoint: &thread.own,
            badge: 0,
            session: None,
        });
    }
    match caller
        .process()
        .object(core, Handle(name as u32), Rights::SEND)?
    {
        Object::Session(session) => {
            let port = session.live_port(core)?;
            let (badge, session) = (session.badge(core), Some(*session));
            Ok(Destination {
                endpoint: &port.endpoint,
                badge,
                session,
            })
        }
        Object::Port(port) if port.dead.get(core) => Err(Error::BrokenPipe),
        Object::Port(port) => Ok(Destination {
            endpoint: &port.endpoint,
            badge: 0,
            session: None,
        }),
        _ => Err(Error::BadHandle),
    }
}

/// `Call`.
pub fn call(frame: &mut TrapFrame) -> Next {
    fast::try_call(frame);
    call_ordinarily(frame)
}

#[inline(never)]
fn call_ordinarily(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let caller = current();
    let tag = Tag((frame.rax >> 8) as u32);
    let to = match destination(&core, caller, tag, frame.rdi) {
        Ok(to) => to,
        Err(error) => return Next::error(frame, error),
    };
    // First: the report of a stop can end the wait of the very receiver.
    if caller.work.get(&core) != 0
        && let Err(error) = may_wait(&mut core, caller, tag)
    {
        return Next::error(frame, error);
    }
    let Some(receiver) = to.endpoint.receiver_for(&core, caller.tid.get(&core)) else {
        return queue(core, caller, frame, tag, to, Reply::Awaited);
    };
    if let Err(error) = transfer(&mut core, caller, receiver, tag) {
        return Next::error(frame, error);
    }
    to.endpoint.remove_receiver(&core, receiver);
    caller.badge.set(&core, to.badge);
    caller.tag.set(&core, tag);
    let words = [frame.rsi, frame.rdx, frame.r10, frame.r8];
    hand_call(&mut core, caller, receiver, to.endpoint, words);
    if tag.0 & Tag::TIMEOUT != 0 {
        thread::bound(&core, caller, caller.utcb_deadline(&core));
    }
    hand_over(core, receiver)
}

/// Whether the system call awaits a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Awaited,
    None,
}

fn may_wait(core: &mut Core, caller: &'static Thread, tag: Tag) -> Result<()> {
    thread::may_wait(core, caller, tag.0 & Tag::INTERRUPTIBLE != 0)
}

/// The caller's message becomes the receiver's result; the caller waits for the reply.
#[inline(always)]
pub(super) fn hand_call(
    core: &mut Core,
    caller: &'static Thread,
    receiver: &'static Thread,
    endpoint: &'static Endpoint,
    words: [u64; 4],
) {
    let server = receiver.process();
    let token = caller.token.get(core) + (1 << 32);
    caller.token.set(core, token);
    caller.server.set(core, Some(server));
    caller.callee.set(core, Some(receiver));
    endpoint.set_server(core, receiver);
    caller.endpoint.set(core, Some(endpoint));
    caller.state.set(core, State::Reply);
    let sender = caller.sender.get(core) | caller.badge.get(core) as u64;
    let kind = Kind::CALL.0 as u64 | content(caller.tag.get(core)) << 8;
    fill(core, receiver, kind, sender, words, token);
    sched::lend(core, caller, receiver);
}

/// The part of a tag that the receiver sees.
#[inline(always)]
fn content(tag: Tag) -> u64 {
    (tag.0 & !Tag::MODIFIERS) as u64
}

/// Writes what a receive brings into the receiver's registers.
#[inline(always)]
pub(super) fn fill(
    core: &mut Core,
    receiver: &'static Thread,
    kind: u64,
    sender: u64,
    words: [u64; 4],
    token: u64,
) {
    let frame = receiver.frame(core);
    frame.rax = kind;
    frame.rdi = sender;
    [frame.rsi, frame.rdx, frame.r10, frame.r8] = words;
    frame.r9 = token;
}

/// Hands the CPU from the current thread, which waits, to the other party, past the run queues,
/// where nothing speaks against it.
#[inline(always)]
pub(super) fn hand_over(core: CoreGuard, thread: &'static Thread) -> Next {
    thread.disarm(&core);
    if may_take_over(&core, thread) {
        thread.sched.cpu.set(&core, cpu::cpu_id() as u8);
        return Next::Switch(core, thread);
    }
    sched::wake(&core, thread);
    let next = sched::next(&core);
    Next::Switch(core, next)
}

/// Whether a thread may run here at once: nothing waits for it at its return to user mode, this CPU
/// is allowed, and nobody more urgent waits here.
#[inline(always)]
fn may_take_over(core: &Core, thread: &Thread) -> bool {
    let queue = &sched::local().queue;
    thread.work.get(core) & work::AT_RETURN == 0
        && thread.sched.may_run_on(core, cpu::cpu_id())
        && queue.above(core) <= thread.sched.priority.get(core) + 1
}

/// No receiver: the sender waits in the endpoint.
#[inline(never)]
fn queue(
    mut core: CoreGuard,
    caller: &'static Thread,
    frame: &mut TrapFrame,
    tag: Tag,
    to: Destination,
    reply: Reply,
) -> Next {
    if tag.0 & Tag::NON_BLOCKING != 0 {
        return Next::error(frame, Error::WouldBlock);
    }
    if let Err(error) = may_wait(&mut core, caller, tag) {
        return Next::error(frame, error);
    }
    caller.badge.set(&core, to.badge);
    caller.session.set(&core, to.session);
    caller.tag.set(&core, tag);
    caller.calls.set(&core, reply == Reply::Awaited);
    caller.endpoint.set(&core, Some(to.endpoint));
    to.endpoint.add_sender(&core, caller);
    if let Some(server) = to.endpoint.server(&core) {
        sched::lend(&core, caller, server);
    }
    if tag.0 & Tag::TIMEOUT != 0 {
        thread::bound(&core, caller, caller.utcb_deadline(&core));
    }
    sched::block(core, caller, State::Send)
}

/// `Send`.
pub fn send(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let caller = current();
    let tag = Tag((frame.rax >> 8) as u32);
    let to = match destination(&core, caller, tag, frame.rdi) {
        Ok(to) => to,
        Err(error) => return Next::error(frame, error),
    };
    let Some(receiver) = to.endpoint.receiver_for(&core, caller.tid.get(&core)) else {
        return queue(core, caller, frame, tag, to, Reply::None);
    };
    if let Err(error) = transfer(&mut core, caller, receiver, tag) {
        return Next::error(frame, error);
    }
    to.endpoint.remove_receiver(&core, receiver);
    receiver.disarm(&core);
    let sender = caller.sender.get(&core) | to.badge as u64;
    let kind = Kind::SEND.0 as u64 | content(tag) << 8;
    let words = [frame.rsi, frame.rdx, frame.r10, frame.r8];
    fill(&mut core, receiver, kind, sender, words, 0);
    sched::wake(&core, receiver);
    Next::result(frame, Ok(0))
}

/// A receiver takes the message of a sender that waits: into its registers, before it returns.
/// The sender then waits for the reply, or is done. On error the sender gets that, and nothing was received.
pub(super) fn take_from(
    core: &mut Core,
    sender: &'static Thread,
    receiver: &'static Thread,
) -> Result<()> {
    let tag = sender.tag.get(core);
    let Some(endpoint) = sender.endpoint.get(core) else {
        return Err(Error::Invalid);
    };
    endpoint.remove_sender(core, sender);
    trace_point(|| trace::receive(core, sender));
    if let Err(error) = transfer(core, sender, receiver, tag) {
        sender.disarm(core);
        sender.frame(core).rax = ferrix_abi::error::encode(Err(error));
        sched::wake(core, sender);
        return Err(error);
    }
    let from = sender.frame(core);
    let words = [from.rsi, from.rdx, from.r10, from.r8];
    if sender.calls.get(core) {
        hand_call(core, sender, receiver, endpoint, words);
    } else {
        let name = sender.sender.get(core) | sender.badge.get(core) as u64;
        fill(
            core,
            receiver,
            Kind::SEND.0 as u64 | content(tag) << 8,
            name,
            words,
            0,
        );
        sender.disarm(core);
        sender.frame(core).rax = 0;
        sched::wake(core, sender);
    }
    Ok(())
}
