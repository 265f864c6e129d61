//! What must hold after each step.

use std::fmt::Arguments;

use ferrix_abi::error::{Error, decode};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::Kind;

use super::calls::{pattern, tag_of};
use super::world::{World, real};
use crate::arch::cpu::{self, CPUS};
use crate::machine::PROGRAM;
use crate::object::core_lock::lock;
use crate::object::{self, CoreGuard};
use crate::reference::{Content, Object, Outcome, Tid, Wait};
use crate::sched::running_on;
use crate::thread::{State, Thread};

/// For the counts: which kind of outcome it is.
fn kind_of(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Done(_) => 0,
        Outcome::Reply(_, None) => 1,
        Outcome::Reply(..) => 2,
        Outcome::Again => 3,
        Outcome::Message {
            object: Some(_), ..
        } => 4,
        Outcome::Message {
            kind: Kind::CALL, ..
        } => 5,
        Outcome::Message {
            kind: Kind::SEND, ..
        } => 6,
        Outcome::Message {
            kind: Kind::NOTIFY, ..
        } => 7,
        Outcome::Message {
            kind: Kind::SESSION_CLOSED,
            ..
        } => 8,
        Outcome::Message { .. } => 9,
        Outcome::Failed(Error::BadHandle) => 10,
        Outcome::Failed(Error::NoSuchProcess) => 11,
        Outcome::Failed(Error::BrokenPipe) => 12,
        Outcome::Failed(Error::Stale) => 13,
        Outcome::Failed(Error::Interrupted) => 14,
        Outcome::Failed(Error::TimedOut) => 15,
        Outcome::Failed(Error::WouldBlock) => 16,
        Outcome::Failed(Error::Fault) => 17,
        Outcome::Failed(error) => unreachable!("nothing fails with {error:?}"),
    }
}

impl World {
    pub fn check(&mut self, step: &Arguments<'_>) {
        let tids: Vec<Tid> = self.model.threads.keys().copied().collect();
        let mut ready = 0;
        for tid in tids {
            let mut core = lock();
            let thread = real(&core, tid);
            let state = thread.state.get(&core);
            let expected = &self.model.threads[&tid];
            let fits = match expected.wait {
                Wait::No => matches!(state, State::Running | State::Ready),
                Wait::Send { .. } => state == State::Send,
                Wait::Receive { .. } => state == State::Receive,
                Wait::Reply { .. } => state == State::Reply,
                Wait::Poll => state == State::Poll,
            };
            assert!(
                fits,
                "{step}: thread {tid} is {state:?}, not {expected:?}; {:x?}",
                thread.frame(&mut core)
            );
            ready += u32::from(state == State::Ready);
            if state == State::Running {
                let on = thread.sched.cpu.get(&core) as usize;
                let runs = running_on(&core, on).is_some_and(|other| core::ptr::eq(other, thread));
                assert!(runs, "{step}: thread {tid} does not run on CPU {on}");
            }
            let Some(outcome) = self.model.thread(tid).outcome.take() else {
                continue;
            };
            self.counts[kind_of(&outcome)] += 1;
            let arrived = compare(&mut core, thread, &outcome);
            let (found, object) = arrived.unwrap_or_else(|found| {
                panic!("{step}: thread {tid} got {found}, not {outcome:x?}");
            });
            drop(core);
            if let Some(object) = object {
                self.take_handle(step, tid, found, object);
            }
            if outcome != Outcome::Again {
                self.model.thread(tid).items.clear();
            }
        }
        let core = lock();
        let queued: u32 = (0..CPUS)
            .map(|id| cpu::cpu(id).sched.queue.length(&core))
            .sum();
        assert_eq!(
            queued, ready,
            "{step}: who is ready is queued, and nobody else"
        );
    }

    /// A handle has come in a message: it names what was sent.
    fn take_handle(
        &mut self,
        step: &Arguments<'_>,
        tid: Tid,
        handle: u32,
        (object, held): (Object, Rights),
    ) {
        let pid = self.model.threads[&tid].pid;
        let core = lock();
        let entry = self.processes[&pid].handles.get(&core).get(Handle(handle));
        let Some((real, rights)) = entry else {
            panic!("{step}: thread {tid} got handle {handle}, which names nothing");
        };
        let same = match (real, self.real_object(object)) {
            (object::Object::Port(one), object::Object::Port(other)) => core::ptr::eq(*one, other),
            (object::Object::Session(one), object::Object::Session(other)) => {
                core::ptr::eq(*one, other)
            }
            (object::Object::Irq(one), object::Object::Irq(other)) => core::ptr::eq(*one, other),
            _ => false,
        };
        assert!(
            same && rights == held,
            "{step}: handle {handle} of thread {tid} has {rights:?}, not {held:?} on {object:?} ({same})"
        );
        let table = self.model.tables.get_mut(&pid).expect("it lives");
        assert_eq!(
            table.insert(handle, (object, rights)),
            None,
            "{step}: given twice"
        );
    }
}

type Arrived = (u32, Option<(Object, Rights)>);

/// Compares a thread's registers and UTCB with what it should have got; what they say if it is something else.
fn compare(
    core: &mut CoreGuard,
    thread: &'static Thread,
    outcome: &Outcome,
) -> Result<Arrived, String> {
    let frame = *thread.frame(core);
    let words = [frame.rsi, frame.rdx, frame.r10, frame.r8];
    let again = *outcome == Outcome::Again;
    let (content, object, fits) = match *outcome {
        Outcome::Again => (None, None, true),
        Outcome::Done(value) => (None, None, frame.rax == value),
        Outcome::Failed(error) => (None, None, decode(frame.rax) == Err(error)),
        Outcome::Reply(content, object) => {
            let tag = u64::from(tag_of(&content).0) << 8;
            (Some(content), object, frame.rax == tag)
        }
        Outcome::Message {
            kind,
            pid,
            badge,
            content,
            object,
            token,
        } => {
            let rax = u64::from(kind.0) | u64::from(tag_of(&content).0) << 8;
            let rdi = u64::from(pid) << 32 | u64::from(badge);
            let fits = (frame.rax, frame.rdi, frame.r9) == (rax, rdi, token);
            (Some(content), object, fits)
        }
    };
    let there = frame.rip == if again { PROGRAM - 2 } else { PROGRAM };
    let whole =
        content.is_none_or(|content| words == content.words && carries(core, thread, &content));
    if !fits || !there || !whole {
        return Err(format!("{frame:x?}"));
    }
    Ok((thread.handle_item(core, 0).handle, object))
}

/// Whether the UTCB holds the LONG bytes and the pages.
#[expect(unsafe_code, reason = "as a program reads its UTCB")]
fn carries(core: &CoreGuard, thread: &'static Thread, content: &Content) -> bool {
    // SAFETY: the page stays, and nobody writes it now.
    let utcb = unsafe { &*thread.utcb(core) };
    let bytes = utcb.bytes[..content.bytes] == pattern(content.words[0])[..content.bytes];
    let map = content
        .map
        .is_none_or(|address| utcb.maps[0].address == address + 1);
    bytes && map
}
