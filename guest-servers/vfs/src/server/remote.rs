//! A file system behind a server that speaks [`ferrix_proto::filesystem`].
//!
//! When the server has died and init has started another one, its mount sessions are stale. The file system is then
//! mounted anew, and the request made again: it has not reached anybody. Inode numbers stay valid, since they are
//! the disk's; what was not written yet is lost, and files opened before stay stale for their programs.

use super::open::disk_session;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_abi::vm::MapFlags;
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo, Plain};
use ferrix_proto::filesystem::{self as proto, NewNode};
use ferrix_proto::request::{CONNECT, Head, Place};
use ferrix_rt::client::{Answer, Request, exchange};
use ferrix_rt::log;
use ferrix_rt::sys::{ipc, memory, utcb};
use ferrix_rt::window::Window;
use ferrix_vfs::errno::{EIO, ESTALE, Result};
use ferrix_vfs::filesystem::{Filesystem, Force, Opened, Removal};

/// Bytes of the window that the VFS shares with a file system server.
const WINDOW: u64 = 64 * 1024;

/// A file system server and the window to it.
pub struct Server {
    port: Handle,
    window: RefCell<Option<Rc<Window>>>,
    /// Whether it was started anew since that was asked last.
    restarted: Cell<bool>,
}

impl Server {
    /// No window yet: it is made when first needed.
    pub const fn new(port: Handle) -> Server {
        Server {
            port,
            window: RefCell::new(None),
            restarted: Cell::new(false),
        }
    }

    fn window(&self) -> Result<Rc<Window>> {
        if let Some(window) = &*self.window.borrow() {
            return Ok(Rc::clone(window));
        }
        let object = memory::object_create(WINDOW)?;
        let window = Rc::new(Window::map(object, MapFlags::INHERIT_NONE)?);
        utcb::move_handle(0, object, Rights::READ | Rights::WRITE);
        Request {
            handles: 1,
            ..Request::new(CONNECT, [WINDOW, 0, 0])
        }
        .send(self.port)?;
        *self.window.borrow_mut() = Some(Rc::clone(&window));
        Ok(window)
    }

    /// Whether it was started anew since the last time: what is known of names may be wrong.
    pub fn take_restarted(&self) -> bool {
        self.restarted.take()
    }

    /// Mounts a device: the mount session, the root inode, whether it is read-only.
    pub fn mount(&self, device: Handle, flags: u64) -> Result<(Handle, u64, bool)> {
        utcb::move_handle(0, device, Rights::SEND | Rights::DUP | Rights::TRANSFER);
        let request = Request {
            handles: 1,
            ..Request::new(proto::MOUNT, [flags, 0, 0])
        };
        let answer = request.send(self.port)?;
        Ok((
            utcb::received_handle(0),
            answer.words[0],
            answer.words[1] != 0,
        ))
    }
}

/// What is mounted.
pub struct Device {
    /// The server of block devices.
    pub blk: Handle,
    /// Name of the device.
    pub disk: String,
    /// `filesystem::mount` bits.
    pub flags: u64,
}

/// A mounted file system.
pub struct Remote {
    server: Rc<Server>,
    device: Device,
    mount: Cell<Handle>,
    root: u64,
    read_only: bool,
}

impl Remote {
    /// Mounts a device.
    pub fn mount(server: Rc<Server>, device: Device) -> Result<Remote> {
        let session = disk_session(device.blk, &device.disk)?;
        let (mount, root, read_only) = server.mount(session, device.flags)?;
        Ok(Remote {
            server,
            device,
            mount: Cell::new(mount),
            root,
            read_only,
        })
    }

    /// Whether changes are refused.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn ask(&self, operation: u16, words: [u64; 3], payload: &[u8]) -> Result<Answer> {
        self.persistently(|| self.ask_once(operation, words, payload))
    }

    /// Asks; if the server is gone, its successor.
    fn persistently(&self, ask: impl Fn() -> Result<Answer>) -> Result<Answer> {
        match ask() {
            Err(ESTALE) if self.is_stale() => {
                self.mount_again()?;
                ask()
            }
            outcome => outcome,
        }
    }

    fn ask_once(&self, operation: u16, words: [u64; 3], payload: &[u8]) -> Result<Answer> {
        if payload.len() <= LONG_MAX {
            return Request {
                payload,
                ..Request::new(operation, words)
            }
            .send(self.mount.get());
        }
        self.server.window()?.write(0, payload)?;
        let head = Head::new(operation, Place::WINDOW, payload.len() as u32);
        exchange(self.mount.get(), Tag::SHORT, head, words)
    }

    /// Whether the mount session leads to a server that is gone: a live one always knows its sizes.
    fn is_stale(&self) -> bool {
        let probe = Request::new(proto::INFO, [0; 3]).send(self.mount.get());
        matches!(probe, Err(ESTALE))
    }

    fn mount_again(&self) -> Result<()> {
        let Device { blk, disk, flags } = &self.device;
        *self.server.window.borrow_mut() = None;
        self.server.restarted.set(true);
        let session = disk_session(*blk, disk)?;
        let (mount, ..) = self.server.mount(session, *flags)?;
        let _ = ipc::close(self.mount.replace(mount));
        log!(
            "vfs",
            "{disk} is mounted again: its server was started anew"
        );
        Ok(())
    }

    fn ask_attributes(
        &self,
        operation: u16,
        words: [u64; 3],
        payload: &[u8],
    ) -> Result<Attributes> {
        let answer = self.ask(operation, words, payload)?;
        record(&answer)
    }
}

