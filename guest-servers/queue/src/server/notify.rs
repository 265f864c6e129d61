//! `mq_notify(3)`: one process is told, once, when a message comes into the empty queue and nobody waits for it.

use super::sessions::Object;
use super::{Server, lives};
use ferrix_abi::signal::SignalInfo;
use ferrix_proto::queue::mq::{COOKIE, notify};
use ferrix_queue::errno::{EBADF, EBUSY, EINVAL, Result};
use ferrix_rt::service::{Caller, Outcome, Reply, Request};
use ferrix_rt::sys::signal::{self, Target};
use ferrix_rt::sys::{ipc, process};

/// `SI_MESGQ`.
const BY_QUEUE: i32 = -3;
/// Last byte of what a thread receives: a message came (`NOTIFY_WOKENUP`).
const WOKEN: u8 = 1;
/// None will come (`NOTIFY_REMOVED`).
const REMOVED: u8 = 2;
/// Highest signal number.
const SIGNALS: u32 = 64;

/// Who is told, and how.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    pid: u32,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Nothing,
    Signal {
        number: u32,
        value: u64,
    },
    /// A thread of the process waits for this at a socket.
    Thread {
        socket: u32,
        cookie: [u8; COOKIE],
    },
}

impl Registration {
    /// Linux's numbers for it: kind, signal, process.
    pub fn numbers(&self) -> (u32, u32, u32) {
        match self.how {
            How::Nothing => (1, 0, self.pid),
            How::Thread { .. } => (2, 0, self.pid),
            How::Signal { number, .. } => (0, number, self.pid),
        }
    }
}

impl Server {
    /// The queue that a description's notifications are about.
    fn watched(&mut self, badge: u32) -> Result<u32> {
        match self.sessions.get(badge)?.object {
            Object::Queue { from, .. } => Ok(from),
            _ => Err(EBADF),
        }
    }

    /// `mq_notify(3)`.
    pub(super) fn notify(&mut self, request: &Request) -> Outcome {
        let [word, value, _] = request.words;
        let (kind, number) = (word & 0xffff_ffff, (word >> 32) as u32);
        let pid = request.caller.pid;
        let id = self.watched(request.badge)?;
        let how = match kind {
            notify::REMOVE => return self.disown(request),
            notify::NONE => How::Nothing,
            notify::THREAD => self.thread(request)?,
            notify::SIGNAL if number <= SIGNALS => How::Signal { number, value },
            _ => return Err(EINVAL),
        };
        let post = self.posts.get_mut(&id).ok_or(EBADF)?;
        if post.registration.is_some_and(|other| lives(other.pid)) {
            return Err(EBUSY);
        }
        post.registration = Some(Registration { pid, how });
        Ok(Some(Reply::value(0)))
    }

    /// The calling process's registration ends.
    pub(super) fn disown(&mut self, request: &Request) -> Outcome {
        let id = self.watched(request.badge)?;
        let pid = request.caller.pid;
        if let Some(post) = self.posts.get_mut(&id)
            && let Some(own) = post.registration.take_if(|own| own.pid == pid)
        {
            self.wake_thread(&own, REMOVED);
        }
        Ok(Some(Reply::value(0)))
    }

    /// The socket that came with a request, and what it is to receive.
    fn thread(&mut self, request: &Request) -> Result<How> {
        let handle = request.handle(0)?;
        let badge = ipc::session_badge(self.port, handle);
        // The caller keeps its own.
        let _ = ipc::close(handle);
        let (socket, _) = self.socket(badge.map_err(|_| EBADF)?)?;
        let (bytes, _) = request.inline()?;
        let cookie = *bytes.first_chunk().ok_or(EINVAL)?;
        Ok(How::Thread { socket, cookie })
    }

    /// The thread that waits at a socket is told why it waits no longer.
    fn wake_thread(&mut self, registration: &Registration, why: u8) {
        if let How::Thread { socket, mut cookie } = registration.how {
            cookie[COOKIE - 1] = why;
            self.sockets.all.tell(socket, cookie.to_vec());
            self.signal_sockets();
        }
    }

    /// A process has ended.
    pub(super) fn process_ended(&mut self, pid: u32) {
        for post in self.posts.values_mut() {
            post.registration = post.registration.filter(|own| own.pid != pid);
        }
    }

    /// Tells who is registered of a message from `sender`.
    pub(super) fn tell(&mut self, id: u32, sender: Caller) {
        let Some(post) = self.posts.get_mut(&id) else {
            return;
        };
        let Some(registration) = post.registration.take() else {
            return;
        };
        self.wake_thread(&registration, WOKEN);
        let Registration { pid, how } = registration;
        if let How::Signal { number, value } = how
            && number != 0
        {
            let info = SignalInfo {
                signo: number,
                code: BY_QUEUE,
                pid: sender.pid,
                uid: process::identity(sender.pid).map_or(0, |ids| ids.ruid),
                value,
                ..SignalInfo::default()
            };
            // Who has died meanwhile needs to know nothing.
            let _ = signal::send(Target::Process, pid as i32, &info);
        }
    }
}
