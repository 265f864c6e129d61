//! Sessions: a client's connection to a port.

use ferrix_abi::error::{Error, Result, encode};
use ferrix_abi::ipc::{WaitItem, ready};

use super::poll::{AtSession, PollNode, wake_pollers};
use super::{Event, Port, Source, post};
use crate::object::list::{Linked, Links, List};
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell};
use crate::process::Process;
use crate::sched;

/// All sessions' memory.
pub static SESSIONS: Pool<Session> = Pool::new();

/// The kind of the list of the sessions that a process made.
#[derive(Debug)]
pub struct OwnedBy;
/// The kind of the list of a port's sessions.
#[derive(Debug)]
pub struct InPort;
/// The kind of the hash table's lists.
#[derive(Debug)]
pub struct InBucket;

const BUCKETS: usize = 512;
static BY_BADGE: [List<Session, InBucket>; BUCKETS] = [const { List::new() }; BUCKETS];

/// A session.
#[derive(Debug)]
pub struct Session {
    port: CoreCell<Option<&'static Port>>,
    badge: CoreCell<u32>,
    /// Handles to it.
    pub references: CoreCell<u32>,
    /// Who made it.
    owner: CoreCell<Option<&'static Process>>,
    /// Whether its maker has died.
    stale: CoreCell<bool>,
    /// Readiness bits.
    pub ready: CoreCell<u32>,
    /// How often bits were set, whether they were set before or not.
    pub events: CoreCell<u32>,
    /// Who waits for them.
    pub pollers: List<PollNode, AtSession>,
    closed: Event,
    owned: Links<Session>,
    in_port: Links<Session>,
    in_bucket: Links<Session>,
    free: CoreCell<Option<&'static Session>>,
}

impl Pooled for Session {
    fn free_link(&self) -> &CoreCell<Option<&'static Session>> {
        &self.free
    }

    fn fresh() -> Session {
        Session {
            port: CoreCell::new(None),
            badge: CoreCell::new(0),
            references: CoreCell::new(0),
            owner: CoreCell::new(None),
            stale: CoreCell::new(false),
            ready: CoreCell::new(0),
            events: CoreCell::new(0),
            pollers: List::new(),
            closed: Event::new(),
            owned: Links::new(),
            in_port: Links::new(),
            in_bucket: Links::new(),
            free: CoreCell::new(None),
        }
    }
}

impl Linked<OwnedBy> for Session {
    fn links(&self) -> &Links<Session> {
        &self.owned
    }
}

impl Linked<InPort> for Session {
    fn links(&self) -> &Links<Session> {
        &self.in_port
    }
}

impl Linked<InBucket> for Session {
    fn links(&self) -> &Links<Session> {
        &self.in_bucket
    }
}

fn bucket(core: &Core, port: &Port, badge: u32) -> &'static List<Session, InBucket> {
    let mixed = badge.wrapping_add((port.id.get(core) as u32).wrapping_mul(97));
    &BY_BADGE[mixed as usize % BUCKETS]
}

impl Session {
    /// The session of a port with this badge, while its maker lives and its end has not been received.
    pub fn find(core: &Core, port: &Port, badge: u32) -> Option<&'static Session> {
        bucket(core, port, badge).iter(core).find(|session| {
            session.badge.get(core) == badge
                && session
                    .port
                    .get(core)
                    .is_some_and(|other| core::ptr::eq(other, port))
        })
    }

    /// Makes a session, which its maker's handle will name; `Exists` if the badge is taken.
    pub fn create(
        core: &Core,
        owner: &'static Process,
        port: &'static Port,
        badge: u32,
        ready: u32,
    ) -> Result<&'static Session> {
        if Session::find(core, port, badge).is_some() {
            return Err(Error::Exists);
        }
        let session = SESSIONS.take(core)?;
        session.port.set(core, Some(port));
        session.badge.set(core, badge);
        session.references.set(core, 0);
        session.owner.set(core, Some(owner));
        session.stale.set(core, false);
        session.ready.set(core, ready);
        session.events.set(core, 0);
        port.link(core);
        owner.sessions.push_back(core, session);
        port.sessions.push_back(core, session);
        bucket(core, port, badge).push_back(core, session);
        Ok(session)
    }

    /// Its port; `Stale` once its maker or the port has died.
    #[inline(always)]
    pub fn live_port(&self, core: &Core) -> Result<&'static Port> {
        self.port.get(core).ok_or(Error::Stale)
    }

    /// Its port; none once its maker or the port has died.
    #[inline(always)]
    pub fn port(&self, core: &Core) -> Option<&'static Port> {
        self.port.get(core)
    }

    /// The badge that its maker chose.
    #[inline(always)]
    pub fn badge(&self, core: &Core) -> u32 {
        self.badge.get(core)
    }

    /// Which of the bits asked for are set; errors always.
    pub fn readiness(&self, core: &Core, want: u32) -> u32 {
        let always = ready::ERROR | ready::HANG_UP;
        let bits = if self.stale.get(core) {
            always
        } else {
            self.ready.get(core)
        };
        bits & (want | always)
    }

    /// What is ready of an item, which then knows the events so far. One that waits for events sees nothing of
    /// what it knows; that the server has died it sees in any case.
    pub fn look(&self, core: &Core, item: &mut WaitItem) {
        let events = self.events.get(core);
        let known = item.want & ready::EDGE != 0 && item.events == events;
        item.ready = match known && !self.stale.get(core) {
            true => 0,
            false => self.readiness(core, item.want),
        };
        item.events = events;
    }

    /// A handle is gone. With the last one the port is told, once.
    pub fn release(&'static self, core: &mut Core) {
        if self.references.decrement(core) != 0 {
            return;
        }
        wake_pollers(core, self, u32::MAX);
        match self.live_port(core) {
            Ok(port) => post(core, &port.endpoint, &self.closed, Source::Closed(self)),
            Err(_) => self.free(core),
        }
    }

    /// Its maker has died, or nobody can receive on its port any more.
    pub fn become_stale(&'static self, core: &mut Core) {
        self.closed.withdraw(core);
        fail_clients(core, self);
        self.stale.set(core, true);
        self.unlist(core);
        wake_pollers(core, self, u32::MAX);
        if self.references.get(core) == 0 {
            self.free(core);
        }
    }

    /// Takes it out of the lists by which it is found.
    fn unlist(&'static self, core: &Core) {
        let (Some(owner), Some(port)) = (self.owner.take(core), self.port.take(core)) else {
            return;
        };
        owner.sessions.remove(core, self);
        port.sessions.remove(core, self);
        bucket(core, port, self.badge.get(core)).remove(core, self);
        port.unlink(core);
    }

    /// No handle names it, and its end has been told.
    pub(super) fn free(&'static self, core: &Core) {
        self.unlist(core);
        SESSIONS.give(core, self);
    }
}

/// Those who wait to send through a session that becomes stale are told.
fn fail_clients(core: &mut Core, session: &'static Session) {
    let Some(port) = session.port.get(core) else {
        return;
    };
    let mut next = port.endpoint.senders(core).next();
    while let Some(sender) = next {
        next = port.endpoint.sender_after(core, sender);
        let through = sender.session.get(core);
        if through.is_some_and(|through| core::ptr::eq(through, session)) {
            port.endpoint.remove_sender(core, sender);
            sender.disarm(core);
            sender.frame(core).rax = encode(Err(Error::Stale));
            sched::wake(core, sender);
        }
    }
}
