//! State, sessions, dispatch.

mod attributes;
mod facts;
mod files;
mod locking;
mod memory;
mod mount;
mod names;
mod objects;
mod open;
mod pipes;
mod regular;
mod remote;
mod shm;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use ferrix_abi::handle::Handle;
use ferrix_locks::service::Locks;
use ferrix_proto::startup::{Startup, name};
use ferrix_proto::{file, path, shm as proto_shm};
use ferrix_rt::connections::Connections;
use ferrix_rt::service::{Caller, Outcome, Reply, Request, SESSION_RIGHTS, Service};
use ferrix_rt::sys::{ipc, process};
use ferrix_vfs::errno::{EBADF, EINVAL, ENODEV, ENOSYS, ENOTDIR, Result};
use ferrix_vfs::permissions::Credentials;
use ferrix_vfs::pseudo::Local;
use ferrix_vfs::shm::Segments;
use ferrix_vfs::walk::{Found, Last, Start, Tree};
use ferrix_vfs::{Node, walk};
use linux_raw_sys::general as linux;

/// The ports that the VFS uses.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Where requests arrive.
    pub own: Handle,
    blk: Handle,
    ext2: Handle,
    console: Handle,
}

impl Ports {
    /// By name from the start-up page.
    pub fn find(startup: &Startup) -> Result<Ports> {
        let find = |name| startup.handle(name).map(Handle).ok_or(EINVAL);
        let (own, blk) = (find(name::SELF)?, find(name::BLK)?);
        Ok(Ports {
            own,
            blk,
            ext2: find(name::EXT2)?,
            console: find(name::CONSOLE)?,
        })
    }
}

/// An open file description of the VFS's own.
struct Session {
    object: Object,
    /// `O_*` status flags and access mode.
    flags: u32,
}

enum Object {
    Directory {
        node: Node,
        root: Node,
        cookie: u64,
        hold: Hold,
    },
    /// A regular file whose bytes are the VFS's.
    File {
        node: Node,
        offset: u64,
    },
    Pipe {
        id: usize,
        end: pipes::End,
    },
    /// A System V shared memory segment attached.
    Attachment {
        id: u32,
    },
    /// No longer.
    Detached,
    Local {
        node: Node,
        local: Local,
        offset: u64,
    },
}

/// Keeps an inode alive in its file system.
enum Hold {
    /// There is nothing to keep.
    Nothing,
    /// By a session with its server.
    Session(Handle),
    /// The file system counts its users.
    Counted,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Hold::Session(handle) = self {
            let _ = ipc::close(*handle);
        }
    }
}

/// What `/proc` also shows; shared with its source of facts.
#[derive(Default)]
struct Shared {
    caller: Cell<u32>,
    mounts: RefCell<alloc::string::String>,
    unknown_calls: RefCell<BTreeMap<u64, u64>>,
    segments: RefCell<Segments>,
    /// Pages of all files in memory, when `/proc` was last asked.
    memory_pages: Cell<u64>,
}

/// The server.
pub struct Vfs {
    ports: Ports,
    tree: Tree,
    /// Badge - 1 is the index.
    sessions: Vec<Option<Session>>,
    pipes: pipes::Pipes,
    connections: Connections,
    remote: Rc<remote::Server>,
    shared: Rc<Shared>,
    /// The mount that holds files without names.
    unnamed: Option<usize>,
    /// What sockets' files are known by to who may use them.
    socket_keys: BTreeMap<Node, [u64; 2]>,
    locks: Locks<Node>,
}

/// The root of everything: mount 0 is the root file system.
fn global_root(tree: &mut Tree) -> Result<Node> {
    let inode = tree.mounts.get(0).map_err(|_| ENODEV)?.filesystem.root();
    Ok(Node { mount: 0, inode })
}

impl Vfs {
    /// Nothing mounted yet.
    pub fn new(ports: &Ports) -> Vfs {
        Vfs {
            ports: *ports,
            tree: Tree::default(),
            sessions: Vec::new(),
            pipes: pipes::Pipes::new(ports.own),
            connections: Connections::new(ports.own),
            remote: Rc::new(remote::Server::new(ports.ext2)),
            shared: Rc::default(),
            unnamed: None,
            socket_keys: BTreeMap::new(),
            locks: Locks::new(ports.own),
        }
    }

