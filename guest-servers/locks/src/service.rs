//! What a server does with the requests `LOCK`, `UNLOCK_ALL` and `LOCK_WHOLE` of [`ferrix_proto::file`].
//!
//! A process's locks must go when it dies, however it dies, even if a child has its descriptors. So with its first
//! lock a process gets a session that children do not inherit; its closing tells.

use crate::range::{BadRange, Range};
use crate::records::{Held, Mode, Owner};
use crate::table::{Answer, Lock, Table};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_proto::file::{lock as bits, lock_whole as whole};
use ferrix_rt::service::{Caller, Errno, Outcome, Reply, Request};
use ferrix_rt::sys::ipc;
use linux_raw_sys::errno::{EAGAIN, EBADF, EDEADLK, EINTR, EINVAL, EIO, ENOLCK, EOVERFLOW};
use linux_raw_sys::general as linux;

/// Badges of processes' sessions: from here on, by pid. A server numbers its own below, and connections are above.
const FIRST_BADGE: u32 = 0x4000_0000;
const LAST_BADGE: u32 = 0x7ffe_ffff;

/// An open file description on which a lock is asked.
#[derive(Clone, Copy, Debug)]
pub struct Description<K, S> {
    /// Its file.
    pub key: K,
    /// Its offset, in bytes.
    pub offset: u64,
    /// Its file's size, in bytes: asked only where it counts.
    pub size: S,
    /// `O_*`: what it was opened for.
    pub flags: u32,
}

/// The locks that a server keeps.
#[derive(Debug)]
pub struct Locks<K> {
    port: Handle,
    records: Table<K, Caller>,
    whole: Table<K, Caller>,
    /// Processes that have a session.
    owners: BTreeSet<u32>,
}

impl<K: Ord + Copy> Locks<K> {
    /// None. Sessions are made on `port`.
    pub fn new(port: Handle) -> Locks<K> {
        Locks {
            port,
            records: Table::default(),
            whole: Table::default(),
            owners: BTreeSet::new(),
        }
    }

    /// `fcntl` with `F_GETLK`, `F_SETLK`, `F_SETLKW` and their OFD kin.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn record<S>(&mut self, request: &Request, description: Description<K, S>) -> Outcome
    where
        S: FnOnce() -> Result<u64, Errno>,
    {
        let [asked, start, length] = request.words;
        let base = match asked >> bits::WHENCE_SHIFT {
            0 => 0,
            1 => description.offset,
            2 => (description.size)()?,
            _ => return Err(EINVAL as Errno),
        };
        let range = Range::new(base, start as i64, length as i64).map_err(|bad| match bad {
            BadRange::Negative => EINVAL as Errno,
            BadRange::TooFar => EOVERFLOW as Errno,
        })?;
        let owner = if asked & bits::DESCRIPTION == 0 {
            Owner::Process(request.caller.pid)
        } else {
            Owner::Description(request.badge)
        };
        let key = description.key;
        let mode = match asked & bits::TYPE {
            bits::SHARED => Mode::Shared,
            bits::EXCLUSIVE => Mode::Exclusive,
            bits::UNLOCK if asked & bits::TEST == 0 => {
                return self.unlock(key, owner, range);
            }
            _ => return Err(EINVAL as Errno),
        };
        let held = Held { owner, range, mode };
        let wanted = Lock { key, held };
        if asked & bits::TEST != 0 {
            return Ok(Some(conflict(self.records.conflict(&wanted))));
        }
        check_access(mode, description.flags)?;
        let ticket = (asked & bits::WAIT != 0).then_some(request.caller);
        let answer = self.records.lock(&wanted, ticket);
        // A lock that became weaker may be what others wait for.
        self.grant();
        reply(answer, || match owner {
            Owner::Process(pid) => self.granted(pid),
            Owner::Description(_) => Ok(Reply::value(0)),
        })
    }

    /// `flock`: a lock on all of a file, by its description. To change it is to give up the old one first, as on Linux.
    ///
    /// # Errors
    /// Those of `flock(2)`.
    pub fn whole(&mut self, request: &Request, key: K) -> Outcome {
        let asked = request.words[0];
        let owner = Owner::Description(request.badge);
        let mode = match asked & !whole::NON_BLOCKING {
            whole::SHARED => Some(Mode::Shared),
            whole::EXCLUSIVE => Some(Mode::Exclusive),
            whole::UNLOCK => None,
            _ => return Err(EINVAL as Errno),
        };
        let range = Range::ALL;
        let old = self.whole.mode(key, owner);
        let Some(mode) = mode.filter(|_| old != mode) else {
            if mode.is_none() {
                self.whole.unlock(key, owner, range);
                self.grant();
            }
            return Ok(Some(Reply::value(0)));
        };
        if old.is_some() {
            self.whole.unlock(key, owner, range);
            self.grant();
        }
        let held = Held { owner, range, mode };
        let ticket = (asked & whole::NON_BLOCKING == 0).then_some(request.caller);
        let answer = self.whole.lock(&Lock { key, held }, ticket);
        reply(answer, || Ok(Reply::value(0)))
    }

