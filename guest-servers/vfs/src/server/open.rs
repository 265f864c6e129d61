//! Opening and creating.

use super::pipes::End;
use super::{Hold, Object, Vfs, give, pipes};
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::ready;
use ferrix_proto::attributes::{Attributes, Change};
use ferrix_proto::file::kind;
use ferrix_proto::filesystem::NewNode;
use ferrix_proto::{block, tty};
use ferrix_rt::client;
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_rt::sys::utcb;
use ferrix_vfs::errno::{EEXIST, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO, EROFS, Result};
use ferrix_vfs::filesystem::{Kind, Node, Opened};
use ferrix_vfs::permissions::{self, Credentials, EXECUTE, READ, WRITE};
use ferrix_vfs::pseudo::Local;
use ferrix_vfs::walk::{Found, Last, Start};
use linux_raw_sys::general as linux;

pub(super) const READY: u32 = ready::READABLE | ready::WRITABLE;
const SET_GROUP_ID: u32 = 0o2000;

impl Hold {
    /// What opening a directory gave; generated directories have nothing to hold.
    pub(super) fn of(opened: Result<Opened>) -> Hold {
        match opened {
            Ok(Opened::Session(handle)) => Hold::Session(handle),
            Ok(Opened::Held) => Hold::Counted,
            _ => Hold::Nothing,
        }
    }
}

impl Vfs {
    /// `open(2)`.
    pub(super) fn open(&mut self, request: &Request) -> Outcome {
        let (flags, mode) = (
            request.words[0] as u32,
            (request.words[0] >> 32) as u32 & 0o7777,
        );
        let (path, start) = (self.path(request)?, self.start(request)?);
        let exclusive = flags & (linux::O_CREAT | linux::O_EXCL) == linux::O_CREAT | linux::O_EXCL;
        let last = if exclusive || flags & linux::O_NOFOLLOW != 0 {
            Last::NoFollow
        } else {
            Last::Follow
        };
        let found = self.walk(&start, &path, last)?;
        match found.entry {
            None if flags & linux::O_CREAT == 0 => Err(ENOENT),
            None if found.must_be_directory => Err(EISDIR),
            None => {
                let attributes = self.create(&start, &found, linux::S_IFREG | mode, 0)?;
                let node = Node {
                    mount: found.parent.mount,
                    inode: attributes.inode,
                };
                self.open_node(request, node, Kind::Regular, flags, start.root)
            }
            Some(_) if exclusive => Err(EEXIST),
            Some(_) => self.open_existing(request, &start, &found, flags),
        }
    }

    fn open_existing(
        &mut self,
        request: &Request,
        start: &Start,
        found: &Found,
        flags: u32,
    ) -> Outcome {
        let (node, kind) = found.existing()?;
        let writes = flags & linux::O_ACCMODE != linux::O_RDONLY || flags & linux::O_TRUNC != 0;
        match kind {
            Kind::Symlink => return Err(ELOOP),
            Kind::Directory if writes || flags & linux::O_CREAT != 0 => return Err(EISDIR),
            Kind::Directory => {}
            _ if flags & linux::O_DIRECTORY != 0 => return Err(ENOTDIR),
            Kind::Other => return Err(ENXIO),
            _ => {}
        }
        let on_disk = matches!(kind, Kind::Regular | Kind::Directory);
        if writes && on_disk && self.tree.mounts.get(node.mount)?.read_only {
            return Err(EROFS);
        }
        self.check_open(start.who, node, kind, flags)?;
        if flags & linux::O_TRUNC != 0 && kind == Kind::Regular {
            self.tree
                .mounts
                .get(node.mount)?
                .filesystem
                .set_attributes(node.inode, Change::SIZE, &Attributes::default())?;
        }
        self.open_node(request, node, kind, flags, start.root)
    }

    /// Permission to open; user 0 needs none for what is no program.
    fn check_open(&mut self, who: Credentials, node: Node, kind: Kind, flags: u32) -> Result<()> {
        if who.is_root() || flags & linux::O_PATH != 0 {
            return Ok(());
        }
        let attributes = match kind {
            Kind::Directory => self.tree.directory_attributes(node)?,
            _ => self
                .tree
                .mounts
                .get(node.mount)?
                .filesystem
                .attributes(node.inode)?,
        };
        let asked = match flags & linux::O_ACCMODE {
            linux::O_RDONLY => READ,
            linux::O_WRONLY => WRITE,
            _ => READ | WRITE,
        };
        permissions::check(who, &attributes, asked)
    }

    /// Makes a node in the directory of `found`; permission, read-only mounts and set-group-id seen to.
    pub(super) fn create(
        &mut self,
        start: &Start,
        found: &Found,
        mode: u32,
        rdev: u32,
    ) -> Result<Attributes> {
        let directory = self.check_directory_change(start, found.parent)?;
        let inherits = directory.mode & SET_GROUP_ID != 0;
        let is_directory = Kind::of(mode) == Kind::Directory;
        let node = NewNode {
            mode: if inherits && is_directory {
                mode | SET_GROUP_ID
            } else {
                mode
            },
            uid: start.who.uid,
            gid: if inherits {
                directory.gid
            } else {
                start.who.gid
            },
            rdev,
        };
        let filesystem = &mut self.tree.mounts.get(found.parent.mount)?.filesystem;
        let attributes = filesystem.create(found.parent.inode, &found.name, node)?;
        self.tree.cache.forget_name(found.parent, &found.name);
        self.tree
            .cache
            .learn(found.parent, &found.name, &Ok(attributes));
        Ok(attributes)
    }

