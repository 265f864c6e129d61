//! Message queues, semaphores, sockets and events: what is asked of `queue`.
//!
//! Requests that may wait name a deadline in monotonic nanoseconds, or [`FOREVER`](ferrix_abi::ipc::FOREVER): the server
//! keeps the time, so that a message is either received or still there. Queues, sockets and counters are sessions that also
//! understand [`file`](crate::file).

use crate::request::QUEUE_BASE;

/// On the port: a session that tells the server when the calling process ends → handle 0 (to be kept from children).
pub const PRESENCE: u16 = QUEUE_BASE;
/// Moves to the window (word 3) what a reply left with the server because it did not fit into a message: word 1 = the
/// number in that reply → status = bytes.
pub const TAKE: u16 = QUEUE_BASE + 1;

/// On the port: answered when the ends of sessions so far have been seen, so that the other side of a socket knows them.
pub const SETTLE: u16 = QUEUE_BASE + 11;

/// POSIX message queues (mq_overview(7)).
///
/// Beside Linux's names there are those with a `/`, which Linux does not have: `pid/N` is the mailbox of a process.
/// It is made when first opened, anybody may send to it, the process itself reads it, and it goes with the
/// process. `ESRCH` if there is none.
pub mod mq {
    use super::QUEUE_BASE;

    /// On the port: word 1 = `O_*` flags | mode after umask << 32, word 2 = messages | bytes of a message << 32 (0: as usual),
    /// word 3 = [`create`] bits, the payload is the name → handle 0 = session.
    pub const OPEN: u16 = QUEUE_BASE + 2;
    /// On the port: the payload is the name.
    pub const UNLINK: u16 = QUEUE_BASE + 3;
    /// The payload is the message. Word 1 = priority | [`TRY`] or [`DEPOSITED`] << 32, word 2 = deadline. Status 1: it would
    /// have waited, and the message is kept for the thread to send as [`DEPOSITED`].
    pub const SEND: u16 = QUEUE_BASE + 4;
    /// The head's length is the room. Word 1 = [`TRY`], word 2 = deadline → status = bytes, word 1 = priority, and the
    /// message as LONG bytes, or word 2 = number for [`TAKE`](super::TAKE).
    pub const RECEIVE: u16 = QUEUE_BASE + 5;
    /// Word 1 = [`notify`] | signal << 32, word 2 = value; for a thread: handle 0 = its socket, the payload is what it is to receive.
    pub const NOTIFY: u16 = QUEUE_BASE + 6;
    /// → word 1 = flags, word 2 = messages | bytes of a message << 32, word 3 = messages now.
    pub const ATTRIBUTES: u16 = QUEUE_BASE + 7;
    /// The calling process closes a descriptor: it will not be notified.
    pub const DISOWN: u16 = QUEUE_BASE + 8;

    /// What comes with [`OPEN`].
    pub mod create {
        /// Word 2 holds attributes.
        pub const WITH_ATTRIBUTES: u64 = 1;
        /// A topic: who opens it for reading gets every message that is sent from then on.
        pub const TOPIC: u64 = 2;
    }

    /// Do not wait: say that it would have been so.
    pub const TRY: u64 = 1;
    /// The message is what the thread tried to send last: no slot of a window is held by who waits.
    pub const DEPOSITED: u64 = 2;
    /// In `mq_flags` at creation: the queue is a topic.
    pub const FLAG_TOPIC: u64 = 0x1_0000;
    /// Bytes of what a thread receives.
    pub const COOKIE: usize = 32;

    /// How a process is told of a message.
    pub mod notify {
        /// No longer.
        pub const REMOVE: u64 = 0;
        /// Not at all.
        pub const NONE: u64 = 1;
        /// By a signal.
        pub const SIGNAL: u64 = 2;
        /// By what a socket receives.
        pub const THREAD: u64 = 3;
    }

    /// Longest name.
    pub const NAME_MAX: usize = 255;
    /// Priorities are below.
    pub const PRIORITIES: u64 = 32768;
    /// Messages of a queue unless its maker says otherwise, and the most for who is not user 0.
    pub const MESSAGES: u64 = 10;
    /// Bytes of a message unless the maker says otherwise, and the most for who is not user 0.
    pub const SIZE: u64 = 8192;
    /// Most messages of a queue.
    pub const MESSAGES_MAX: u64 = 65536;
    /// Most bytes of a message.
    pub const SIZE_MAX: u64 = 65536;
    /// Most queues with names, for who is not user 0.
    pub const QUEUES_MAX: usize = 256;
}
