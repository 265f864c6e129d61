//! Open files in messages (`SCM_RIGHTS`): staged by the sender, unstaged by the receiver, counted on their way.

use super::parcels::thread;
use super::sessions::Object;
use super::{Server, lives};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::HANDLES_MAX;
use ferrix_proto::socket::PASSED_MAX;
use ferrix_queue::budget::{Charge, Client};
use ferrix_queue::errno::{EINVAL, ETOOMANYREFS, Result};
use ferrix_queue::parked::Thread;
use ferrix_queue::socket::Id;
use ferrix_rt::service::{Outcome, Reply, Request, SESSION_RIGHTS};
use ferrix_rt::sys::{ipc, utcb};

/// When so many threads have open files here, those of dead ones are looked for.
const MANY: usize = 128;

/// An open file on its way.
#[derive(Debug)]
pub struct Passed {
    /// Its session.
    handle: Handle,
    /// Its kind, for the receiver.
    kind: u16,
    /// The socket that it is, and how many sockets are on their way.
    socket: Option<(Id, Rc<Cell<usize>>)>,
    _charge: Charge,
}

impl Drop for Passed {
    fn drop(&mut self) {
        // It is this server's own.
        let _ = ipc::close(self.handle);
        if let Some((_, carried)) = &self.socket {
            carried.set(carried.get() - 1);
        }
    }
}

impl Passed {
    fn id(&self) -> Option<Id> {
        self.socket.as_ref().map(|(id, _)| *id)
    }
}

impl Server {
    /// Open files that a thread will pass with its next message; without any, those before are forgotten.
    pub(super) fn stage(&mut self, request: &Request) -> Outcome {
        let handles: Vec<Handle> = (0..request.handles).map(utcb::received_handle).collect();
        let staged = self.add_staged(request, &handles);
        if let Err((errno, rest)) = staged {
            close_all(rest);
            return Err(errno);
        }
        Ok(Some(Reply::value(0)))
    }

    fn add_staged<'a>(
        &mut self,
        request: &Request,
        handles: &'a [Handle],
    ) -> core::result::Result<(), (i32, &'a [Handle])> {
        let thread = thread(request.caller);
        if request.words[1] == 1 {
            self.sockets.staged.remove(&thread);
            forget_dead(&mut self.sockets.staged);
            self.collect_cycles();
        }
        let before = self.sockets.staged.get(&thread).map_or(0, Vec::len);
        if before + handles.len() > PASSED_MAX {
            return Err((EINVAL, handles));
        }
        let uid = super::identity(request).map(|ids| ids.ruid);
        let client = Client {
            pid: thread.pid,
            uid: uid.map_err(|errno| (errno, handles))?,
        };
        for (index, &handle) in handles.iter().enumerate() {
            let charge = self.sockets.passing.charge(client, 1);
            let charge = charge.ok_or((ETOOMANYREFS, &handles[index..]))?;
            let passed = Passed {
                handle,
                kind: (request.words[0] >> (16 * index)) as u16,
                socket: self.carry(handle),
                _charge: charge,
            };
            let staged = self.sockets.staged.entry(thread).or_default();
            staged.push(Rc::new(passed));
        }
        Ok(())
    }

    /// The socket that a handle is, counted as one on its way.
    fn carry(&mut self, handle: Handle) -> Option<(Id, Rc<Cell<usize>>)> {
        let (badge, _) = ipc::session_users(self.port, handle).ok()?;
        let Object::Socket { id } = self.sessions.get(badge).ok()?.object else {
            return None;
        };
        let carried = self.sockets.carried.clone();
        carried.set(carried.get() + 1);
        Some((id, carried))
    }

    /// Open files that a thread's last message brought, some at a time.
    pub(super) fn unstage(&mut self, request: &Request) -> Outcome {
        let thread = thread(request.caller);
        let waiting = self.sockets.unstaged.get_mut(&thread).ok_or(EINVAL)?;
        let count = waiting.len().min(HANDLES_MAX);
        let copies = duplicates(&waiting[..count])?;
        let mut kinds = 0;
        for (index, passed) in waiting.drain(..count).enumerate() {
            kinds |= u64::from(passed.kind) << (16 * index);
        }
        if waiting.is_empty() {
            self.sockets.unstaged.remove(&thread);
        }
        let mut reply = Reply::value(count as u64);
        for copy in copies {
            reply = reply.with_handle(copy, SESSION_RIGHTS);
        }
        Ok(Some(reply.with_words([kinds, 0, 0])))
    }

    /// What came with a message is for the thread to unstage.
    pub(super) fn put_unstaged(&mut self, thread: Thread, files: Vec<Rc<Passed>>) {
        forget_dead(&mut self.sockets.unstaged);
        self.sockets.unstaged.insert(thread, files);
    }

    /// Drops what is in sockets that nobody can reach any more: their sessions end then.
    pub(super) fn collect_cycles(&mut self) {
        if self.sockets.carried.get() == 0 {
            return;
        }
        let mut inside = BTreeMap::<Id, (usize, Handle)>::new();
        for passed in self.sockets.all.passed() {
            if let Some(id) = passed.id() {
                inside.entry(id).or_insert((0, passed.handle)).0 += 1;
            }
        }
        let threads = self.sockets.staged.values();
        let threads = threads.chain(self.sockets.unstaged.values()).flatten();
        let held: BTreeSet<Id> = threads.filter_map(|passed| passed.id()).collect();
        let port = self.port;
        let is_open = |id: Id| match inside.get(&id) {
            Some(&(count, handle)) if !held.contains(&id) => {
                let users = ipc::session_users(port, handle).map(|(_, users)| users);
                users.is_ok_and(|users| users as usize > count)
            }
            _ => true,
        };
        let all = &mut self.sockets.all;
        for id in all.unreachable(is_open, |passed| passed.id()) {
            all.drop_messages(id);
        }
    }
}

fn duplicates(passed: &[Rc<Passed>]) -> Result<Vec<Handle>> {
    let mut copies = Vec::new();
    for one in passed {
        match ipc::duplicate(one.handle, SESSION_RIGHTS) {
            Ok(copy) => copies.push(copy),
            Err(error) => {
                close_all(&copies);
                return Err(error.into());
            }
        }
    }
    Ok(copies)
}

/// Closes handles that came, or were made, just now.
fn close_all(handles: &[Handle]) {
    for &handle in handles {
        let _ = ipc::close(handle);
    }
}

fn forget_dead(files: &mut BTreeMap<Thread, Vec<Rc<Passed>>>) {
    if files.len() >= MANY {
        files.retain(|thread, _| lives(thread.pid));
    }
}
