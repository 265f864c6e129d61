//! Paths on their way to vfs: fetched from the program into the message or, when long, into the window.

use crate::state::{FILES, directory};
use crate::window::{self, Server, Slot};
use crate::{server, user};
use arrayvec::ArrayVec;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_posix::{Errno, Result};
use ferrix_proto::path::PATH_MAX;
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::AT_FDCWD;

/// `AT_FDCWD` as an argument.
pub const CWD: u64 = AT_FDCWD as i64 as u64;

/// Payload of a request to vfs.
#[derive(Debug, Default)]
pub struct Payload {
    inline: ArrayVec<u8, LONG_MAX>,
    slot: Option<Slot>,
    length: u64,
}

impl Payload {
    /// Empty.
    pub fn new() -> Payload {
        Payload::default()
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.make_room(bytes.len() as u64)?;
        match &self.slot {
            Some(slot) => slot.fill(self.length, bytes)?,
            None => self
                .inline
                .try_extend_from_slice(bytes)
                .map_err(|_| Errno::EIO)?,
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Appends a path of the program; its length. An empty path is `ENOENT`.
    pub fn push_path(&mut self, address: u64) -> Result<u64> {
        match self.push_string(address)? {
            0 => Err(Errno::ENOENT),
            length => Ok(length),
        }
    }

    /// Appends a string of the program, which may be empty; its length.
    pub fn push_string(&mut self, address: u64) -> Result<u64> {
        let length = user::string_length(address, PATH_MAX as u64 - 1)?;
        self.make_room(length)?;
        match &self.slot {
            Some(slot) => slot.fill_from_program(self.length, address, length)?,
            None => {
                let mut bytes = [0; LONG_MAX];
                user::read_bytes(address, &mut bytes[..length as usize])?;
                self.inline
                    .try_extend_from_slice(&bytes[..length as usize])
                    .map_err(|_| Errno::EIO)?;
            }
        }
        self.length += length;
        Ok(length)
    }

    /// The same payload behind `front`.
    pub fn with_front(self, front: &[u8]) -> Result<Payload> {
        let mut joined = Payload::new();
        joined.push(front)?;
        match &self.slot {
            None => joined.push(&self.inline)?,
            Some(slot) => {
                joined
                    .use_window()?
                    .fill_from_slot_at(front.len() as u64, slot, self.length)?;
                joined.length += self.length;
            }
        }
        Ok(joined)
    }

    /// Moves what there is to the window if `more` bytes would not fit into the message.
    fn make_room(&mut self, more: u64) -> Result<()> {
        if self.slot.is_none() && self.length + more > LONG_MAX as u64 {
            self.use_window()?;
        }
        Ok(())
    }

    /// Moves what there is to the window, where a long answer has room too.
    pub fn use_window(&mut self) -> Result<&Slot> {
        if self.slot.is_none() {
            let root = FILES.lock().root;
            let slot = window::wait_for_slot(Server::VFS, root)?;
            slot.fill(0, &self.inline)?;
            self.slot = Some(slot);
        }
        self.slot()
    }

    /// The window's slot.
    pub fn slot(&self) -> Result<&Slot> {
        self.slot.as_ref().ok_or(Errno::EIO)
    }

    /// Sends the request: words 1 and 2, modifiers of the tag.
    pub fn send(
        &self,
        to: Handle,
        operation: u16,
        words: [u64; 2],
        modifiers: u32,
    ) -> Result<Answer> {
        self.send_with(to, operation, words, modifiers, None)
    }

    /// The same with a directory as handle 0.
    pub fn send_with(
        &self,
        to: Handle,
        operation: u16,
        [first, second]: [u64; 2],
        modifiers: u32,
        extra: Option<Handle>,
    ) -> Result<Answer> {
        if let Some(directory) = extra {
            utcb::put_handle(0, directory, Rights::SEND);
        }
        let handles = usize::from(extra.is_some());
        let (place, bytes, offset) = match &self.slot {
            Some(slot) => (Place::WINDOW, 0, slot.offset()),
            None => (Place::INLINE, utcb::put_bytes(&self.inline), 0),
        };
        let head = Head::new(operation, place, self.length as u32);
        let tag = Tag::new(bytes, handles, 0).with(modifiers);
        let result = exchange(to, tag, head, [first, second, offset]).map_err(Errno::from);
        match (&self.slot, result) {
            (Some(_), Err(errno)) if server::has_restarted(Server::VFS, errno) => {
                Err(Errno::RESTART)
            }
            (_, result) => result,
        }
    }
}

/// A path of the program, and the directory session to ask it on.
#[derive(Debug)]
pub struct Name {
    /// The path, to which more may be added.
    pub payload: Payload,
    /// Where it starts.
    pub start: Handle,
}

/// How a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Root,
    Directory(Handle),
}

/// Fetches a path that starts at `directory_fd` unless it is absolute.
pub fn name(directory_fd: u64, address: u64) -> Result<Name> {
    let mut payload = Payload::new();
    let start = handle_of(start_of(directory_fd, address)?);
    payload.push_path(address)?;
    Ok(Name { payload, start })
}

/// Whether the program's string is empty.
pub fn is_empty(address: u64) -> Result<bool> {
    Ok(user::read::<u8>(address)? == 0)
}

fn start_of(directory_fd: u64, address: u64) -> Result<Start> {
    match user::read::<u8>(address)? {
        b'/' => Ok(Start::Root),
        0 => Err(Errno::ENOENT),
        _ => directory(directory_fd).map(Start::Directory),
    }
}

fn handle_of(start: Start) -> Handle {
    match start {
        Start::Root => FILES.lock().root,
        Start::Directory(handle) => handle,
    }
}

impl Name {
    /// Asks for something that no signal interrupts.
    pub fn ask(&self, operation: u16, words: [u64; 2]) -> Result<Answer> {
        self.payload.send(self.start, operation, words, 0)
    }
}

/// Two paths of the program, in one request: the first one's length is word 2.
pub fn ask_two(first: (u64, u64), second: (u64, u64), operation: u16, flags: u64) -> Result<()> {
    let mut payload = Payload::new();
    let starts = (start_of(first.0, first.1)?, start_of(second.0, second.1)?);
    let length = payload.push_path(first.1)?;
    payload.push_path(second.1)?;
    // An absolute path starts at the caller's root, on whatever session it is asked.
    let (to, extra) = match starts {
        (Start::Directory(from), Start::Directory(to)) if from != to => (from, Some(to)),
        (Start::Directory(from), _) => (from, None),
        (Start::Root, second) => (handle_of(second), None),
    };
    payload
        .send_with(to, operation, [flags, length], 0, extra)
        .map(drop)
}
