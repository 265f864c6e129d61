//! Handles, and the ends of what they name: sessions, ports, threads, processes.

use ferrix_abi::error::Error;
use ferrix_abi::handle::Rights;
use ferrix_abi::ipc::ready;

use super::{
    Endpoint, Event, Irq, Object, Outcome, Pid, Place, Reference, Session, Thread, Tid, Wait,
};

impl Reference {
    pub fn add_thread(&mut self, tid: Tid, pid: Pid, token: u64) {
        let thread = Thread {
            pid,
            wait: Wait::No,
            manner: Default::default(),
            killed: false,
            signal: false,
            token,
            outcome: None,
            items: Vec::new(),
            again: None,
        };
        self.threads.insert(tid, thread);
        self.own.insert(tid, Endpoint::default());
        self.tables.entry(pid).or_default();
    }

    /// Whether a port has a session with this badge.
    pub fn session_of(&self, port: u64, badge: u32) -> Option<u32> {
        let fits =
            |session: &Session| session.port == port && session.badge == badge && !session.stale;
        let found = self.sessions.iter().find(|(_, session)| fits(session));
        found.map(|(&id, _)| id)
    }

    pub fn add_session(&mut self, owner: Pid, port: u64, badge: u32, bits: u32) -> u32 {
        self.next += 1;
        let session = Session {
            port,
            badge,
            owner,
            stale: false,
            ready: bits,
            events: 0,
            pollers: Default::default(),
        };
        self.sessions.insert(self.next, session);
        self.made.push(self.next);
        self.next
    }

    pub fn add_irq(&mut self, port: u64, badge: u32) -> u32 {
        self.next += 1;
        self.irqs.insert(
            self.next,
            Irq {
                port,
                badge,
                count: 0,
            },
        );
        self.next
    }

    pub(super) fn forget_session(&mut self, id: u32) {
        self.sessions.remove(&id);
        self.made.retain(|&other| other != id);
    }

    /// A device interrupts.
    pub fn interrupt(&mut self, id: u32) {
        if let Some(irq) = self.irqs.get_mut(&id)
            && self.ports.contains_key(&irq.port)
        {
            irq.count += 1;
            let port = irq.port;
            self.post(Place::Port(port), Event::Irq(id));
        }
    }

    pub fn session_signal(&mut self, id: u32, set: u32, clear: u32) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.ready = session.ready & !clear | set;
        if set != 0 {
            session.events = session.events.wrapping_add(1);
            let always = set & (ready::ERROR | ready::HANG_UP) != 0;
            self.wake_pollers(id, (!always).then_some(set));
        }
    }

    /// `PortTimer`.
    pub fn set_timer(&mut self, port: u64, badge: u32, deadline: Option<(usize, u64)>) {
        self.withdraw(Event::Timer(port, badge));
        match deadline {
            Some(armed) => drop(self.timers.insert((port, badge), Some(armed))),
            None => drop(self.timers.remove(&(port, badge))),
        }
    }

    /// `HandleClose`.
    pub fn close(&mut self, pid: Pid, handle: u32) -> Outcome {
        let table = self.tables.get_mut(&pid);
        match table.and_then(|table| table.remove(&handle)) {
            None => Outcome::Failed(Error::BadHandle),
            Some((object, rights)) => {
                self.released(object, rights);
                Outcome::Done(0)
            }
        }
    }

    /// A handle is gone.
    fn released(&mut self, object: Object, rights: Rights) {
        match object {
            Object::Port(id)
                if rights.contains(Rights::RECEIVE)
                    && self.handles(object, Rights::RECEIVE) == 0 =>
            {
                self.port_died(id);
            }
            Object::Session(id) if self.handles(object, Rights::empty()) == 0 => {
                self.wake_pollers(id, None);
                match self.sessions[&id].stale {
                    true => self.forget_session(id),
                    false => self.post(Place::Port(self.sessions[&id].port), Event::Closed(id)),
                }
            }
            Object::Irq(id) if self.handles(object, Rights::empty()) == 0 => {
                self.withdraw(Event::Irq(id));
                self.irqs.remove(&id);
            }
            _ => {}
        }
    }

    fn port_died(&mut self, id: u64) {
        self.timers.retain(|timer, _| timer.0 != id);
        for session in self.made.clone() {
            if self.sessions[&session].port == id {
                self.session_died(session);
            }
        }
        if let Some(endpoint) = self.ports.remove(&id) {
            self.fail_senders(&endpoint, Error::BrokenPipe);
            for &receiver in endpoint.receivers.iter().rev() {
                self.end(receiver, Outcome::Failed(Error::BrokenPipe));
            }
        }
    }

    fn session_died(&mut self, id: u32) {
        if self.sessions[&id].stale {
            return;
        }
        self.withdraw(Event::Closed(id));
        let through = |thread: &Thread| matches!(thread.wait, Wait::Send { session, .. } if session == Some(id));
        let senders = self.threads.iter().filter(|(_, thread)| through(thread));
        for tid in senders.map(|(&tid, _)| tid).collect::<Vec<_>>() {
            self.leave(tid);
            self.end(tid, Outcome::Failed(Error::Stale));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.stale = true;
        }
        self.wake_pollers(id, None);
        if self.handles(Object::Session(id), Rights::empty()) == 0 {
            self.forget_session(id);
        }
    }

    /// A thread ends as soon as it can.
    pub fn kill(&mut self, tid: Tid) {
        self.leave(tid);
        let thread = self.thread(tid);
        thread.killed = true;
        thread.wait = Wait::No;
        thread.manner.deadline = None;
        thread.outcome = None;
    }

    /// A thread has ended, and with the last one its process.
    pub fn ended(&mut self, tid: Tid) {
        let Some(thread) = self.threads.remove(&tid) else {
            return;
        };
        if let Some(own) = self.own.remove(&tid) {
            self.fail_senders(&own, Error::NoSuchProcess);
        }
        if !self.threads.values().any(|other| other.pid == thread.pid) {
            self.process_ended(thread.pid);
        }
    }

    fn process_ended(&mut self, pid: Pid) {
        for session in self.made.clone() {
            if self.sessions[&session].owner == pid {
                self.session_died(session);
            }
        }
        let waits =
            |thread: &Thread| matches!(thread.wait, Wait::Reply { server, .. } if server == pid);
        let callers = self.threads.iter().filter(|(_, thread)| waits(thread));
        for tid in callers.map(|(&tid, _)| tid).collect::<Vec<_>>() {
            self.forget_cancel(tid);
            self.end(tid, Outcome::Failed(Error::BrokenPipe));
        }
        let mut handles: Vec<u32> = self.tables[&pid].keys().copied().collect();
        handles.sort_unstable_by_key(|handle| core::cmp::Reverse(handle & 0xffff));
        for handle in handles {
            self.close(pid, handle);
        }
        self.tables.remove(&pid);
    }
}