/// A structure that came as LONG bytes.
fn record<T: Plain>(answer: &Answer) -> Result<T> {
    let (bytes, length) = utcb::received_bytes(answer.bytes);
    T::from_bytes(&bytes[..length]).ok_or(EIO)
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = ipc::close(self.mount.get());
    }
}

impl Filesystem for Remote {
    fn root(&self) -> u64 {
        self.root
    }

    fn type_name(&self) -> &'static str {
        "ext2"
    }

    fn lookup(&mut self, directory: u64, name: &[u8]) -> Result<Attributes> {
        self.ask_attributes(proto::LOOKUP, [directory, 0, 0], name)
    }

    fn attributes(&mut self, inode: u64) -> Result<Attributes> {
        self.ask_attributes(proto::GET_ATTRIBUTES, [inode, 0, 0], &[])
    }

    fn open(&mut self, inode: u64, flags: u32) -> Result<Opened> {
        self.ask(proto::OPEN, [inode, flags.into(), 0], &[])?;
        Ok(Opened::Session(utcb::received_handle(0)))
    }

    fn read_directory(&mut self, inode: u64, cookie: u64, room: usize) -> Result<Vec<u8>> {
        let room = room.min(WINDOW as usize);
        let head = Head::new(proto::READ_DIRECTORY, Place::WINDOW, room as u32);
        let answer = self.persistently(|| {
            self.server.window()?;
            exchange(self.mount.get(), Tag::SHORT, head, [inode, cookie, 0])
        })?;
        let window = self.server.window()?;
        let mut records = alloc::vec![0; (answer.value as usize).min(room)];
        window.read(0, &mut records)?;
        Ok(records)
    }

    fn read_link(&mut self, inode: u64) -> Result<Vec<u8>> {
        let head = Head::new(
            proto::READ_LINK,
            Place::WINDOW,
            ferrix_proto::path::PATH_MAX as u32,
        );
        let answer = self.persistently(|| {
            self.server.window()?;
            exchange(self.mount.get(), Tag::SHORT, head, [inode, 0, 0])
        })?;
        let window = self.server.window()?;
        let mut text = alloc::vec![0; (answer.value as usize).min(ferrix_proto::path::PATH_MAX)];
        window.read(0, &mut text)?;
        Ok(text)
    }

    fn info(&mut self) -> Result<FilesystemInfo> {
        record(&self.ask(proto::INFO, [0; 3], &[])?)
    }

    fn set_attributes(&mut self, inode: u64, change: Change, to: &Attributes) -> Result<()> {
        let words = [inode, change.bits().into(), 0];
        self.ask(proto::SET_ATTRIBUTES, words, to.to_bytes())
            .map(drop)
    }

    fn create(&mut self, directory: u64, name: &[u8], node: NewNode) -> Result<Attributes> {
        let payload = [&node.to_bytes()[..], name].concat();
        self.ask_attributes(proto::CREATE, [directory, 0, 0], &payload)
    }

    fn symlink(&mut self, directory: u64, name: &[u8], text: &[u8], node: NewNode) -> Result<()> {
        let payload = [&node.to_bytes()[..], name, text].concat();
        self.ask(proto::SYMLINK, [directory, name.len() as u64, 0], &payload)
            .map(drop)
    }

    fn link(&mut self, directory: u64, name: &[u8], inode: u64) -> Result<()> {
        self.ask(proto::LINK, [directory, inode, 0], name).map(drop)
    }

    fn unlink(&mut self, directory: u64, name: &[u8], what: Removal) -> Result<()> {
        let is_directory = u64::from(what == Removal::Directory);
        self.ask(proto::UNLINK, [directory, is_directory, 0], name)
            .map(drop)
    }

    fn rename(&mut self, from: (u64, &[u8]), to: (u64, &[u8])) -> Result<()> {
        let payload = [from.1, to.1].concat();
        // Word 3: the old name's length above, the window offset (0) below.
        self.ask(
            proto::RENAME,
            [from.0, to.0, (from.1.len() as u64) << 32],
            &payload,
        )
        .map(drop)
    }

    fn sync(&mut self) -> Result<()> {
        self.ask(proto::SYNC, [0; 3], &[]).map(drop)
    }

    fn sync_object(&mut self, object: u64) -> Result<()> {
        self.ask(proto::SYNC_OBJECT, [object, 0, 0], &[]).map(drop)
    }

    fn unmount(&mut self, force: Force) -> Result<()> {
        let forced = u64::from(force == Force::Forced);
        self.ask(proto::UNMOUNT, [0, forced, 0], &[]).map(drop)
    }
}