    /// The process closed a descriptor of the file: its record locks there go (POSIX XSH `fcntl`).
    ///
    /// # Errors
    /// None; the type is that of requests.
    pub fn unlock_all(&mut self, request: &Request, key: K) -> Outcome {
        let owner = Owner::Process(request.caller.pid);
        self.unlock(key, owner, Range::ALL)
    }

    /// A session was closed; true if it was a process's, which is dead.
    pub fn owner_closed(&mut self, badge: u32) -> bool {
        let is_owner = (FIRST_BADGE..=LAST_BADGE).contains(&badge);
        if is_owner {
            let pid = badge - FIRST_BADGE;
            self.owners.remove(&pid);
            self.records.release(Owner::Process(pid));
            self.grant();
        }
        is_owner
    }

    /// An open file description is no more.
    pub fn description_closed(&mut self, badge: u32) {
        let owner = Owner::Description(badge);
        self.records.release(owner);
        self.whole.release(owner);
        self.grant();
    }

    /// Forgets files; who waited for them gets `EIO`.
    pub fn forget(&mut self, gone: impl Fn(&K) -> bool) {
        let lost = self.records.forget(&gone).into_iter();
        for caller in lost.chain(self.whole.forget(&gone)) {
            let _ = caller.reply(&Reply::error(EIO as Errno));
        }
    }

    /// Whether a file is locked or waited for.
    pub fn is_used(&self, key: &K) -> bool {
        self.records.is_used(key) || self.whole.is_used(key)
    }

    /// A caller does not want to wait any more.
    pub fn cancelled(&mut self, caller: Caller) {
        let records = self.records.cancel(&caller);
        if let Some(caller) = records.or_else(|| self.whole.cancel(&caller)) {
            // It may have died meanwhile: then nobody wants the answer.
            let _ = caller.reply(&Reply::error(EINTR as Errno));
        }
    }

    fn unlock(&mut self, key: K, owner: Owner, range: Range) -> Outcome {
        let answer = self.records.unlock(key, owner, range);
        self.grant();
        reply(answer, || Ok(Reply::value(0)))
    }

    /// Answers those whose lock has come free. Who has died meanwhile has it until its session is closed.
    fn grant(&mut self) {
        let callers: Vec<Caller> = self.records.grant();
        for caller in callers {
            // Who waited for a description's lock gets a session that it may need later.
            let reply = self.granted(caller.pid);
            let _ = caller.reply(&reply.unwrap_or_else(Reply::error));
        }
        for caller in self.whole.grant() {
            let _ = caller.reply(&Reply::value(0));
        }
    }

    /// The reply to a process that has a lock; with its session, if it is the first.
    fn granted(&mut self, pid: u32) -> Result<Reply, Errno> {
        let badge = FIRST_BADGE
            .checked_add(pid)
            .filter(|&badge| badge <= LAST_BADGE);
        let badge = badge.ok_or(ENOLCK as Errno)?;
        if !self.owners.insert(pid) {
            return Ok(Reply::value(0));
        }
        match ipc::session_create(self.port, badge, 0) {
            Ok(session) => Ok(Reply::value(0).with_handle(session, Rights::NO_INHERIT)),
            Err(_) => {
                self.owners.remove(&pid);
                self.records.release(Owner::Process(pid));
                Err(ENOLCK as Errno)
            }
        }
    }
}

fn reply(answer: Answer, granted: impl FnOnce() -> Result<Reply, Errno>) -> Outcome {
    match answer {
        Answer::Granted => granted().map(Some),
        Answer::Waits => Ok(None),
        Answer::Refused => Err(EAGAIN as Errno),
        Answer::Deadlock => Err(EDEADLK as Errno),
        Answer::Full => Err(ENOLCK as Errno),
    }
}

/// The answer to `F_GETLK`.
fn conflict(held: Option<Held>) -> Reply {
    let Some(held) = held else {
        return Reply::value(0).with_words([bits::UNLOCK, 0, 0]);
    };
    let kind = match held.mode {
        Mode::Shared => bits::SHARED,
        Mode::Exclusive => bits::EXCLUSIVE,
    };
    // A description is nobody's in particular: -1.
    let pid = match held.owner {
        Owner::Process(pid) => pid,
        Owner::Description(_) => u32::MAX,
    };
    let range = held.range;
    let words = [kind | u64::from(pid) << 32, range.first(), range.length()];
    Reply::value(0).with_words(words)
}

/// A shared lock wants a file open for reading, an exclusive one for writing.
fn check_access(mode: Mode, flags: u32) -> Result<(), Errno> {
    let missing = match mode {
        Mode::Shared => linux::O_WRONLY,
        Mode::Exclusive => linux::O_RDONLY,
    };
    if flags & linux::O_ACCMODE == missing {
        Err(EBADF as Errno)
    } else {
        Ok(())
    }
}
