//! The calling side of the protocols: a request and its status.

use crate::sys::{ipc, utcb};
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_proto::request::{Head, Place};

/// A Linux errno.
pub type Errno = i32;

/// A reply: its status was zero or more.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Status word.
    pub value: u64,
    /// Words 1 to 3.
    pub words: [u64; 3],
    /// LONG bytes in the UTCB.
    pub bytes: usize,
    /// Handles in the UTCB.
    pub handles: usize,
}

/// A request under construction.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Operation number.
    pub operation: u16,
    /// Words 1 to 3.
    pub words: [u64; 3],
    /// Inline payload (at most 256 bytes).
    pub payload: &'a [u8],
    /// Handles put into the UTCB beforehand.
    pub handles: usize,
    /// Modifier bits of the tag.
    pub modifiers: u32,
}

impl Request<'_> {
    /// A request without payload.
    pub const fn new(operation: u16, words: [u64; 3]) -> Request<'static> {
        Request {
            operation,
            words,
            payload: &[],
            handles: 0,
            modifiers: 0,
        }
    }

    /// Sends it and waits for the reply.
    ///
    /// # Errors
    /// The server's errno, or the kernel's error as errno.
    pub fn send(&self, to: Handle) -> Result<Answer, Errno> {
        let bytes = utcb::put_bytes(self.payload);
        let head = Head::new(self.operation, Place::INLINE, bytes as u32);
        let tag = Tag::new(bytes, self.handles, 0).with(self.modifiers);
        exchange(to, tag, head, self.words)
    }
}

/// Sends words whose payload, if any, is already in the UTCB or the window.
///
/// # Errors
/// The server's errno, or the kernel's error as errno.
pub fn exchange(to: Handle, tag: Tag, head: Head, words: [u64; 3]) -> Result<Answer, Errno> {
    let words = [head.0, words[0], words[1], words[2]];
    let reply = ipc::call(to, tag, words).map_err(i32::from)?;
    let value = ipc::status(reply.words[0])?;
    let words = [reply.words[1], reply.words[2], reply.words[3]];
    Ok(Answer {
        value,
        words,
        bytes: reply.tag.bytes(),
        handles: reply.tag.handles(),
    })
}
