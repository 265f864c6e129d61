//! System calls with random arguments.

use ferrix_abi::Call;
use ferrix_abi::handle::Rights;
use ferrix_abi::ipc::{FOREVER, HandleItem, MapItem, Tag, WaitItem, ready};

use super::world::{HANDLES, World, real};
use crate::arch::cpu;
use crate::machine::{running, system_call, wait_many};
use crate::mm::UNMAPPED;
use crate::object::core_lock::lock;
use crate::reference::exchange::To;
use crate::reference::{Content, Manner, Object, Outcome, Tid, Wait};
use crate::{ipc, time};

/// Time passes in steps of so many nanoseconds. What is below tells deadlines apart, so that their order is known.
pub const MOMENT: u64 = 1 << 22;

impl World {
    /// The thread that runs here makes some call.
    pub fn call(&mut self, tid: Tid) {
        if !self.model.threads[&tid].items.is_empty() {
            return self.poll_again(tid);
        }
        match self.draw.below(100) {
            0..26 => self.send(tid, true),
            26..33 => self.send(tid, false),
            33..47 => self.receive(tid),
            47..57 => self.reply(tid, false),
            57..75 => self.reply(tid, true),
            75..80 => self.poll(tid),
            80..84 => self.session_signal(tid),
            84..87 => self.close(tid),
            87..89 => self.create_port(tid),
            89..94 => self.create_session(tid),
            94..97 => self.set_timer(tid),
            97..98 => self.create_irq(tid),
            _ => self.duplicate(tid),
        }
    }

    pub fn handles_of(&self, tid: Tid, fits: impl Fn(Object, Rights) -> bool) -> Vec<u32> {
        let table = &self.model.tables[&self.model.threads[&tid].pid];
        let fitting = table.iter().filter(|(_, entry)| fits(entry.0, entry.1));
        fitting.map(|(&handle, _)| handle).collect()
    }

    /// A handle that is of use, or any number.
    pub fn handle(&mut self, tid: Tid, fits: impl Fn(Object, Rights) -> bool) -> u32 {
        let fitting = self.handles_of(tid, fits);
        match self.draw.of(&fitting) {
            Some(handle) if !self.draw.one_in(80) => handle,
            _ => self.draw.below(HANDLES) as u32 + 1,
        }
    }

    fn receivable(&mut self, tid: Tid) -> u32 {
        match self.draw.one_in(12) {
            true => 0,
            false => self.handle(tid, |_, rights| rights.contains(Rights::RECEIVE)),
        }
    }

    pub fn deadline(&mut self) -> Option<u64> {
        self.deadlines += 1;
        let base = match self.draw.below(12) {
            0 => 0,
            1..4 => time::now_ns() + self.draw.next() % 64 * MOMENT,
            _ => return None,
        };
        Some(base / MOMENT * MOMENT + self.deadlines % MOMENT)
    }

    fn manner(&mut self) -> Manner {
        Manner {
            interruptible: !self.draw.one_in(3),
            non_blocking: self.draw.one_in(10),
            deadline: self.deadline(),
            cpu: cpu::cpu_id(),
        }
    }

    fn content(&mut self, tid: Tid) -> Content {
        self.messages += 1;
        let number = self.messages;
        let mut content = Content {
            words: [number, !number, number << 20, number * 3],
            ..Content::default()
        };
        if self.draw.one_in(3) {
            let handles = self.handles_of(tid, |_, _| true);
            content.bytes = self.draw.below(257);
            if self.draw.one_in(2)
                && let Some(handle) = self.draw.of(&handles)
            {
                content.handle = Some((handle, self.draw.one_in(3)));
            }
            if self.draw.one_in(4) {
                let bad = self.draw.one_in(4);
                content.map = Some(if bad { UNMAPPED } else { number << 12 });
            }
        }
        content
    }

