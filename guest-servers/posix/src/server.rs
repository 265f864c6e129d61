//! Requests to servers.

use crate::state;
use crate::window::{self, Server, Slot, Use};
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, LONG_MAX, Tag, WaitItem};
use ferrix_posix::time::deadline;
use ferrix_posix::{Errno, Result};
use ferrix_proto::attributes::Plain;
use ferrix_proto::file::kind;
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::{ipc, utcb};

use crate::state::FILES;
use ferrix_posix::descriptors::Descriptor;

/// Once a window is there, data above this many bytes moves through it: the kernel copies LONG bytes, and nobody
/// copies what is in a window.
const INLINE_WITH_WINDOW: u64 = 64;

/// A request without payload.
pub fn ask(to: Handle, operation: u16, words: [u64; 3]) -> Result<Answer> {
    Ok(exchange(
        to,
        Tag::SHORT,
        Head::new(operation, Place::INLINE, 0),
        words,
    )?)
}

/// A request with inline payload.
pub fn ask_with(to: Handle, operation: u16, words: [u64; 3], payload: &[u8]) -> Result<Answer> {
    let length = utcb::put_bytes(payload);
    let head = Head::new(operation, Place::INLINE, length as u32);
    Ok(exchange(to, Tag::new(length, 0, 0), head, words)?)
}

/// A request whose answer may be up to `room` inline bytes.
pub fn ask_room(to: Handle, operation: u16, words: [u64; 3], room: usize) -> Result<Answer> {
    Ok(exchange(
        to,
        Tag::SHORT,
        Head::new(operation, Place::INLINE, room as u32),
        words,
    )?)
}

/// The structure that came as LONG bytes.
pub fn received<T: Plain>(answer: &Answer) -> Result<T> {
    let (bytes, length) = utcb::received_bytes(answer.bytes);
    T::from_bytes(&bytes[..length]).ok_or(Errno::EIO)
}

/// A server that forgets a promised handle has failed.
pub fn expect_handles(answer: &Answer, count: usize) -> Result<()> {
    if answer.handles == count {
        Ok(())
    } else {
        Err(Errno::EIO)
    }
}

/// How data moves.
#[derive(Debug)]
pub enum Channel {
    /// In the message.
    Inline,
    /// Through a slot of the window.
    Window(Slot),
}

/// Chooses the channel for `length` bytes with the server of `fd`'s description.
pub fn channel(fd: u64, descriptor: &Descriptor, length: u64) -> Result<Channel> {
    if length <= INLINE_WITH_WINDOW {
        return Ok(Channel::Inline);
    }
    let session = Handle(descriptor.handle);
    if length <= LONG_MAX as u64 && !known_server(descriptor).is_some_and(window::is_connected) {
        return Ok(Channel::Inline);
    }
    let server = server_of(fd, descriptor)?;
    let slot = window::take(server, session, Use::Transfer)?;
    Ok(slot.map_or(Channel::Inline, Channel::Window))
}

/// The server behind `fd`'s description.
pub fn server_of(fd: u64, descriptor: &Descriptor) -> Result<Server> {
    match known_server(descriptor) {
        Some(server) => Ok(server),
        None => find_server(fd, Handle(descriptor.handle)),
    }
}

/// Waits until a session has one of the bits, or is in error.
///
/// # Errors
/// `ETIMEDOUT`, `EINTR`.
pub fn wait_ready(session: Handle, want: u32, until: u64) -> Result<()> {
    let mut items = [WaitItem {
        handle: session.0,
        want,
        ..WaitItem::default()
    }];
    match ipc::wait_many(&mut items, until)? {
        0 => Err(Errno::ETIMEDOUT),
        _ => Ok(()),
    }
}

/// Asks until there is no need to wait. What the reply says then must be taken from the UTCB at once.
///
/// # Errors
/// `EAGAIN` when the description's time limit is over; what is asked says.
pub fn patient(
    session: Handle,
    mut ask: impl FnMut() -> core::result::Result<Answer, i32>,
) -> Result<Answer> {
    let mut until = FOREVER;
    loop {
        let answer = ask()?;
        let [limit, _, bits] = answer.words;
        if bits == 0 {
            return Ok(answer);
        }
        // The limit is one for all waits of the call.
        if until == FOREVER && limit != 0 {
            until = deadline(monotonic_ns(), limit);
        }
        wait_ready(session, bits as u32, until).map_err(|errno| match errno {
            Errno::ETIMEDOUT => Errno::EAGAIN,
            errno => errno,
        })?;
    }
}

fn known_server(descriptor: &Descriptor) -> Option<Server> {
    match (descriptor.server, u64::from(descriptor.kind)) {
        (0, kind::DIRECTORY | kind::PIPE) => Some(Server::VFS),
        (0, _) => None,
        (number, _) => Some(Server(number - 1)),
    }
}

fn find_server(fd: u64, session: Handle) -> Result<Server> {
    let server = window::server_of(session)?;
    // Remember it, if the number still means the same description.
    if let Ok(entry) = FILES.lock().table.get_mut(fd)
        && entry.handle == session.0
    {
        entry.server = server.0 + 1;
    }
    Ok(server)
}

/// Counts a call that is not implemented, for `/proc/ferrix/enosys`.
pub fn count_unknown(number: u64) {
    let root = state::FILES.lock().root;
    // A count that is lost because vfs is away changes nothing for the program.
    let _ = ask(root, ferrix_proto::path::COUNT_UNKNOWN_CALL, [number, 0, 0]);
}

/// If the server on the other side has been restarted since the window was made: forget the window. True if so.
pub fn has_restarted(server: Server, errno: Errno) -> bool {
    let lost = errno == Errno::EINVAL || errno == Errno::EPIPE || errno == Errno::ESTALE;
    let gone = lost && window::is_stale(server);
    if gone {
        window::disconnect(server);
    }
    gone
}
