//! Messages and replies.

use ferrix_abi::error::Error;
use ferrix_abi::handle::Rights;
use ferrix_abi::ipc::Kind;

use super::{Content, Endpoint, Manner, Object, Outcome, Place, Reference, Tid, Wait};
use crate::mm::UNMAPPED;

/// Where a message goes: a handle, or a thread.
#[derive(Clone, Copy, Debug)]
pub enum To {
    Handle(u32),
    Thread(Tid),
}

type Found = (Place, u32, Option<u32>);

fn takes(only: Tid, sender: Tid) -> bool {
    only == 0 || only == sender
}

impl Reference {
    fn destination(&self, tid: Tid, to: To) -> Result<Found, Error> {
        let pid = self.threads[&tid].pid;
        match to {
            To::Thread(other) if self.own.contains_key(&other) => Ok((Place::Own(other), 0, None)),
            To::Thread(_) => Err(Error::NoSuchProcess),
            To::Handle(handle) => match self.object(pid, handle, Rights::SEND) {
                Some(Object::Port(id)) if self.ports.contains_key(&id) => {
                    Ok((Place::Port(id), 0, None))
                }
                Some(Object::Port(_)) => Err(Error::BrokenPipe),
                Some(Object::Session(id)) => {
                    let session = &self.sessions[&id];
                    match session.stale {
                        true => Err(Error::Stale),
                        false => Ok((Place::Port(session.port), session.badge, Some(id))),
                    }
                }
                _ => Err(Error::BadHandle),
            },
        }
    }

    fn receiver_for(&self, place: Place, sender: Tid) -> Option<Tid> {
        let endpoint = match place {
            Place::Port(id) => &self.ports[&id],
            Place::Own(tid) => &self.own[&tid],
        };
        let fits = |&&tid: &&Tid| match self.threads[&tid].wait {
            Wait::Receive { only, .. } => takes(only, sender),
            _ => unreachable!("a receiver receives"),
        };
        endpoint.receivers.iter().rev().find(fits).copied()
    }

    /// Carries handles and pages; what the receiver gets a handle to.
    fn transfer(&mut self, from: Tid, content: Content) -> Result<Option<(Object, Rights)>, Error> {
        let pid = self.threads[&from].pid;
        let mut given = None;
        if let Some((handle, moves)) = content.handle {
            let needed = if moves { Rights::TRANSFER } else { Rights::DUP };
            match self.tables[&pid].get(&handle) {
                Some(&(object, held)) if held.contains(needed) => {
                    given = Some((object, held - Rights::NO_INHERIT))
                }
                _ => return Err(Error::BadHandle),
            }
        }
        if content.map == Some(UNMAPPED) {
            return Err(Error::Fault);
        }
        if let Some((handle, true)) = content.handle {
            self.tables
                .get_mut(&pid)
                .and_then(|table| table.remove(&handle));
        }
        Ok(given)
    }

    /// `Call` or `Send`; none: the sender waits.
    pub fn send(
        &mut self,
        tid: Tid,
        to: To,
        content: Content,
        manner: Manner,
        calls: bool,
    ) -> Option<Outcome> {
        let (at, badge, session) = match self.destination(tid, to) {
            Ok(found) => found,
            Err(error) => return Some(Outcome::Failed(error)),
        };
        if calls && self.must_not_wait(tid, manner) {
            return Some(Outcome::Failed(Error::Interrupted));
        }
        if let Some(receiver) = self.receiver_for(at, tid) {
            let object = match self.transfer(tid, content) {
                Ok(object) => object,
                Err(error) => return Some(Outcome::Failed(error)),
            };
            self.endpoint(at)?
                .receivers
                .retain(|&other| other != receiver);
            let message = self.received(tid, receiver, (at, badge), content, object, calls);
            self.end(receiver, message);
            self.thread(tid).manner = manner;
            return (!calls).then_some(Outcome::Done(0));
        }
        if manner.non_blocking {
            return Some(Outcome::Failed(Error::WouldBlock));
        }
        if self.must_not_wait(tid, manner) {
            return Some(Outcome::Failed(Error::Interrupted));
        }
        let wait = Wait::Send {
            at,
            session,
            badge,
            content,
            calls,
        };
        self.begin(tid, wait, manner);
        self.endpoint(at)?.senders.push_back(tid);
        None
    }

    fn begin(&mut self, tid: Tid, wait: Wait, manner: Manner) {
        let thread = self.thread(tid);
        (thread.wait, thread.manner) = (wait, manner);
    }

