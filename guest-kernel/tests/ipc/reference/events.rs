//! Events, signals, deadlines, and waiting for sessions.

use ferrix_abi::error::Error;
use ferrix_abi::ipc::{Kind, WaitItem, ready};

use super::{Content, Event, Manner, Object, Outcome, Place, Reference, Tid, Wait};

/// Whose deadline it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Thread(Tid),
    Port((u64, u32)),
}

const ALWAYS: u32 = ready::ERROR | ready::HANG_UP;

impl Reference {
    /// Something has happened: a receiver gets it, or it waits. One that waits already stays as it is.
    pub(super) fn post(&mut self, at: Place, event: Event) {
        let Some(endpoint) = self.endpoint(at) else {
            return;
        };
        if endpoint.events.contains(&event) {
            return;
        }
        let receivers = endpoint.receivers.clone();
        let any = |tid: &&Tid| matches!(self.threads[*tid].wait, Wait::Receive { only: 0, .. });
        let receiver = receivers.iter().rev().find(any).copied();
        let Some(endpoint) = self.endpoint(at) else {
            return;
        };
        match receiver {
            None => endpoint.events.push_back(event),
            Some(receiver) => {
                endpoint.receivers.retain(|&other| other != receiver);
                let message = self.told(event);
                self.end(receiver, message);
            }
        }
    }

    /// What the receiver of an event gets.
    pub(super) fn told(&mut self, event: Event) -> Outcome {
        let (kind, pid, badge, word, token) = match event {
            Event::Irq(id) => match self.irqs.get_mut(&id) {
                Some(irq) => (
                    Kind::NOTIFY,
                    0,
                    irq.badge,
                    core::mem::take(&mut irq.count),
                    0,
                ),
                None => unreachable!("an interrupt that is released is withdrawn"),
            },
            Event::Timer(port, badge) => {
                self.timers.remove(&(port, badge));
                (Kind::NOTIFY, 0, badge, 1, 0)
            }
            Event::Closed(id) => {
                let badge = self.sessions[&id].badge;
                self.forget_session(id);
                (Kind::SESSION_CLOSED, 0, badge, 0, 0)
            }
            Event::Cancel(tid) => {
                let thread = &self.threads[&tid];
                let Wait::Reply { badge, .. } = thread.wait else {
                    unreachable!("who is answered is not to be cancelled")
                };
                (Kind::CANCEL, thread.pid, badge, 0, thread.token)
            }
        };
        let content = Content {
            words: [word, 0, 0, 0],
            ..Content::default()
        };
        let object = None;
        Outcome::Message {
            kind,
            pid,
            badge,
            content,
            object,
            token,
        }
    }

    pub(super) fn withdraw(&mut self, event: Event) {
        for endpoint in self.ports.values_mut().chain(self.own.values_mut()) {
            endpoint.events.retain(|&other| other != event);
        }
    }

    /// The server need not be asked any more.
    pub(super) fn forget_cancel(&mut self, caller: Tid) {
        self.withdraw(Event::Cancel(caller));
    }

    /// A signal comes for a thread.
    pub fn signal(&mut self, tid: Tid) {
        let thread = self.thread(tid);
        thread.signal = true;
        let interruptible = thread.manner.interruptible;
        match thread.wait {
            Wait::Reply { at, .. } if interruptible => self.post(at, Event::Cancel(tid)),
            Wait::Send { .. } | Wait::Receive { .. } if interruptible => {
                self.leave(tid);
                self.end(tid, Outcome::Failed(Error::Interrupted));
            }
            Wait::Poll => {
                self.leave(tid);
                self.end(tid, Outcome::Failed(Error::Interrupted));
            }
            _ => {}
        }
    }

    /// Takes a thread out of whatever it waits in.
    pub(super) fn leave(&mut self, tid: Tid) {
        match self.thread(tid).wait.clone() {
            Wait::Send { at, .. } | Wait::Receive { at, .. } => {
                if let Some(endpoint) = self.endpoint(at) {
                    endpoint.senders.retain(|&other| other != tid);
                    endpoint.receivers.retain(|&other| other != tid);
                }
            }
            Wait::Reply { .. } => self.forget_cancel(tid),
            Wait::Poll => {
                for session in self.sessions.values_mut() {
                    session.pollers.retain(|node| node.0 != tid);
                }
            }
            Wait::No => {}
        }
    }

