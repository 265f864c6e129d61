//! POSIX message queues.

use std::io;
use std::time::Duration;

use super::{c_string, check, check_size};

// The crate has it for some C libraries only.
unsafe extern "C" {
    fn mq_notify(queue: libc::mqd_t, event: *const libc::sigevent) -> libc::c_int;
}

/// An open queue.
#[derive(Debug)]
pub struct Queue(pub i32);

/// How many messages, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Messages that it holds.
    pub messages: i64,
    /// Most bytes of one.
    pub size: i64,
}

/// What is known of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether calls wait (`O_NONBLOCK`).
    pub flags: i64,
    /// Its shape.
    pub shape: Shape,
    /// Messages in it.
    pub now: i64,
}

fn attributes(flags: i64, shape: Shape) -> libc::mq_attr {
    // SAFETY: integers only.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    attributes.mq_flags = flags;
    attributes.mq_maxmsg = shape.messages;
    attributes.mq_msgsize = shape.size;
    attributes
}

/// A time of the wall clock so far from now; nanoseconds may be nonsense.
fn wall(after: Timeout) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills the structure; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
    match after {
        Timeout::Past => time.tv_sec -= 1,
        Timeout::Nonsense => time.tv_nsec = 1_000_000_000,
        Timeout::In(wait) => {
            let nanoseconds = time.tv_nsec as u64 + u64::from(wait.subsec_nanos());
            time.tv_sec += (wait.as_secs() + nanoseconds / 1_000_000_000) as i64;
            time.tv_nsec = (nanoseconds % 1_000_000_000) as _;
        }
    }
    time
}

/// When a call gives up.
#[derive(Clone, Copy, Debug)]
pub enum Timeout {
    /// A second ago.
    Past,
    /// A time that is none.
    Nonsense,
    /// So much later.
    In(Duration),
}

impl Queue {
    /// Opens a queue, with `O_CREAT` perhaps a new one.
    pub fn open(name: &str, flags: i32, shape: Option<Shape>) -> io::Result<Queue> {
        Queue::open_with(name, flags, 0o600, shape.map(|shape| attributes(0, shape)))
    }

    /// Makes a topic: only Ferrix has those.
    #[expect(dead_code, reason = "for the program mq")]
    pub fn topic(name: &str, flags: i32, flag: i64, shape: Shape) -> io::Result<Queue> {
        Queue::open_with(name, flags, 0o600, Some(attributes(flag, shape)))
    }

    /// The same with a mode.
    pub fn open_with(
        name: &str,
        flags: i32,
        mode: u32,
        attributes: Option<libc::mq_attr>,
    ) -> io::Result<Queue> {
        let name = c_string(name)?;
        let attributes = attributes
            .as_ref()
            .map_or(std::ptr::null(), |a| &raw const *a);
        // SAFETY: a string and a structure, or null, that outlive the call.
        check(unsafe { libc::mq_open(name.as_ptr(), flags, mode, attributes) }).map(Queue)
    }

    /// Sends.
    pub fn send(&self, bytes: &[u8], priority: u32) -> io::Result<()> {
        let (place, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: a live slice.
        check(unsafe { libc::mq_send(self.0, place, length, priority) }).map(drop)
    }

    /// Sends until a time.
    pub fn send_until(&self, bytes: &[u8], priority: u32, until: Timeout) -> io::Result<()> {
        let (place, length, until) = (bytes.as_ptr().cast(), bytes.len(), wall(until));
        // SAFETY: a live slice and a live structure.
        check(unsafe { libc::mq_timedsend(self.0, place, length, priority, &until) }).map(drop)
    }

    /// Receives into a buffer; the priority, and how many bytes.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<(u32, usize)> {
        let (place, length, mut priority) = (into.as_mut_ptr().cast(), into.len(), 0);
        // SAFETY: a live slice and a live number.
        let got = unsafe { libc::mq_receive(self.0, place, length, &mut priority) };
        check_size(got).map(|got| (priority, got))
    }

    /// Receives until a time.
    pub fn receive_until(&self, into: &mut [u8], until: Timeout) -> io::Result<(u32, usize)> {
        let (place, length, mut priority) = (into.as_mut_ptr().cast(), into.len(), 0);
        let until = wall(until);
        // SAFETY: a live slice, a live number and a live structure.
        let got = unsafe { libc::mq_timedreceive(self.0, place, length, &mut priority, &until) };
        check_size(got).map(|got| (priority, got))
    }

    /// What is known of it.
    pub fn state(&self) -> io::Result<State> {
        let mut attributes = attributes(
            0,
            Shape {
                messages: 0,
                size: 0,
            },
        );
        // SAFETY: a live structure.
        check(unsafe { libc::mq_getattr(self.0, &mut attributes) })?;
        Ok(State {
            flags: attributes.mq_flags,
            shape: Shape {
                messages: attributes.mq_maxmsg,
                size: attributes.mq_msgsize,
            },
            now: attributes.mq_curmsgs,
        })
    }

    /// Sets the flags; what they were.
    pub fn set_flags(&self, flags: i64) -> io::Result<i64> {
        let new = attributes(
            flags,
            Shape {
                messages: 9,
                size: 9,
            },
        );
        let mut old = new;
        // SAFETY: two live structures.
        check(unsafe { libc::mq_setattr(self.0, &new, &mut old) })?;
        Ok(old.mq_flags)
    }

    /// Asks for a signal with a value; without a signal for nothing.
    pub fn notify(&self, signal: Option<i32>, value: usize) -> io::Result<()> {
        // SAFETY: integers and pointers only.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = match signal {
            Some(_) => libc::SIGEV_SIGNAL,
            None => libc::SIGEV_NONE,
        };
        event.sigev_signo = signal.unwrap_or(0);
        event.sigev_value.sival_ptr = value as *mut libc::c_void;
        // SAFETY: a live structure.
        check(unsafe { mq_notify(self.0, &event) }).map(drop)
    }

    /// Asks for nothing any more.
    pub fn forget(&self) -> io::Result<()> {
        // SAFETY: null removes.
        check(unsafe { mq_notify(self.0, std::ptr::null()) }).map(drop)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this object's own.
        unsafe { libc::mq_close(self.0) };
    }
}

/// Takes a name away.
pub fn unlink(name: &str) -> io::Result<()> {
    let name = c_string(name)?;
    // SAFETY: a string that outlives the call.
    check(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

/// What a signal that was waited for told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// Who caused it.
    pub pid: i32,
    /// The value that comes with it.
    pub value: usize,
}

/// Blocks a signal, so that [`told`] can wait for it.
pub fn block(signal: i32) -> io::Result<()> {
    // SAFETY: all-zero is a valid set, which the calls fill and read.
    check(unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut())
    })
    .map(drop)
}

/// Waits for a blocked signal, or not at all.
pub fn told(signal: i32, wait: Duration) -> io::Result<Told> {
    let time = libc::timespec {
        tv_sec: wait.as_secs() as i64,
        tv_nsec: wait.subsec_nanos() as _,
    };
    // SAFETY: all-zero is a valid set and a valid siginfo, which the calls fill and read.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        let mut info: libc::siginfo_t = std::mem::zeroed();
        check(libc::sigtimedwait(&set, &mut info, &time))?;
        Ok(Told {
            signal: info.si_signo,
            code: info.si_code,
            pid: info.si_pid(),
            value: info.si_value().sival_ptr as usize,
        })
    }
}