    /// What the tag says, and the caller's UTCB holds.
    #[expect(unsafe_code, reason = "as a program writes its UTCB")]
    fn announce(&self, content: &Content, manner: Manner, to_thread: bool) -> u64 {
        let core = lock();
        let utcb = running().utcb(&core);
        // SAFETY: the page stays, and nobody else looks at it now.
        let utcb = unsafe { &mut *utcb };
        utcb.bytes = pattern(content.words[0]);
        utcb.deadline = manner.deadline.unwrap_or(FOREVER);
        if let Some((handle, moves)) = content.handle {
            let rights = Rights::all().bits() & !Rights::NO_INHERIT.bits();
            let rights = rights | if moves { HandleItem::MOVE } else { 0 };
            utcb.handles[0] = HandleItem { handle, rights };
        }
        if let Some(address) = content.map {
            utcb.maps[0] = MapItem {
                address,
                ..MapItem::default()
            };
        }
        let mut modifiers = 0;
        for (is_set, bit) in [
            (to_thread, Tag::TO_THREAD),
            (manner.interruptible, Tag::INTERRUPTIBLE),
            (manner.deadline.is_some(), Tag::TIMEOUT),
            (manner.non_blocking, Tag::NON_BLOCKING),
        ] {
            modifiers |= if is_set { bit } else { 0 };
        }
        u64::from(tag_of(content).with(modifiers).0) << 8
    }

    pub fn outcome(&mut self, tid: Tid, outcome: Option<Outcome>) {
        if outcome.is_some() {
            self.model.thread(tid).outcome = outcome;
        }
    }

    fn send(&mut self, tid: Tid, calls: bool) {
        let (content, manner) = (self.content(tid), self.manner());
        if self.handles_of(tid, is_destination).is_empty() && !self.draw.one_in(10) {
            return self.create_session(tid);
        }
        let tids = self.model.threads.keys().copied();
        let others: Vec<Tid> = tids.filter(|&other| other != tid).collect();
        let to = match self.draw.of(&others).filter(|_| self.draw.one_in(10)) {
            Some(other) => To::Thread(other),
            None => To::Handle(self.handle(tid, is_destination)),
        };
        let (to_thread, name) = match to {
            To::Thread(other) => (true, other),
            To::Handle(handle) => (false, handle),
        };
        let number = if calls { Call::Call } else { Call::Send } as u64;
        let rax = number | self.announce(&content, manner, to_thread);
        let outcome = self.model.send(tid, to, content, manner, calls);
        self.outcome(tid, outcome);
        let [a, b, c, d] = content.words;
        let call = if calls { ipc::call } else { ipc::send };
        system_call([rax, name.into(), a, b, c, d, 0], call);
    }

    fn receive(&mut self, tid: Tid) {
        let (manner, handle) = (self.manner(), self.receivable(tid));
        let others: Vec<Tid> = self.model.threads.keys().copied().collect();
        let only = self
            .draw
            .of(&others)
            .filter(|_| self.draw.one_in(6))
            .unwrap_or(0);
        let rax = Call::Receive as u64 | self.announce(&Content::default(), manner, false);
        let outcome = self.model.receive(tid, handle, only, manner);
        self.outcome(tid, outcome);
        system_call([rax, handle.into(), only.into(), 0, 0, 0, 0], ipc::receive);
    }

    /// The calls that wait for this thread's process.
    fn waiting_for(&self, tid: Tid) -> Vec<u64> {
        let pid = self.model.threads[&tid].pid;
        let waits = |wait: &Wait| matches!(wait, Wait::Reply { server, .. } if *server == pid);
        let threads = self.model.threads.values();
        threads
            .filter(|thread| waits(&thread.wait))
            .map(|thread| thread.token)
            .collect()
    }

    /// A caller that waits for this thread's process, or any number.
    fn token(&mut self, tid: Tid) -> u64 {
        let fitting = self.waiting_for(tid);
        let all: Vec<u64> = self
            .model
            .threads
            .values()
            .map(|thread| thread.token)
            .collect();
        match self.draw.of(&fitting) {
            Some(token) if !self.draw.one_in(30) => token,
            _ => self.draw.of(&all).unwrap_or(0) ^ u64::from(self.draw.one_in(3)) << 32,
        }
    }

