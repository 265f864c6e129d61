//! Sockets of the Unix domain and counters (`eventfd`): what is asked of `queue`.
//!
//! No request waits at the server. Where the description would wait, the reply has status 0, in word 3 the
//! [readiness](ferrix_abi::ipc::ready) to wait for before asking again, and in word 1 for how long at most, in nanoseconds (0:
//! for ever; `EAGAIN` when it is over). Otherwise word 3 is 0.
//!
//! A name in the file system is known to the server by a [key](crate::path::SOCKET_KEY), which `vfs` tells to who may use
//! the file; a name without (abstract) has the key 0, 0.

use crate::request::SOCKET_BASE;

/// On the port: word 1 = family | type << 16 | status flags << 32 → handle 0.
pub const CREATE: u16 = SOCKET_BASE;
/// On the port: words as [`CREATE`] → handles 0 and 1, connected.
pub const PAIR: u16 = SOCKET_BASE + 1;
/// The payload is `sun_path`; words 1 and 2 = key. Without a path the server chooses an abstract name.
pub const BIND: u16 = SOCKET_BASE + 2;
/// Word 1 = most connections that wait to be accepted.
pub const LISTEN: u16 = SOCKET_BASE + 3;
/// As [`BIND`]. Word 3 = 1: to nobody any more (`AF_UNSPEC`).
pub const CONNECT: u16 = SOCKET_BASE + 4;
/// Word 1 = status flags → handle 0, LONG bytes = the peer's `sun_path`.
pub const ACCEPT: u16 = SOCKET_BASE + 5;
/// The head's length and place are the data's. Word 1 = `MSG_*` flags | bytes of the address << 32, word 2 = 1 to pass what
/// was [staged](STAGE). LONG bytes: with an address its key (16 bytes) and the address, then the data if it is inline
/// → status = bytes taken.
pub const SEND: u16 = SOCKET_BASE + 6;
/// The head's length is the room, its place where to put data. Word 1 = `MSG_*` flags → status = bytes, word 1 = [`got`] flags and
/// `MSG_*` flags | bytes of the sender's address << 32, word 2 = bytes stored | descriptors passed << 32. LONG bytes: with
/// [`got::CREDENTIALS`] pid, uid, gid and 0 (16 bytes), then the address, then the data if it is inline.
pub const RECEIVE: u16 = SOCKET_BASE + 7;
/// Word 1 = `SHUT_*`.
pub const SHUTDOWN: u16 = SOCKET_BASE + 8;
/// Word 1 = 0 for its own name, 1 for the peer's → status = bytes, LONG bytes = `sun_path`.
pub const NAME: u16 = SOCKET_BASE + 9;
/// Word 1 = `SO_*` → words 1 and 2 = value.
pub const GET_OPTION: u16 = SOCKET_BASE + 10;
/// Word 1 = `SO_*`, words 2 and 3 = value.
pub const SET_OPTION: u16 = SOCKET_BASE + 11;
/// Open files that the calling thread will pass with its next [`SEND`]: their sessions as handles. Word 1 = their
/// [kinds](crate::file::kind), 16 bits each, word 2 = 1 for the first of them (what was staged before is dropped).
pub const STAGE: u16 = SOCKET_BASE + 12;
/// Open files that the calling thread's last [`RECEIVE`] brought → handles (at most 4), word 1 = kinds as above.
pub const UNSTAGE: u16 = SOCKET_BASE + 13;
/// On the port: word 1 = first value, word 2 = `EFD_*` flags → handle 0. Read and written as a file.
pub const CREATE_COUNTER: u16 = SOCKET_BASE + 14;

/// The only families: `AF_UNIX`, and `AF_NETLINK` for a socket that only receives what a message queue tells.
pub mod family {
    /// Connects processes.
    pub const UNIX: u64 = 1;
    /// Tells of messages.
    pub const NETLINK: u64 = 16;
}

/// In word 1 of a reply to [`RECEIVE`], beside `MSG_*` flags.
pub mod got {
    /// The sender's ids are there.
    pub const CREDENTIALS: u32 = 1 << 31;
}

/// Longest `sun_path`.
pub const PATH_MAX: usize = 108;
/// Most descriptors in one message (`SCM_MAX_FD`).
pub const PASSED_MAX: usize = 253;
/// Bytes of data in one request at most.
pub const DATA_MAX: usize = 65536;
