//! Sessions: badges, and what they stand for.

use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_queue::errno::{EBADF, Result};
use ferrix_rt::sys::ipc;

/// What a session stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A process that lives as long.
    Presence {
        /// It.
        pid: u32,
    },
    /// An open queue.
    Queue {
        /// The queue that it receives from.
        from: u32,
        /// The queue or topic that it sends to.
        to: u32,
    },
    /// A socket.
    Socket {
        /// Its number.
        id: u32,
    },
    /// An `eventfd`.
    Counter {
        /// Its number.
        id: u32,
    },
}

/// An open file description.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// What it stands for.
    pub object: Object,
    /// `O_*`: access mode and status flags.
    pub flags: u32,
    /// Where the next `read` of a queue's description begins.
    pub offset: u64,
    /// Readiness as last signalled.
    ready: u32,
    /// Whether somebody waits for events, not for changes only.
    pub watched: bool,
}

/// All sessions; badge - 1 is the index.
#[derive(Debug)]
pub struct Sessions {
    port: Handle,
    entries: Vec<Option<Session>>,
}

impl Sessions {
    /// None yet.
    pub const fn new(port: Handle) -> Sessions {
        Sessions {
            port,
            entries: Vec::new(),
        }
    }

    /// Makes one: the handle to give away, and its badge.
    pub fn add(&mut self, object: Object, flags: u32) -> Result<(Handle, u32)> {
        let free = self.entries.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        let badge = index as u32 + 1;
        let handle = ipc::session_create(self.port, badge, 0).map_err(i32::from)?;
        self.entries[index] = Some(Session {
            object,
            flags,
            offset: 0,
            ready: 0,
            watched: false,
        });
        Ok((handle, badge))
    }

    /// The session with this badge.
    pub fn get(&mut self, badge: u32) -> Result<&mut Session> {
        let index = (badge as usize).checked_sub(1).ok_or(EBADF)?;
        self.entries
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(EBADF)
    }

    /// It was closed.
    pub fn remove(&mut self, badge: u32) -> Option<Session> {
        let index = (badge as usize).checked_sub(1)?;
        self.entries.get_mut(index)?.take()
    }

    /// Tells the kernel what `poll` should see.
    pub fn signal(&mut self, badge: u32, ready: u32) {
        let port = self.port;
        if let Ok(session) = self.get(badge)
            && session.ready != ready
        {
            let (set, clear) = (ready & !session.ready, session.ready & !ready);
            session.ready = ready;
            // The session is there: nothing to report.
            let _ = ipc::session_signal(port, badge, set, clear);
        }
    }

    /// Something came: who waits for events is to know, even if it was ready before.
    pub fn event(&mut self, badge: u32, bits: u32) {
        let port = self.port;
        if self.get(badge).is_ok_and(|session| session.watched) {
            // The session is there: nothing to report.
            let _ = ipc::session_signal(port, badge, bits, 0);
        }
    }
}