    fn reply(&mut self, tid: Tid, receives: bool) {
        if self.waiting_for(tid).is_empty() && !self.draw.one_in(20) {
            return self.receive(tid);
        }
        let token = self.token(tid);
        let content = self.content(tid);
        let manner = match receives {
            true => self.manner(),
            false => Manner::default(),
        };
        let [a, b, c, d] = content.words;
        if receives {
            let handle = self.receivable(tid);
            let rax = Call::ReplyReceive as u64 | self.announce(&content, manner, false);
            let outcome = self
                .model
                .reply_receive(tid, handle, token, content, manner);
            self.outcome(tid, outcome);
            system_call([rax, handle.into(), a, b, c, d, token], ipc::reply_receive);
        } else {
            let rax = Call::Reply as u64 | self.announce(&content, manner, false);
            let outcome = self.model.reply(tid, token, content);
            self.outcome(tid, Some(outcome));
            system_call([rax, 0, a, b, c, d, token], ipc::reply);
        }
    }

    fn poll(&mut self, tid: Tid) {
        let sessions = self.handles_of(tid, |object, _| matches!(object, Object::Session(_)));
        let count = 1 + self.draw.below(3);
        let mut items = Vec::new();
        for _ in 0..count {
            let edge = if self.draw.one_in(4) { ready::EDGE } else { 0 };
            items.push(WaitItem {
                handle: self.draw.of(&sessions).unwrap_or(1),
                want: self.draw.below(8) as u32 | edge,
                events: self.draw.below(3) as u32,
                ..WaitItem::default()
            });
        }
        let manner = Manner {
            interruptible: true,
            deadline: self.deadline(),
            ..self.manner()
        };
        self.wait_many(tid, items, manner);
    }

    /// The call that has to be made again.
    fn poll_again(&mut self, tid: Tid) {
        let thread = self.model.thread(tid);
        let items = core::mem::take(&mut thread.items);
        let deadline = thread.again.take();
        let manner = Manner {
            interruptible: true,
            non_blocking: false,
            deadline,
            cpu: cpu::cpu_id(),
        };
        {
            let mut core = lock();
            real(&core, tid).frame(&mut core).rip += 2;
        }
        self.wait_many(tid, items, manner);
    }

    fn wait_many(&mut self, tid: Tid, items: Vec<WaitItem>, manner: Manner) {
        let (mut expected, mut found) = (items.clone(), items.clone());
        let outcome = self.model.poll(tid, &mut expected, manner, time::now_ns());
        if outcome.is_none() {
            let thread = self.model.thread(tid);
            (thread.items, thread.again) = (items, manner.deadline);
        }
        let compares = matches!(outcome, Some(Outcome::Done(_)));
        self.outcome(tid, outcome);
        let deadline = manner.deadline.unwrap_or(FOREVER);
        system_call([Call::WaitMany as u64, 0, 0, 0, 0, 0, 0], |frame| {
            wait_many(frame, &mut found, deadline)
        });
        assert!(
            !compares || found == expected,
            "{found:?} are not {expected:?}"
        );
    }
}

/// Whether messages can be sent by a handle.
fn is_destination(object: Object, rights: Rights) -> bool {
    rights.contains(Rights::SEND) && !matches!(object, Object::Irq(_))
}

/// The tag of what travels.
pub fn tag_of(content: &Content) -> Tag {
    let count = |is_there: bool| usize::from(is_there);
    Tag::new(
        content.bytes,
        count(content.handle.is_some()),
        count(content.map.is_some()),
    )
}

/// The LONG bytes of a message.
pub fn pattern(number: u64) -> [u8; 256] {
    core::array::from_fn(|index| (number as u8).wrapping_mul(31).wrapping_add(index as u8))
}
