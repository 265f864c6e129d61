//! The fast path: `Call` of a SHORT message to a receiver that waits, and `ReplyReceive` of one when
//! nothing else has arrived. The CPU goes from one thread to the other: no run queue, no timer.
//!
//! Each function first checks that the case is that one. If not, it returns and has changed nothing:
//! the ordinary functions, which do the same and more, take over. If it is, it does not return. What makes a thread
//! unusual is gathered in one word ([`work`](crate::thread::work)), so that zero says that no deadline, signal,
//! stop, kill, cancellation or affinity has to be looked after. Every instruction here counts twice in
//! `cargo xtask bench`.

use ferrix_abi::Call;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, Tag};

use super::Endpoint;
use crate::arch::TrapFrame;
use crate::arch::cpu::{self, PerCpu};
use crate::object::core_lock::try_lock;
use crate::object::{Core, CoreGuard, Object};
use crate::sched;
use crate::thread::{State, Thread, by_tid, current};

/// What RAX holds for these calls with a SHORT message, but for [`INTERRUPTIBLE`].
const CALL: u64 = Call::Call as u64;
const REPLY_RECEIVE: u64 = Call::ReplyReceive as u64;
/// Whether signals interrupt the wait: no matter here.
const INTERRUPTIBLE: u64 = (Tag::INTERRUPTIBLE as u64) << 8;

/// `Call`: hands the CPU over, or returns if the ordinary function must do it.
#[inline(always)]
pub(super) fn try_call(frame: &mut TrapFrame) {
    if frame.rax & !INTERRUPTIBLE == CALL {
        let (cpu, caller) = (cpu::this_cpu(), current());
        if let Some((core, next)) = call(frame, cpu, caller) {
            next.sched.cpu.set(&core, cpu.id() as u8);
            sched::hand_over(core, cpu, caller, next)
        }
    }
}

/// `ReplyReceive`: the same.
#[inline(always)]
pub(super) fn try_reply_receive(frame: &mut TrapFrame) {
    if frame.rax & !INTERRUPTIBLE == REPLY_RECEIVE {
        let (cpu, replier) = (cpu::this_cpu(), current());
        if let Some((core, next)) = reply_receive(frame, cpu, replier) {
            next.sched.cpu.set(&core, cpu.id() as u8);
            sched::hand_over(core, cpu, replier, next)
        }
    }
}

/// Whether nobody who waits for this CPU is more urgent than `thread`.
#[inline(always)]
fn is_next(core: &Core, cpu: &PerCpu, thread: &Thread) -> bool {
    cpu.sched.queue.above(core) <= thread.sched.priority.get(core) + 1
}

/// `Call`, if a receiver waits.
#[inline(always)]
fn call(
    frame: &mut TrapFrame,
    cpu: &PerCpu,
    caller: &'static Thread,
) -> Option<(CoreGuard, &'static Thread)> {
    let mut core = try_lock()?;
    let place = caller
        .process()
        .handles
        .get(&core)
        .near_place(Handle(frame.rdi as u32))?;
    let (endpoint, badge): (&'static Endpoint, u32) = match place.object {
        Some(Object::Session(session)) => (&session.port(&core)?.endpoint, session.badge(&core)),
        Some(Object::Port(port)) => (&port.endpoint, 0),
        _ => return None,
    };
    let receiver = endpoint.open_receiver(&core)?;
    let priority = caller.sched.priority.get(&core);
    let usual = place.rights.contains(Rights::SEND)
        && caller.work.get(&core) | receiver.work.get(&core) == 0
        && priority <= receiver.sched.priority.get(&core);
    if !usual || !is_next(&core, cpu, receiver) {
        return None;
    }
    endpoint.pop_receiver(&core, receiver);
    let token = caller.token.get(&core) + (1 << 32);
    caller.token.set(&core, token);
    caller.tag.set(&core, Tag((frame.rax >> 8) as u32));
    caller.badge.set(&core, badge);
    caller.endpoint.set(&core, Some(endpoint));
    caller.server.set(&core, Some(receiver.process()));
    caller.callee.set(&core, Some(receiver));
    caller.state.set(&core, State::Reply);
    let sender = caller.sender.get(&core) | badge as u64;
    let to = receiver.frame(&mut core);
    to.rax = Kind::CALL.0 as u64;
    to.rdi = sender;
    [to.rsi, to.rdx, to.r10, to.r8] = [frame.rsi, frame.rdx, frame.r10, frame.r8];
    to.r9 = token;
    Some((core, receiver))
}

/// `ReplyReceive`, if nothing has arrived at the port.
#[inline(always)]
fn reply_receive(
    frame: &mut TrapFrame,
    cpu: &PerCpu,
    replier: &'static Thread,
) -> Option<(CoreGuard, &'static Thread)> {
    let mut core = try_lock()?;
    let place = replier
        .process()
        .handles
        .get(&core)
        .near_place(Handle(frame.rdi as u32))?;
    let Some(Object::Port(port)) = place.object else {
        return None;
    };
    let caller = by_tid(&core, frame.r9 as u32)?;
    let awaits = caller.token.get(&core) == frame.r9
        && caller.state.get(&core) == State::Reply
        && caller
            .server
            .get(&core)
            .is_some_and(|server| core::ptr::eq(server, replier.process()));
    let usual = place.rights.contains(Rights::RECEIVE)
        && caller.work.get(&core) | replier.work.get(&core) == 0
        && port.endpoint.has_no_arrival(&core)
        && !replier.inheritance.has_donors(&core);
    if !awaits || !usual || !is_next(&core, cpu, caller) {
        return None;
    }
    caller.server.set(&core, None);
    let to = caller.frame(&mut core);
    to.rax = 0;
    [to.rsi, to.rdx, to.r10, to.r8] = [frame.rsi, frame.rdx, frame.r10, frame.r8];
    replier.tag.set(&core, Tag((frame.rax >> 8) as u32));
    replier.only.set(&core, 0);
    replier.endpoint.set(&core, Some(&port.endpoint));
    replier.state.set(&core, State::Receive);
    port.endpoint.add_receiver(&core, replier);
    Some((core, caller))
}
