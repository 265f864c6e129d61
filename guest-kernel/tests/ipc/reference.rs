//! What message passing should do: numbers, tables and queues.

mod events;
pub mod exchange;
mod objects;

use std::collections::{BTreeMap, VecDeque};

use ferrix_abi::error::Error;
use ferrix_abi::handle::Rights;
use ferrix_abi::ipc::{Kind, WaitItem};

pub type Tid = u32;
pub type Pid = u32;

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Port(u64),
    Session(u32),
    Irq(u32),
}

/// Where messages meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Port(u64),
    Own(Tid),
}

/// What a message carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub words: [u64; 4],
    pub bytes: usize,
    /// A handle, and whether it moves.
    pub handle: Option<(u32, bool)>,
    pub map: Option<u64>,
}

/// How a system call waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    pub interruptible: bool,
    pub non_blocking: bool,
    pub deadline: Option<u64>,
    /// The CPU that makes the call, whose timer bounds it.
    pub cpu: usize,
}

/// What a system call should bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(u64),
    Failed(Error),
    /// A reply, and what the handle in it names.
    Reply(Content, Option<(Object, Rights)>),
    Message {
        kind: Kind,
        pid: Pid,
        badge: u32,
        content: Content,
        object: Option<(Object, Rights)>,
        token: u64,
    },
    /// The call is made again.
    Again,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wait {
    No,
    Send {
        at: Place,
        session: Option<u32>,
        badge: u32,
        content: Content,
        calls: bool,
    },
    Receive {
        at: Place,
        only: Tid,
    },
    Reply {
        at: Place,
        server: Pid,
        badge: u32,
        timed_out: bool,
    },
    Poll,
}

#[derive(Clone, Debug)]
pub struct Thread {
    pub pid: Pid,
    pub wait: Wait,
    pub manner: Manner,
    pub killed: bool,
    pub signal: bool,
    /// Calls of this thread that have been received.
    pub token: u64,
    /// The end of its last wait, not compared yet.
    pub outcome: Option<Outcome>,
    /// The sessions of a `WaitMany` that is to be made again.
    pub items: Vec<WaitItem>,
    /// And its deadline.
    pub again: Option<u64>,
}

/// What can be received besides messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Irq(u32),
    Timer(u64, u32),
    Closed(u32),
    Cancel(Tid),
}

#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    pub senders: VecDeque<Tid>,
    pub receivers: Vec<Tid>,
    pub events: VecDeque<Event>,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub port: u64,
    pub badge: u32,
    pub owner: Pid,
    pub stale: bool,
    pub ready: u32,
    pub events: u32,
    /// Nodes of waiting threads: thread, and what it wants.
    pub pollers: VecDeque<(Tid, u32)>,
}

#[derive(Clone, Debug)]
pub struct Irq {
    pub port: u64,
    pub badge: u32,
    pub count: u64,
}

/// A port's timer, armed on a CPU or expired.
pub type PortTimer = Option<(usize, u64)>;

/// All there is.
#[derive(Debug, Default)]
pub struct Reference {
    pub threads: BTreeMap<Tid, Thread>,
    pub tables: BTreeMap<Pid, BTreeMap<u32, (Object, Rights)>>,
    /// Live ones.
    pub ports: BTreeMap<u64, Endpoint>,
    pub own: BTreeMap<Tid, Endpoint>,
    pub sessions: BTreeMap<u32, Session>,
    pub irqs: BTreeMap<u32, Irq>,
    pub timers: BTreeMap<(u64, u32), PortTimer>,
    pub next: u32,
    /// Sessions in the order of their making, which is that of their end.
    pub made: Vec<u32>,
}

impl Reference {
    pub fn endpoint(&mut self, place: Place) -> Option<&mut Endpoint> {
        match place {
            Place::Port(id) => self.ports.get_mut(&id),
            Place::Own(tid) => self.own.get_mut(&tid),
        }
    }

    pub fn thread(&mut self, tid: Tid) -> &mut Thread {
        self.threads.get_mut(&tid).expect("a thread of the model")
    }

    pub fn object(&self, pid: Pid, handle: u32, rights: Rights) -> Option<Object> {
        let (object, held) = self.tables.get(&pid)?.get(&handle)?;
        held.contains(rights).then_some(*object)
    }

    /// A thread's wait is over.
    pub(super) fn end(&mut self, tid: Tid, outcome: Outcome) {
        let thread = self.thread(tid);
        thread.wait = Wait::No;
        thread.manner.deadline = None;
        thread.outcome = Some(outcome);
    }

    /// Whether a thread that is about to wait must not.
    pub(super) fn must_not_wait(&self, tid: Tid, manner: Manner) -> bool {
        let thread = &self.threads[&tid];
        thread.killed || thread.signal && manner.interruptible
    }

    /// How many handles name an object, with these rights.
    pub fn handles(&self, object: Object, rights: Rights) -> usize {
        let all = self.tables.values().flat_map(BTreeMap::values);
        all.filter(|(other, held)| *other == object && held.contains(rights))
            .count()
    }
}