    /// The receiver has the message; the sender waits for the reply, if it called.
    fn received(
        &mut self,
        sender: Tid,
        receiver: Tid,
        (at, badge): (Place, u32),
        content: Content,
        object: Option<(Object, Rights)>,
        calls: bool,
    ) -> Outcome {
        let server = self.threads[&receiver].pid;
        let thread = self.thread(sender);
        let pid = thread.pid;
        if calls {
            thread.token += 1 << 32;
            thread.wait = Wait::Reply {
                at,
                server,
                badge,
                timed_out: false,
            };
        }
        Outcome::Message {
            kind: if calls { Kind::CALL } else { Kind::SEND },
            pid,
            badge,
            content,
            object,
            token: if calls { thread.token } else { 0 },
        }
    }

    /// Where a receiver looks.
    pub fn source(&self, tid: Tid, handle: u32) -> Option<Place> {
        if handle == 0 {
            return Some(Place::Own(tid));
        }
        match self.object(self.threads[&tid].pid, handle, Rights::RECEIVE) {
            Some(Object::Port(id)) => Some(Place::Port(id)),
            _ => None,
        }
    }

    /// `Receive`; none: it waits.
    pub fn receive(&mut self, tid: Tid, handle: u32, only: Tid, manner: Manner) -> Option<Outcome> {
        let Some(at) = self.source(tid, handle) else {
            return Some(Outcome::Failed(Error::BadHandle));
        };
        self.receive_at(tid, at, only, manner)
    }

    fn receive_at(&mut self, tid: Tid, at: Place, only: Tid, manner: Manner) -> Option<Outcome> {
        if let Some(outcome) = self.take_arrival(tid, at, only) {
            return Some(outcome);
        }
        if manner.non_blocking {
            return Some(Outcome::Failed(Error::WouldBlock));
        }
        if self.must_not_wait(tid, manner) {
            return Some(Outcome::Failed(Error::Interrupted));
        }
        self.begin(tid, Wait::Receive { at, only }, manner);
        self.endpoint(at)?.receivers.push(tid);
        None
    }

    fn take_arrival(&mut self, tid: Tid, at: Place, only: Tid) -> Option<Outcome> {
        if only == 0
            && let Some(event) = self.endpoint(at)?.events.pop_front()
        {
            return Some(self.told(event));
        }
        loop {
            let senders = &mut self.endpoint(at)?.senders;
            let index = senders.iter().position(|&sender| takes(only, sender))?;
            let sender = senders.remove(index)?;
            let Wait::Send {
                at,
                badge,
                content,
                calls,
                ..
            } = self.threads[&sender].wait.clone()
            else {
                unreachable!("a sender sends")
            };
            let object = match self.transfer(sender, content) {
                Ok(object) => object,
                Err(error) => {
                    self.end(sender, Outcome::Failed(error));
                    continue;
                }
            };
            let message = self.received(sender, tid, (at, badge), content, object, calls);
            if !calls {
                self.end(sender, Outcome::Done(0));
            }
            return Some(message);
        }
    }

    /// Gives the caller what it waits for, or says why not.
    fn answer(&mut self, tid: Tid, token: u64, content: Content) -> Result<(), Error> {
        let (pid, caller) = (self.threads[&tid].pid, token as Tid);
        let waits = match self.threads.get(&caller) {
            Some(thread) if thread.token == token => match thread.wait {
                Wait::Reply {
                    server, timed_out, ..
                } if server == pid => Some(timed_out),
                _ => None,
            },
            _ => None,
        };
        match waits {
            None => return Err(Error::NoSuchProcess),
            Some(true) => {
                self.forget_cancel(caller);
                self.end(caller, Outcome::Failed(Error::TimedOut));
                return Err(Error::NoSuchProcess);
            }
            Some(false) => {}
        }
        let object = self.transfer(tid, content)?;
        self.forget_cancel(caller);
        self.end(caller, Outcome::Reply(content, object));
        Ok(())
    }

    /// `Reply`.
    pub fn reply(&mut self, tid: Tid, token: u64, content: Content) -> Outcome {
        match self.answer(tid, token, content) {
            Ok(()) => Outcome::Done(0),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// `ReplyReceive`; none: it waits.
    pub fn reply_receive(
        &mut self,
        tid: Tid,
        handle: u32,
        token: u64,
        content: Content,
        manner: Manner,
    ) -> Option<Outcome> {
        let Some(at) = self.source(tid, handle) else {
            return Some(Outcome::Failed(Error::BadHandle));
        };
        match self.answer(tid, token, content) {
            Ok(()) => self.receive_at(tid, at, 0, manner),
            Err(error) => Some(Outcome::Failed(error)),
        }
    }

    /// All senders of an endpoint that is no more get an error.
    pub(super) fn fail_senders(&mut self, endpoint: &Endpoint, error: Error) {
        for &sender in &endpoint.senders {
            self.end(sender, Outcome::Failed(error));
        }
    }
}