    /// Makes a session for an object; the handle to give away and its badge.
    fn add_session(&mut self, object: Object, flags: u32, ready: u32) -> Result<(Handle, u32)> {
        let free = self.sessions.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        });
        let badge = index as u32 + 1;
        let handle = match ipc::session_create(self.ports.own, badge, ready) {
            Ok(handle) => handle,
            Err(error) => {
                if let Object::File { node, .. }
                | Object::Directory {
                    node,
                    hold: Hold::Counted,
                    ..
                } = object
                {
                    self.close_held(node);
                }
                return Err(error.into());
            }
        };
        let kept = linux::O_ACCMODE | linux::O_APPEND | linux::O_NONBLOCK | linux::O_DIRECTORY;
        self.sessions[index] = Some(Session {
            object,
            flags: flags & kept,
        });
        Ok((handle, badge))
    }

    /// Says that a user of a held inode is gone.
    fn close_held(&mut self, node: Node) {
        // After a forced unmount there is nothing left to close.
        if let Ok(mount) = self.tree.mounts.get(node.mount) {
            mount.filesystem.close(node.inode);
        }
    }

    fn session(&mut self, badge: u32) -> Result<&mut Session> {
        let index = (badge as usize).checked_sub(1).ok_or(EBADF)?;
        self.sessions
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(EBADF)
    }

    /// The directory and root that a session stands for; the plain port is the global root.
    fn directory(&mut self, badge: u32) -> Result<(Node, Node)> {
        if badge == 0 {
            let root = global_root(&mut self.tree)?;
            return Ok((root, root));
        }
        match self.session(badge)?.object {
            Object::Directory { node, root, .. } => Ok((node, root)),
            _ => Err(ENOTDIR),
        }
    }

    /// Where a request's paths start, and who asks.
    fn start(&mut self, request: &Request) -> Result<Start> {
        let who = Credentials::effective(&process::identity(request.caller.pid)?);
        let (base, root) = self.directory(request.badge)?;
        Ok(Start { base, root, who })
    }

    /// The request's one path.
    fn path(&self, request: &Request) -> Result<Vec<u8>> {
        request.payload(&self.connections, path::PATH_MAX)
    }

    /// The request's two paths, and what follows them.
    fn two_paths(&self, request: &Request) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut first = request.payload(&self.connections, 2 * path::PATH_MAX)?;
        let length = request.words[1] as u32 as usize;
        if length > first.len() {
            return Err(EINVAL);
        }
        let second = first.split_off(length);
        Ok((first, second))
    }

    fn walk(&mut self, start: &Start, path: &[u8], last: Last) -> Result<Found> {
        self.tree.walk(start, path, last)
    }

    /// Where the second path starts: at the directory whose session came along, if one did.
    fn second_start(&mut self, request: &Request, first: &Start) -> Result<Start> {
        let Ok(handle) = request.handle(0) else {
            return Ok(*first);
        };
        let badge = ipc::session_badge(self.ports.own, handle).map_err(|_| ENOTDIR);
        let _ = ipc::close(handle);
        let (base, root) = self.directory(badge?)?;
        Ok(Start {
            base,
            root,
            ..*first
        })
    }

    fn dispatch(&mut self, request: &Request) -> Outcome {
        match request.head.operation() {
            path::OPEN => self.open(request),
            path::GET_ATTRIBUTES => self.get_attributes_of(request),
            path::SET_ATTRIBUTES => self.set_attributes_of(request),
            path::ACCESS => self.access(request),
            path::MAKE_DIRECTORY => self.make_directory(request),
            path::MAKE_NODE => self.make_node(request),
            path::UNLINK => self.unlink(request),
            path::RENAME => self.rename(request),
            path::LINK => self.link(request),
            path::SYMLINK => self.symlink(request),
            path::READ_LINK => self.read_link(request),
            path::PATH_OF => self.path_of(request),
            path::FILESYSTEM_INFO => self.filesystem_info_of(request),
            path::MOUNT => self.mount(request),
            path::UNMOUNT => self.unmount(request),
            path::PIPE => self.pipe(request),
            path::SYNC_ALL => self.sync_all(),
            path::SYNC_OBJECT => self.sync_object(request),
            path::COUNT_UNKNOWN_CALL => self.count_unknown_call(request),
            path::MAKE_UNNAMED => self.memory_file(request),
            path::MAKE_ROOT => self.make_root(request),
            path::SOCKET_KEY => self.socket_key(request),
            file::READ => self.read(request),
            file::WRITE => self.write(request),
            file::SEEK => self.seek(request),
            file::GET_ATTRIBUTES => self.get_attributes(request),
            file::SET_ATTRIBUTES => self.set_attributes(request),
            file::SYNC => self.sync(request),
            file::READ_DIRECTORY => self.read_directory(request),
            file::IOCTL => self.ioctl(request),
            file::GET_FLAGS => self.get_flags(request),
            file::SET_FLAGS => self.set_flags(request),
            file::FILESYSTEM_INFO => self.filesystem_info(request),
            file::GET_OBJECT => self.get_object(request),
            file::GET_SEALS => self.get_seals(request),
            file::ADD_SEALS => self.add_seals(request),
            file::ALLOCATE => self.allocate(request),
            file::LOCK => self.lock(request),
            file::UNLOCK_ALL => self.unlock_all(request),
            file::LOCK_WHOLE => self.lock_whole(request),
            operation => self.dispatch_shm(operation, request),
        }
    }

    fn dispatch_shm(&mut self, operation: u16, request: &Request) -> Outcome {
        match operation {
            proto_shm::GET => self.shm_get(request),
            proto_shm::ATTACH => self.shm_attach(request),
            proto_shm::DETACH => self.shm_detach(request),
            proto_shm::GET_SEGMENT => self.shm_segment(request),
            proto_shm::SET_SEGMENT => self.shm_set(request),
            proto_shm::REMOVE => self.shm_remove(request),
            proto_shm::SUMMARY => self.shm_summary(),
            _ => Err(ENOSYS),
        }
    }

    fn count_unknown_call(&mut self, request: &Request) -> Outcome {
        *self
            .shared
            .unknown_calls
            .borrow_mut()
            .entry(request.words[0])
            .or_default() += 1;
        Ok(Some(Reply::value(0)))
    }
}

