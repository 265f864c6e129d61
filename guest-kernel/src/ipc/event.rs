//! Events: what a port receives besides messages. The node of an event lies in what it is about, so
//! that posting one never fails.

use ferrix_abi::ipc::Kind;

use super::endpoint::InEvents;
use super::{Endpoint, Pager, PortTimer, Session, pager};
use crate::irq::Irq;
use crate::object::list::{Linked, Links};
use crate::object::{Core, CoreCell};
use crate::sched;
use crate::thread::Thread;

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Interrupts have come.
    Irq(&'static Irq),
    /// A port's timer has expired.
    Timer(&'static PortTimer),
    /// The last handle to a session is gone.
    Closed(&'static Session),
    /// A caller wants its call ended.
    Cancel(&'static Thread),
    /// A thread waits for a page.
    Page(&'static Thread),
    /// Nobody but its pager uses an object any more.
    Unused(&'static Pager),
    /// Pages are few: so many more would be enough.
    MemoryLow(u64),
}

impl Source {
    /// Whether there is still something to tell.
    fn is_current(self) -> bool {
        match self {
            Source::Unused(pager) => pager.is_unused(),
            _ => true,
        }
    }
}

/// The node of an event.
#[derive(Debug)]
pub struct Event {
    links: Links<Event>,
    source: CoreCell<Option<Source>>,
    /// Where it waits to be received.
    queued: CoreCell<Option<&'static Endpoint>>,
}

impl Event {
    /// Not posted.
    pub const fn new() -> Event {
        Event {
            links: Links::new(),
            source: CoreCell::new(None),
            queued: CoreCell::new(None),
        }
    }

    /// Takes it back if it has not been received.
    #[inline(always)]
    pub fn withdraw(&'static self, core: &Core) {
        if let Some(endpoint) = self.queued.take(core) {
            endpoint.remove_event(core, self);
        }
    }

    /// Whether it waits to be received.
    pub fn is_queued(&self, core: &Core) -> bool {
        self.queued.get(core).is_some()
    }

    /// It has been taken from its queue, and nobody will receive it.
    pub(super) fn abandon(&'static self, core: &mut Core) {
        self.queued.set(core, None);
        if let Some(Source::Closed(session)) = self.source.take(core) {
            session.free(core);
        }
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Linked<InEvents> for Event {
    fn links(&self) -> &Links<Event> {
        &self.links
    }
}

/// An event has happened: a receiver that waits gets it, else it waits. One that waits already
/// stays as it is.
pub fn post(core: &mut Core, endpoint: &'static Endpoint, event: &'static Event, source: Source) {
    if event.queued.get(core).is_some() {
        return;
    }
    match endpoint.receiver_for_event(core) {
        Some(receiver) => {
            endpoint.remove_receiver(core, receiver);
            receiver.disarm(core);
            deliver(core, source, receiver);
            sched::wake(core, receiver);
        }
        None => {
            event.source.set(core, Some(source));
            event.queued.set(core, Some(endpoint));
            endpoint.add_event(core, event);
        }
    }
}

/// Takes what an event, just out of its queue, is about, unless that is over.
pub(super) fn take_current(core: &Core, event: &'static Event) -> Option<Source> {
    event.queued.set(core, None);
    event.source.take(core).filter(|source| source.is_current())
}

/// Tells a receiver what has happened.
pub(super) fn deliver(core: &mut Core, source: Source, receiver: &'static Thread) {
    let mut words = [0; 3];
    let (kind, pid, badge, word, token) = match source {
        Source::Irq(irq) => (Kind::NOTIFY, 0, irq.badge(core), irq.take_count(core), 0),
        Source::Timer(timer) => (Kind::NOTIFY, 0, timer.badge(core), 1, 0),
        Source::Closed(session) => (Kind::SESSION_CLOSED, 0, session.badge(core), 0, 0),
        Source::Unused(pager) => (Kind::OBJECT_UNUSED, 0, pager.badge(core), 0, 0),
        Source::MemoryLow(wanted) => (Kind::MEMORY_LOW, 0, 0, wanted, 0),
        Source::Page(thread) => {
            let (badge, request) = pager::request(core, thread).unwrap_or_default();
            words = request;
            let pid = thread.process().pid.get(core);
            (Kind::PAGE_REQUEST, pid, badge, words[0], 0)
        }
        Source::Cancel(caller) => {
            let (badge, token) = (caller.badge.get(core), caller.token.get(core));
            (
                Kind::CANCEL,
                caller.process().pid.get(core),
                badge,
                0,
                token,
            )
        }
    };
    let frame = receiver.frame(core);
    frame.rax = kind.0 as u64;
    frame.rdi = (pid as u64) << 32 | badge as u64;
    (frame.rsi, frame.rdx, frame.r10, frame.r8) = (word, words[1], words[2], 0);
    frame.r9 = token;
    match source {
        Source::Closed(session) => session.free(core),
        Source::Timer(timer) => timer.delivered(core),
        Source::Irq(_)
        | Source::Cancel(_)
        | Source::Page(_)
        | Source::Unused(_)
        | Source::MemoryLow(_) => {}
    }
}
