//! Where senders, receivers and events meet: three queues, of which at most one kind waits for the
//! other.
//!
//! A receiver waits only while there is nothing for it; a sender or event waits only while no
//! receiver that would take it does.

use crate::object::list::{Linked, List, Stack};
use crate::object::{Core, CoreCell};
use crate::sched::queue::InQueue;

/// The kind of an endpoint's list of events.
#[derive(Debug)]
pub struct InEvents;

/// An endpoint for threads `T` and events `E`.
#[derive(Debug)]
pub struct Endpoint<T: 'static, E: 'static> {
    senders: List<T, InQueue>,
    /// The last one is the first to get something: its cache is warm.
    receivers: Stack<T, InQueue>,
    events: List<E, InEvents>,
    /// Who waited or received last: whom the senders that queue are waiting for.
    server: CoreCell<Option<&'static T>>,
}

/// What there is for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<T: 'static, E: 'static> {
    /// An event, taken out.
    Event(&'static E),
    /// A sender, still queued.
    Sender(&'static T),
}

/// What tells threads apart, and what a waiting receiver takes.
pub trait Party: Linked<InQueue> {
    /// The thread's id.
    fn id(&self, core: &Core) -> u32;
    /// As a receiver: only messages from this thread, no events; 0: anything.
    fn only(&self, core: &Core) -> u32;
}

impl<T: Party, E: Linked<InEvents>> Endpoint<T, E> {
    /// An empty endpoint.
    pub const fn new() -> Endpoint<T, E> {
        Endpoint {
            senders: List::new(),
            receivers: Stack::new(),
            events: List::new(),
            server: CoreCell::new(None),
        }
    }

    /// The receiver that waits for a message from `sender`; it stays queued.
    #[inline(always)]
    pub fn receiver_for(&self, core: &Core, sender: u32) -> Option<&'static T> {
        let first = self.receivers.top(core)?;
        match first.only(core) {
            0 => Some(first),
            _ => self.search_receiver(core, sender),
        }
    }

    #[cold]
    fn search_receiver(&self, core: &Core, sender: u32) -> Option<&'static T> {
        let takes = |only| only == 0 || only == sender;
        self.receivers
            .iter(core)
            .find(|receiver| takes(receiver.only(core)))
    }

    /// The receiver that waits for an event; it stays queued.
    pub fn receiver_for_event(&self, core: &Core) -> Option<&'static T> {
        self.receivers
            .iter(core)
            .find(|receiver| receiver.only(core) == 0)
    }

    /// What there is for a receiver that takes messages `only` from one thread, or anything (0).
    #[inline(always)]
    pub fn arrival(&self, core: &Core, only: u32) -> Option<Arrival<T, E>> {
        if only != 0 {
            return self
                .senders
                .iter(core)
                .find(|sender| sender.id(core) == only)
                .map(Arrival::Sender);
        }
        if let Some(event) = self.events.pop_front(core) {
            return Some(Arrival::Event(event));
        }
        self.senders.first(core).map(Arrival::Sender)
    }

    /// A sender waits.
    pub fn add_sender(&self, core: &Core, sender: &'static T) {
        self.senders.push_back(core, sender);
    }

    /// A sender waits no longer.
    pub fn remove_sender(&self, core: &Core, sender: &'static T) {
        self.senders.remove(core, sender);
    }

    /// The senders that wait.
    pub fn senders<'a>(&self, core: &'a Core) -> impl Iterator<Item = &'static T> + use<'a, T, E> {
        self.senders.iter(core)
    }

    /// The sender that waits behind another.
    pub fn sender_after(&self, core: &Core, sender: &'static T) -> Option<&'static T> {
        self.senders.after(core, Some(sender))
    }

    /// A thread has received something, or is the only one that ever does.
    #[inline(always)]
    pub fn set_server(&self, core: &Core, server: &'static T) {
        self.server.set(core, Some(server));
    }

    /// Nobody has received anything yet.
    pub fn forget_server(&self, core: &Core) {
        self.server.set(core, None);
    }

    /// The thread that waited as receiver, or received, last.
    pub fn server(&self, core: &Core) -> Option<&'static T> {
        self.server.get(core)
    }

    /// A receiver waits.
    #[inline(always)]
    pub fn add_receiver(&self, core: &Core, receiver: &'static T) {
        self.receivers.push(core, receiver);
        self.server.set(core, Some(receiver));
    }

    /// The receiver that came last, if it takes messages from anybody.
    #[inline(always)]
    pub fn open_receiver(&self, core: &Core) -> Option<&'static T> {
        self.receivers.top(core).filter(|top| top.only(core) == 0)
    }

    /// Whether neither event nor sender waits.
    #[inline(always)]
    pub fn has_no_arrival(&self, core: &Core) -> bool {
        self.events.is_empty(core) && self.senders.is_empty(core)
    }

    /// Takes the receiver out that came last.
    #[inline(always)]
    pub fn pop_receiver(&self, core: &Core, top: &'static T) {
        self.receivers.pop(core, top);
    }

    /// A receiver waits no longer.
    pub fn remove_receiver(&self, core: &Core, receiver: &'static T) {
        self.receivers.remove(core, receiver);
    }

    /// The first receiver that waits.
    pub fn first_receiver(&self, core: &Core) -> Option<&'static T> {
        self.receivers.top(core)
    }

    /// An event waits.
    pub fn add_event(&self, core: &Core, event: &'static E) {
        self.events.push_back(core, event);
    }

    /// An event waits no longer.
    pub fn remove_event(&self, core: &Core, event: &'static E) {
        self.events.remove(core, event);
    }

    /// Takes the first event out.
    pub fn pop_event(&self, core: &Core) -> Option<&'static E> {
        self.events.pop_front(core)
    }
}

impl<T: Party, E: Linked<InEvents>> Default for Endpoint<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