impl Service for Vfs {
    fn request(&mut self, request: &Request) -> Outcome {
        self.shared.caller.set(request.caller.pid);
        let outcome = self.dispatch(request);
        if self.remote.take_restarted() {
            self.tree.cache.clear();
        }
        outcome
    }

    fn closed(&mut self, badge: u32) {
        if self.locks.owner_closed(badge) {
            return;
        }
        let Some(slot) = (badge as usize)
            .checked_sub(1)
            .and_then(|index| self.sessions.get_mut(index))
        else {
            return;
        };
        let Some(Session { object, .. }) = slot.take() else {
            return;
        };
        self.unlock_closed(badge, &object);
        match object {
            Object::Pipe { id, end } => self.pipes.closed(id, end, badge, &self.connections),
            Object::File { node, .. }
            | Object::Directory {
                node,
                hold: Hold::Counted,
                ..
            } => self.close_held(node),
            Object::Attachment { id } => self.shm_detached(id, None),
            _ => {}
        }
    }

    fn cancelled(&mut self, caller: Caller) {
        self.pipes.cancelled(caller);
        self.locks.cancelled(caller);
    }

    fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }
}

/// A reply that gives a new session away.
fn give(handle: Handle, kind: u64) -> Reply {
    Reply::value(0)
        .with_words([kind, 0, 0])
        .with_handle(handle, SESSION_RIGHTS)
}

/// `Last` from a protocol's lookup flags.
fn last(flags: u64) -> walk::Last {
    if flags & path::lookup::NO_FOLLOW != 0 {
        Last::NoFollow
    } else {
        Last::Follow
    }
}
