//! State, dispatch, and the ends of waits.

mod counters;
mod files;
mod notify;
mod open;
mod options;
mod parcels;
mod passing;
mod semaphores;
mod sessions;
mod socket_transfer;
mod sockets;
mod sysv;
mod transfer;

use alloc::collections::BTreeMap;
use ferrix_abi::handle::Handle;
use ferrix_proto::file;
use ferrix_proto::queue::{self as proto, mq};
use ferrix_proto::socket;
use ferrix_queue::budget::{Budget, Charge, Limits};
use ferrix_queue::counter::Counter;
use ferrix_queue::errno::{EINTR, Errno, Result};
use ferrix_queue::names::{Names, Who};
use ferrix_queue::parked::Parked;
use ferrix_queue::waits::{FOREVER, Token, Waits};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::connections::Connections;
use ferrix_rt::service::{Caller, Outcome, Reply, Request, SESSION_RIGHTS, Service};
use ferrix_rt::sys::{ipc, process, system};
use open::Post;
use parcels::{Letter, Origin};
use sessions::{Object, Sessions};
use sockets::SocketState;
use sysv::Sysv;

/// The badge of the timer: connections have theirs above, sessions below.
const TIMER: u32 = ferrix_rt::connections::FIRST_BADGE - 1;
/// When so many entries are kept for processes, those of dead ones are looked for.
const MANY: usize = 128;

/// Somebody who waits.
struct Wait {
    caller: Caller,
    /// Where it waits.
    place: Place,
    /// What it is told when its time is over.
    late: Errno,
    /// What it waits to send.
    charge: Option<Charge>,
}

/// What somebody waits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A message queue.
    Queue(u32),
    /// One of System V.
    Messages(u32),
    /// A set of semaphores.
    Semaphores(u32),
    /// A counter.
    Counter(u32),
}

/// The server.
pub struct Server {
    port: Handle,
    connections: Connections,
    sessions: Sessions,
    posts: BTreeMap<u32, Post>,
    names: Names,
    /// Mailboxes by process.
    mailboxes: BTreeMap<u32, u32>,
    next_queue: u32,
    waits: Waits<Wait>,
    /// How many may wait before the dead among them are looked for.
    waits_bound: usize,
    /// When the timer goes off.
    armed: u64,
    /// What is held for clients.
    budget: Budget,
    /// What did not fit into a message, by thread.
    parked: Parked<Origin>,
    /// What the reply to a call takes out of a queue.
    leaving: Option<(Token, Letter)>,
    sockets: SocketState,
    sysv: Sysv,
    counters: BTreeMap<u32, Counter>,
    next_counter: u32,
}

impl Server {
    /// Without any queue.
    pub fn new(port: Handle) -> Server {
        Server {
            port,
            connections: Connections::new(port),
            sessions: Sessions::new(port),
            posts: BTreeMap::new(),
            names: Names::default(),
            mailboxes: BTreeMap::new(),
            next_queue: 1,
            waits: Waits::default(),
            waits_bound: MANY,
            armed: FOREVER,
            budget: Budget::new(Limits::of_memory(memory_bytes())),
            parked: Parked::default(),
            leaving: None,
            sockets: SocketState::new(),
            sysv: Sysv::new(),
            counters: BTreeMap::new(),
            next_counter: 1,
        }
    }

    fn dispatch(&mut self, request: &Request) -> Outcome {
        match request.head.operation() {
            proto::PRESENCE => self.presence(request),
            proto::TAKE => self.take(request),
            proto::SETTLE => {
                self.collect_cycles();
                Ok(Some(Reply::value(0)))
            }
            mq::OPEN => self.open(request),
            mq::UNLINK => self.unlink(request),
            mq::SEND => self.send(request),
            mq::RECEIVE => self.receive(request),
            mq::NOTIFY => self.notify(request),
            mq::ATTRIBUTES => self.attributes(request),
            mq::DISOWN => self.disown(request),
            socket::CREATE => self.create_socket(request),
            socket::PAIR => self.create_pair(request),
            socket::CREATE_COUNTER => self.create_counter(request),
            file::READ => self.read(request),
            file::WRITE => self.write(request),
            file::IOCTL => self.ioctl(request),
            file::WATCH => self.watch(request),
            file::GET_FLAGS => self.get_flags(request),
            file::SET_FLAGS => self.set_flags(request),
            file::GET_ATTRIBUTES => self.get_attributes(request),
            operation => self.dispatch_socket(operation, request),
        }
    }