    /// Whether names in a directory may change; its attributes.
    pub(super) fn check_directory_change(
        &mut self,
        start: &Start,
        directory: Node,
    ) -> Result<Attributes> {
        if self.tree.mounts.get(directory.mount)?.read_only {
            return Err(EROFS);
        }
        let attributes = self.tree.directory_attributes(directory)?;
        permissions::check(start.who, &attributes, WRITE | EXECUTE)?;
        Ok(attributes)
    }

    fn open_node(
        &mut self,
        request: &Request,
        node: Node,
        kind: Kind,
        flags: u32,
        root: Node,
    ) -> Outcome {
        if kind == Kind::Fifo {
            return self.open_fifo(request, node, flags);
        }
        self.count_memory(node);
        let filesystem = &mut self.tree.mounts.get(node.mount)?.filesystem;
        if kind == Kind::Directory {
            let hold = Hold::of(filesystem.open(node.inode, flags));
            return self.give_directory(node, root, hold).map(Some);
        }
        match filesystem.open(node.inode, flags)? {
            Opened::Session(handle) => Ok(Some(give(handle, kind::REGULAR))),
            Opened::Held => {
                let object = Object::File { node, offset: 0 };
                let (handle, _) = self.add_session(object, flags, READY)?;
                Ok(Some(give(handle, kind::REGULAR)))
            }
            Opened::Local(Local::Terminal) => open_terminal(self.ports.console, flags).map(Some),
            Opened::Local(Local::Disk(name)) => open_disk(self.ports.blk, &name).map(Some),
            Opened::Local(local) => {
                let kind = if matches!(local, Local::Text(_) | Local::Name(..)) {
                    kind::REGULAR
                } else {
                    kind::CHARACTER
                };
                let object = Object::Local {
                    node,
                    local,
                    offset: 0,
                };
                let (handle, _) = self.add_session(object, flags, READY)?;
                Ok(Some(give(handle, kind)))
            }
        }
    }

    pub(super) fn give_directory(&mut self, node: Node, root: Node, hold: Hold) -> Result<Reply> {
        let object = Object::Directory {
            node,
            root,
            cookie: 0,
            hold,
        };
        let (handle, _) = self.add_session(object, linux::O_RDONLY | linux::O_DIRECTORY, READY)?;
        Ok(give(handle, kind::DIRECTORY))
    }

    /// `pipe2(2)`.
    pub(super) fn pipe(&mut self, request: &Request) -> Outcome {
        let flags = request.words[0] as u32 & linux::O_NONBLOCK;
        let id = self.pipes.create();
        let (read, read_badge) = self.add_pipe_end(id, End::Read, flags)?;
        let (write, write_badge) = self.add_pipe_end(id, End::Write, flags | linux::O_WRONLY)?;
        self.pipes.opened(id, End::Read, read_badge);
        self.pipes.opened(id, End::Write, write_badge);
        Ok(Some(
            give(read, kind::PIPE).with_handle(write, ferrix_rt::service::SESSION_RIGHTS),
        ))
    }

    pub(super) fn add_pipe_end(
        &mut self,
        id: usize,
        end: End,
        flags: u32,
    ) -> Result<(Handle, u32)> {
        let ready = if end == End::Write {
            ready::WRITABLE
        } else {
            0
        };
        self.add_session(Object::Pipe { id, end }, flags, ready)
    }

    /// Opening a FIFO waits for the other end (POSIX XSH `open`).
    fn open_fifo(&mut self, request: &Request, node: Node, flags: u32) -> Outcome {
        let id = self.pipes.fifo(node);
        let ends = pipes::Ends::of_flags(flags);
        if flags & linux::O_NONBLOCK != 0
            && ends == pipes::Ends::Write
            && !self.pipes.has(id, End::Read)
        {
            self.pipes.collect(id);
            return Err(ENXIO);
        }
        let end = if ends == pipes::Ends::Read {
            End::Read
        } else {
            End::Write
        };
        if ends == pipes::Ends::Both {
            let (handle, badge) = self.add_pipe_end(id, End::Both, flags)?;
            self.pipes.opened(id, End::Both, badge);
            self.wake_fifo_openers(id);
            return Ok(Some(give(handle, kind::PIPE)));
        }
        let (handle, badge) = self.add_pipe_end(id, end, flags)?;
        self.pipes.opened(id, end, badge);
        self.wake_fifo_openers(id);
        if flags & linux::O_NONBLOCK != 0 || self.pipes.has(id, end.other()) {
            return Ok(Some(give(handle, kind::PIPE)));
        }
        self.pipes.wait_open(
            id,
            pipes::Opener {
                caller: request.caller,
                end,
                handle,
            },
        );
        Ok(None)
    }

    /// Lets those go on that opened a FIFO whose other end is there now.
    fn wake_fifo_openers(&mut self, id: usize) {
        for opener in self.pipes.openers_ready(id) {
            let _ = opener.caller.reply(&give(opener.handle, kind::PIPE));
        }
    }
}

fn open_terminal(console: Handle, flags: u32) -> Result<Reply> {
    client::Request::new(tty::OPEN, [flags.into(), 0, 0]).send(console)?;
    Ok(give(utcb::received_handle(0), kind::TERMINAL))
}

fn open_disk(blk: Handle, name: &str) -> Result<Reply> {
    Ok(give(disk_session(blk, name)?, kind::BLOCK))
}

/// A session for a block device.
pub(super) fn disk_session(blk: Handle, name: &str) -> Result<Handle> {
    let request = client::Request {
        payload: name.as_bytes(),
        ..client::Request::new(block::OPEN, [0; 3])
    };
    request.send(blk)?;
    Ok(utcb::received_handle(0))
}
