//! Readiness of sessions, and waiting for it.

use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::WaitItem;

use super::Session;
use crate::object::list::{Linked, Links};
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell};
use crate::process::Process;
use crate::thread::{self, Outcome, Thread};

static NODES: Pool<PollNode> = Pool::new();

/// The kind of a session's list of pollers.
#[derive(Debug)]
pub struct AtSession;

/// A thread that waits for a session.
#[derive(Debug)]
pub struct PollNode {
    session: CoreCell<Option<&'static Session>>,
    thread: CoreCell<Option<&'static Thread>>,
    want: CoreCell<u32>,
    links: Links<PollNode>,
    /// The thread's next node; the pool's, while free.
    next: CoreCell<Option<&'static PollNode>>,
}

impl Pooled for PollNode {
    fn free_link(&self) -> &CoreCell<Option<&'static PollNode>> {
        &self.next
    }

    fn fresh() -> PollNode {
        PollNode {
            session: CoreCell::new(None),
            thread: CoreCell::new(None),
            want: CoreCell::new(0),
            links: Links::new(),
            next: CoreCell::new(None),
        }
    }
}

impl Linked<AtSession> for PollNode {
    fn links(&self) -> &Links<PollNode> {
        &self.links
    }
}

/// Looks at the sessions; how many have bits set that are asked for. If none has and the caller will `wait`, it
/// is noted at all of them.
pub fn poll(
    core: &mut Core,
    process: &'static Process,
    items: &mut [WaitItem],
    waiter: Option<&'static Thread>,
) -> Result<u64> {
    let mut count = 0;
    for item in items.iter_mut() {
        let session = process.session_of(core, Handle(item.handle))?;
        session.look(core, item);
        count += (item.ready != 0) as u64;
    }
    if count != 0 {
        return Ok(count);
    }
    if let Some(waiter) = waiter {
        for item in items {
            let session = process.session_of(core, Handle(item.handle))?;
            note(core, session, item.want, waiter)?;
        }
    }
    Ok(0)
}

fn note(
    core: &mut Core,
    session: &'static Session,
    want: u32,
    waiter: &'static Thread,
) -> Result<()> {
    let node = NODES.take(core).inspect_err(|_| end_poll(core, waiter))?;
    node.session.set(core, Some(session));
    node.thread.set(core, Some(waiter));
    node.want.set(core, want);
    node.next.set(core, waiter.polls.get(core));
    waiter.polls.set(core, Some(node));
    session.pollers.push_back(core, node);
    Ok(())
}

/// The thread waits no longer.
pub fn end_poll(core: &Core, waiter: &Thread) {
    let mut next = waiter.polls.take(core);
    while let Some(node) = next {
        next = node.next.get(core);
        if let Some(session) = node.session.take(core) {
            session.pollers.remove(core, node);
        }
        NODES.give(core, node);
    }
}

/// Bits of a session have been set, or it has ended: threads that wait for them look again.
pub fn wake_pollers(core: &mut Core, session: &'static Session, bits: u32) {
    loop {
        let interested =
            |node: &&'static PollNode| node.want.get(core) & bits != 0 || bits == u32::MAX;
        let found = session.pollers.iter(core).find(interested);
        let Some(waiter) = found.and_then(|node| node.thread.get(core)) else {
            return;
        };
        thread::finish(core, waiter, Outcome::Repeat);
    }
}

impl Session {
    /// Changes the readiness bits, and wakes who waits for those set.
    pub fn signal(&'static self, core: &mut Core, set: u32, clear: u32) {
        use ferrix_abi::ipc::ready::{ERROR, HANG_UP};
        let bits = self.ready.get(core) & !clear | set;
        self.ready.set(core, bits);
        if set != 0 {
            self.events.set(core, self.events.get(core).wrapping_add(1));
        }
        if set != 0 && !self.pollers.is_empty(core) {
            let always = set & (ERROR | HANG_UP) != 0;
            wake_pollers(core, self, if always { u32::MAX } else { set });
        }
    }
}