    fn dispatch_socket(&mut self, operation: u16, request: &Request) -> Outcome {
        match operation {
            socket::BIND => self.bind(request),
            socket::LISTEN => self.listen(request),
            socket::CONNECT => self.connect_socket(request),
            socket::ACCEPT => self.accept(request),
            socket::SEND => self.send_on_socket(request),
            socket::RECEIVE => self.receive_on_socket(request),
            socket::SHUTDOWN => self.shutdown(request),
            socket::NAME => self.socket_name(request),
            socket::GET_OPTION => self.get_option(request),
            socket::SET_OPTION => self.set_option(request),
            socket::STAGE => self.stage(request),
            socket::UNSTAGE => self.unstage(request),
            operation => self.dispatch_sysv(operation, request),
        }
    }

    fn presence(&mut self, request: &Request) -> Outcome {
        let pid = request.caller.pid;
        let (handle, _) = self.sessions.add(Object::Presence { pid }, 0)?;
        let rights = SESSION_RIGHTS | ferrix_abi::handle::Rights::NO_INHERIT;
        Ok(Some(Reply::value(0).with_handle(handle, rights)))
    }

    /// A caller waits, until its deadline at most.
    fn wait(&mut self, caller: Caller, deadline: u64, place: Place, late: Errno) {
        if self.waits.len() >= self.waits_bound {
            self.forget_dead();
        }
        let wait = Wait {
            caller,
            place,
            late,
            charge: None,
        };
        self.waits.add(caller.token, deadline, wait);
    }

    /// Callers that have died are not told to the server: it looks when there are many.
    fn forget_dead(&mut self) {
        for token in self.waits.tokens() {
            if self
                .waits
                .get(token)
                .is_some_and(|wait| !lives(wait.caller.pid))
            {
                self.stop_waiting(token);
            }
        }
        self.waits_bound = (self.waits.len() * 2).max(MANY);
    }

    fn stop_waiting(&mut self, token: u64) -> Option<Wait> {
        let wait = self.waits.take(token)?;
        let all = Who { uid: 0, gid: 0 };
        match wait.place {
            Place::Queue(id) => {
                if let Some(post) = self.posts.get_mut(&id) {
                    post.queue.forget(&token);
                }
            }
            Place::Messages(id) => {
                if let Ok(queue) = self.sysv.messages.find(id, all, 0) {
                    queue.what.forget(&token);
                }
            }
            Place::Semaphores(id) => {
                if let Ok(set) = self.sysv.sets.find(id, all, 0) {
                    set.what.forget(&token);
                }
            }
            Place::Counter(id) => {
                if let Some(counter) = self.counters.get_mut(&id) {
                    counter.forget(token);
                }
            }
        }
        Some(wait)
    }

    fn end_wait(&mut self, token: u64, why: Errno) {
        if let Some(wait) = self.stop_waiting(token) {
            // Who died meanwhile needs no answer.
            let _ = wait.caller.reply(&Reply::error(why));
        }
    }

    /// Sets the timer to the next deadline, if it would come too late.
    fn arm(&mut self) {
        let next = self.waits.next();
        if next < self.armed && ipc::port_timer(self.port, TIMER, next).is_ok() {
            self.armed = next;
        }
    }
}

/// The machine's memory.
fn memory_bytes() -> usize {
    let pages = system::statistics().map_or(0, |all| all.total_pages);
    pages as usize * 4096
}

/// Whether there is such a process.
fn lives(pid: u32) -> bool {
    process::identity(pid).is_ok()
}

impl Service for Server {
    fn request(&mut self, request: &Request) -> Outcome {
        self.leaving = None;
        let outcome = self.dispatch(request);
        self.arm();
        outcome
    }

    fn closed(&mut self, badge: u32) {
        let Some(session) = self.sessions.remove(badge) else {
            return;
        };
        match session.object {
            Object::Presence { pid } => {
                self.forget_process(pid);
                self.process_ended(pid);
                self.sockets.process_ended(pid);
                self.collect_cycles();
                self.undo(pid);
            }
            Object::Socket { id } => self.socket_closed(id),
            Object::Counter { id } => self.counter_closed(id),
            Object::Queue { from, to } => {
                for id in [from, to] {
                    self.description_closed(id, badge);
                }
            }
        }
    }

    fn notified(&mut self, _badge: u32, _count: u64) {
        self.armed = FOREVER;
        let now = monotonic_ns();
        while let Some(token) = self.waits.expired(now) {
            let late = self.waits.get(token).map_or(EINTR, |wait| wait.late);
            self.end_wait(token, late);
        }
        self.arm();
    }

    fn cancelled(&mut self, caller: Caller) {
        self.end_wait(caller.token, EINTR);
    }

    fn undelivered(&mut self, request: &Request) {
        self.not_delivered(request.caller);
    }

    fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }
}

/// The ids that decide for a request.
fn identity(request: &Request) -> Result<ferrix_abi::process::Identity> {
    process::identity(request.caller.pid).map_err(i32::from)
}