    /// The timer of a CPU interrupts.
    pub fn expire(&mut self, cpu: usize, now: u64) {
        let mut due: Vec<(u64, Owner)> = Vec::new();
        for (&tid, thread) in &self.threads {
            if let Some(deadline) = thread.manner.deadline
                && thread.manner.cpu == cpu
                && thread.wait != Wait::No
                && deadline <= now
            {
                due.push((deadline, Owner::Thread(tid)));
            }
        }
        for (&timer, &armed) in &self.timers {
            if let Some((on, deadline)) = armed
                && on == cpu
                && deadline <= now
            {
                due.push((deadline, Owner::Port(timer)));
            }
        }
        due.sort_unstable();
        for (_, owner) in due {
            match owner {
                Owner::Thread(tid) => self.time_out(tid),
                Owner::Port((port, badge)) => {
                    self.timers.insert((port, badge), None);
                    self.post(Place::Port(port), Event::Timer(port, badge));
                }
            }
        }
    }

    fn time_out(&mut self, tid: Tid) {
        let thread = self.thread(tid);
        if thread.manner.deadline.take().is_none() {
            return;
        }
        match &mut thread.wait {
            Wait::Reply { at, timed_out, .. } => {
                *timed_out = true;
                let at = *at;
                self.post(at, Event::Cancel(tid));
            }
            Wait::Poll => {
                self.leave(tid);
                self.end(tid, Outcome::Again);
            }
            Wait::No => {}
            Wait::Send { .. } | Wait::Receive { .. } => {
                self.leave(tid);
                self.end(tid, Outcome::Failed(Error::TimedOut));
            }
        }
    }

    /// `WaitMany`, made the first time or again; none: it waits.
    pub fn poll(
        &mut self,
        tid: Tid,
        items: &mut [WaitItem],
        manner: Manner,
        now: u64,
    ) -> Option<Outcome> {
        let pid = self.threads[&tid].pid;
        let expired = manner.deadline.is_some_and(|deadline| now >= deadline);
        let mut ready = 0;
        for item in items.iter_mut() {
            let object = self.tables[&pid].get(&item.handle).map(|entry| entry.0);
            let Some(Object::Session(id)) = object else {
                return Some(Outcome::Failed(Error::BadHandle));
            };
            self.look(id, item);
            ready += u64::from(item.ready != 0);
        }
        if ready != 0 || expired {
            return Some(Outcome::Done(ready));
        }
        if self.must_not_wait(tid, manner) {
            return Some(Outcome::Failed(Error::Interrupted));
        }
        for item in items.iter() {
            if let Some(&(Object::Session(id), _)) = self.tables[&pid].get(&item.handle)
                && let Some(session) = self.sessions.get_mut(&id)
            {
                session.pollers.push_back((tid, item.want));
            }
        }
        let thread = self.thread(tid);
        (thread.wait, thread.manner) = (Wait::Poll, manner);
        None
    }

    fn look(&self, id: u32, item: &mut WaitItem) {
        let session = &self.sessions[&id];
        let bits = if session.stale { ALWAYS } else { session.ready };
        let news = item.want & ready::EDGE == 0 || item.events != session.events || session.stale;
        item.ready = if news { bits & (item.want | ALWAYS) } else { 0 };
        item.events = session.events;
    }

    /// Those who wait for these bits of a session look again; none: all do.
    pub(super) fn wake_pollers(&mut self, id: u32, bits: Option<u32>) {
        loop {
            let Some(session) = self.sessions.get(&id) else {
                return;
            };
            let wants = |node: &&(Tid, u32)| bits.is_none_or(|bits| node.1 & bits != 0);
            let Some(&(tid, _)) = session.pollers.iter().find(wants) else {
                return;
            };
            self.leave(tid);
            self.end(tid, Outcome::Again);
        }
    }
}
