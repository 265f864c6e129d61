//! Who is told when pages are few: ports of servers that keep some which they could give back.
//!
//! A server asks for a notice with `MemoryWatch`. It gets one when the free pages sink below the low water, so that
//! threads seldom find none; and when a thread finds none. That thread waits for the server's answer, which is the
//! next `MemoryWatch` and says how many pages were given back. Only when every server has said "none"
//! to a thread that waited (or has not answered for long) the [out-of-memory rule](crate::mm::oom) kills.

use super::{Event, Port, Source, post};
use crate::mm::{frame, oom};
use crate::object::list::{Linked, Links, List};
use crate::object::{Core, CoreCell};
use crate::process::Process;
use crate::time;

/// Ports that want to be told.
static WATCHERS: List<Port, WatchesMemory> = List::new();

/// A server that has not answered for so long, in nanoseconds, is not waited for.
const PATIENCE_NS: u64 = 5_000_000_000;
/// So long, in nanoseconds, a server that had nothing to give back is believed to have nothing.
const EMPTY_NS: u64 = 100_000_000;

/// The kind of the list of ports that want to be told.
#[derive(Debug)]
pub struct WatchesMemory;

/// How a port stands to the next notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It wants none.
    Off,
    /// It can be told.
    Ready,
    /// It was told at this time, for this reason, and has not answered.
    Told(u64, Reason),
    /// It had nothing to give back, at this time.
    Empty(u64),
}

/// Why a port is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// There will be none soon.
    Low,
    /// A thread waits.
    Need,
}

/// A port's part in this.
#[derive(Debug)]
pub struct Watch {
    state: CoreCell<State>,
    /// Who is to answer.
    server: CoreCell<Option<&'static Process>>,
    event: Event,
    links: Links<Port>,
}

impl Watch {
    /// Of a port that wants no notices.
    pub const fn new() -> Watch {
        Watch {
            state: CoreCell::new(State::Off),
            server: CoreCell::new(None),
            event: Event::new(),
            links: Links::new(),
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Linked<WatchesMemory> for Port {
    fn links(&self) -> &Links<Port> {
        &self.watch.links
    }
}

/// A server has given pages back, and wants to be told (again).
pub fn watch(core: &Core, server: &'static Process, port: &'static Port, given_back: u64) {
    let watch = &port.watch;
    let state = match watch.state.get(core) {
        State::Told(_, Reason::Need) if given_back == 0 => State::Empty(time::now_ns()),
        State::Off => {
            WATCHERS.push_back(core, port);
            State::Ready
        }
        _ => State::Ready,
    };
    watch.state.set(core, state);
    watch.server.set(core, Some(server));
    watch.event.withdraw(core);
    oom::memory_freed(core);
}

/// The port is dead.
pub(super) fn unwatch(core: &Core, port: &'static Port) {
    if port.watch.state.get(core) != State::Off {
        port.watch.state.set(core, State::Off);
        port.watch.event.withdraw(core);
        WATCHERS.remove(core, port);
    }
}

/// A server has died.
pub(super) fn server_died(core: &Core, server: &'static Process) {
    let mut next = WATCHERS.first(core);
    while let Some(port) = next {
        next = WATCHERS.after(core, Some(port));
        let watcher = port.watch.server.get(core);
        if watcher.is_some_and(|watcher| core::ptr::eq(watcher, server)) {
            unwatch(core, port);
        }
    }
}

/// Whether somebody wants to be told.
pub fn is_watched(core: &Core) -> bool {
    !WATCHERS.is_empty(core)
}

/// The free pages have sunk below the low water.
pub fn memory_low(core: &mut Core) {
    let mut next = WATCHERS.first(core);
    while let Some(port) = next {
        next = WATCHERS.after(core, Some(port));
        if !matches!(port.watch.state.get(core), State::Told(..)) {
            tell(core, port, Reason::Low);
        }
    }
}

/// A thread of `asker` has found no page. Whether a server may still give some back: then it is told.
pub fn may_give(core: &mut Core, asker: &'static Process) -> bool {
    let now = time::now_ns();
    let mut hope = false;
    let mut next = WATCHERS.first(core);
    while let Some(port) = next {
        next = WATCHERS.after(core, Some(port));
        let server = port.watch.server.get(core);
        if server.is_some_and(|server| core::ptr::eq(server, asker)) {
            continue;
        }
        match port.watch.state.get(core) {
            State::Told(since, _) => hope |= now < since + PATIENCE_NS,
            State::Empty(since) if now < since + EMPTY_NS => {}
            _ => {
                tell(core, port, Reason::Need);
                hope = true;
            }
        }
    }
    hope
}

fn tell(core: &mut Core, port: &'static Port, reason: Reason) {
    let told = State::Told(time::now_ns(), reason);
    port.watch.state.set(core, told);
    let source = Source::MemoryLow(frame::missing());
    post(core, &port.endpoint, &port.watch.event, source);
}
