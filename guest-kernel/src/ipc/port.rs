//! Ports.

use ferrix_abi::error::{Error, Result, encode};
use ferrix_abi::handle::Rights;

use super::Endpoint;
use super::pager::{AtPort, Pager};
use super::port_timer::{InPortTimers, PortTimer};
use super::session::{InPort, Session};
use super::shortage::{self, Watch};
use super::undo::forget_endpoint;
use crate::object::list::List;
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell};
use crate::sched;

/// All ports' memory.
pub static PORTS: Pool<Port> = Pool::new();
static LAST_ID: CoreCell<u64> = CoreCell::new(0);

/// Where messages arrive.
#[derive(Debug)]
pub struct Port {
    /// Unique since boot.
    pub id: CoreCell<u64>,
    /// Handles to it, sessions on it, and interrupts bound to it.
    references: CoreCell<u32>,
    /// Handles that allow receiving: without any the port is dead.
    receivers: CoreCell<u32>,
    /// Whether nobody can receive any more.
    pub dead: CoreCell<bool>,
    /// Where its messages wait.
    pub endpoint: Endpoint,
    /// Its timers.
    pub timers: List<PortTimer, InPortTimers>,
    /// Its sessions.
    pub sessions: List<Session, InPort>,
    /// The paged objects whose requests come here.
    pub pagers: List<Pager, AtPort>,
    /// Notices that pages are few.
    pub watch: Watch,
    free: CoreCell<Option<&'static Port>>,
}

impl Pooled for Port {
    fn free_link(&self) -> &CoreCell<Option<&'static Port>> {
        &self.free
    }

    fn fresh() -> Port {
        Port {
            id: CoreCell::new(0),
            references: CoreCell::new(0),
            receivers: CoreCell::new(0),
            dead: CoreCell::new(false),
            endpoint: Endpoint::new(),
            timers: List::new(),
            sessions: List::new(),
            pagers: List::new(),
            watch: Watch::new(),
            free: CoreCell::new(None),
        }
    }
}

impl Port {
    /// A port that nothing names yet.
    pub fn create(core: &Core) -> Result<&'static Port> {
        let port = PORTS.take(core)?;
        port.id.set(core, LAST_ID.get(core) + 1);
        LAST_ID.set(core, port.id.get(core));
        port.references.set(core, 0);
        port.receivers.set(core, 0);
        port.dead.set(core, false);
        port.endpoint.forget_server(core);
        Ok(port)
    }

    /// Counts a handle with these rights.
    pub fn retain(&self, core: &Core, rights: Rights) {
        self.references.add(core, 1);
        if rights.contains(Rights::RECEIVE) {
            self.receivers.add(core, 1);
        }
    }

    /// A handle with these rights is gone.
    pub fn release(&'static self, core: &mut Core, rights: Rights) {
        if rights.contains(Rights::RECEIVE) && self.receivers.decrement(core) == 0 {
            self.die(core);
        }
        self.unlink(core);
    }

    /// What links to it counts too.
    pub(crate) fn link(&self, core: &Core) {
        self.references.add(core, 1);
    }

    /// A reference is gone; with the last one the port is free.
    pub(crate) fn unlink(&'static self, core: &Core) {
        if self.references.decrement(core) == 0 {
            PORTS.give(core, self);
        }
    }

    /// Nobody can receive any more: those who send get an error.
    fn die(&'static self, core: &mut Core) {
        self.dead.set(core, true);
        while let Some(timer) = self.timers.first(core) {
            timer.remove(core);
        }
        shortage::unwatch(core, self);
        self.link(core);
        while let Some(session) = self.sessions.first(core) {
            session.become_stale(core);
        }
        while let Some(pager) = self.pagers.first(core) {
            pager.die(core);
        }
        while let Some(event) = self.endpoint.pop_event(core) {
            event.abandon(core);
        }
        fail_senders(core, &self.endpoint, Error::BrokenPipe);
        while let Some(receiver) = self.endpoint.first_receiver(core) {
            let outcome = crate::thread::Outcome::Result(Err(Error::BrokenPipe));
            crate::thread::finish(core, receiver, outcome);
        }
        if self.endpoint.server(core).is_some() {
            forget_endpoint(core, &self.endpoint);
        }
        self.unlink(core);
    }
}

/// Ends the wait of all senders of an endpoint with an error.
pub(super) fn fail_senders(core: &mut Core, endpoint: &'static Endpoint, error: Error) {
    loop {
        let first = endpoint.senders(core).next();
        let Some(sender) = first else { return };
        endpoint.remove_sender(core, sender);
        sender.disarm(core);
        sender.frame(core).rax = encode(Err(error));
        sched::wake(core, sender);
    }
}
