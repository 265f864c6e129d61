//! Regular files whose bytes the VFS itself holds (tmpfs), as open files.

use super::{Object, Vfs};
use ferrix_abi::handle::Rights;
use ferrix_abi::ipc::LONG_MAX;
use ferrix_proto::attributes::{Attributes, Change};
use ferrix_proto::file::{allocate, io, object, position, seal};
use ferrix_proto::request::Place;
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_vfs::errno::{EACCES, EBADF, EFBIG, EINVAL, ENODEV, ENXIO, EOPNOTSUPP, EPERM, Result};
use ferrix_vfs::filesystem::{Allocation, Seek, Share};
use ferrix_vfs::{Filesystem, Node};
use linux_raw_sys::general as linux;

/// A held file that is open: node, offset, `O_*` flags.
#[derive(Clone, Copy)]
pub struct Open {
    pub node: Node,
    offset: u64,
    flags: u32,
}

impl Open {
    const fn readable(self) -> bool {
        self.flags & linux::O_ACCMODE != linux::O_WRONLY
    }

    const fn writable(self) -> bool {
        self.flags & linux::O_ACCMODE != linux::O_RDONLY
    }
}

impl Vfs {
    /// The held file behind a session, if it is one.
    pub(super) fn held(&mut self, badge: u32) -> Result<Option<Open>> {
        if badge == 0 {
            return Ok(None);
        }
        let session = self.session(badge)?;
        let flags = session.flags;
        Ok(match session.object {
            Object::File { node, offset } => Some(Open {
                node,
                offset,
                flags,
            }),
            _ => None,
        })
    }

    fn held_only(&mut self, badge: u32, otherwise: i32) -> Result<Open> {
        self.held(badge)?.ok_or(otherwise)
    }

    fn move_to(&mut self, badge: u32, to: u64) -> Result<()> {
        if let Object::File { offset, .. } = &mut self.session(badge)?.object {
            *offset = to;
        }
        Ok(())
    }

    fn filesystem(&mut self, node: Node) -> Result<&mut dyn Filesystem> {
        Ok(&mut *self.tree.mounts.get(node.mount)?.filesystem)
    }

    pub(super) fn read_file(&mut self, request: &Request, file: Open) -> Outcome {
        if !file.readable() {
            return Err(EBADF);
        }
        let at = start(request, file.offset);
        let length = request.head.length() as usize;
        let filesystem = &mut self.tree.mounts.get(file.node.mount)?.filesystem;
        let reply = if request.head.place() == Place::INLINE {
            let mut bytes = [0; LONG_MAX];
            let wanted = length.min(LONG_MAX);
            let got = filesystem.read(file.node.inode, at, &mut bytes[..wanted])?;
            Reply::inline(&bytes[..got])
        } else {
            let window = self.connections.window(request.caller.pid)?;
            let read = |bytes: &mut [u8]| filesystem.read(file.node.inode, at, bytes);
            Reply::value(window.with(request.words[2], length, read)?? as u64)
        };
        if request.words[0] == position::CURRENT {
            self.move_to(request.badge, at + reply.status as u64)?;
        }
        Ok(Some(reply))
    }

    pub(super) fn write_file(&mut self, request: &Request, file: Open) -> Outcome {
        if !file.writable() {
            return Err(EBADF);
        }
        let length = request.head.length() as usize;
        let filesystem = &mut self.tree.mounts.get(file.node.mount)?.filesystem;
        let at = if file.flags & linux::O_APPEND != 0 {
            filesystem.attributes(file.node.inode)?.size
        } else {
            start(request, file.offset)
        };
        let length = io::allowed(request.words[1], at, length).ok_or(EFBIG)?;
        let taken = if request.head.place() == Place::INLINE {
            let (bytes, got) = request.inline()?;
            let length = length.min(got);
            filesystem.write(file.node.inode, at, &bytes[..length])?
        } else {
            let window = self.connections.window(request.caller.pid)?;
            let write = |bytes: &mut [u8]| filesystem.write(file.node.inode, at, bytes);
            window.with(request.words[2], length, write)??
        };
        if request.words[0] == position::CURRENT {
            self.move_to(request.badge, at + taken as u64)?;
        }
        Ok(Some(Reply::value(taken as u64)))
    }

    pub(super) fn seek_file(&mut self, request: &Request, file: Open) -> Outcome {
        let (distance, whence) = (request.words[0], request.words[1] as u32);
        let signed = distance as i64;
        let filesystem = self.filesystem(file.node)?;
        let inode = file.node.inode;
        let to = match whence {
            linux::SEEK_SET => u64::try_from(signed).ok(),
            linux::SEEK_CUR => file.offset.checked_add_signed(signed),
            linux::SEEK_END => filesystem
                .attributes(inode)?
                .size
                .checked_add_signed(signed),
            linux::SEEK_DATA | linux::SEEK_HOLE if signed < 0 => return Err(ENXIO),
            linux::SEEK_DATA => Some(filesystem.seek(inode, distance, Seek::Data)?),
            linux::SEEK_HOLE => Some(filesystem.seek(inode, distance, Seek::Hole)?),
            _ => None,
        };
        let to = to.filter(|&to| i64::try_from(to).is_ok()).ok_or(EINVAL)?;
        self.move_to(request.badge, to)?;
        Ok(Some(Reply::value(0).with_words([to, 0, 0])))
    }

    /// `ftruncate(2)`: what the file was opened for decides.
    pub(super) fn truncate_file(&mut self, request: &Request, size: u64) -> Outcome {
        let file = self.held_only(request.badge, EINVAL)?;
        if !file.writable() {
            return Err(EINVAL);
        }
        let to = Attributes {
            size,
            ..Attributes::default()
        };
        let filesystem = self.filesystem(file.node)?;
        filesystem.set_attributes(file.node.inode, Change::SIZE, &to)?;
        Ok(Some(Reply::value(0)))
    }

    /// `fallocate(2)`.
    pub(super) fn allocate(&mut self, request: &Request) -> Outcome {
        let file = self.held_only(request.badge, EOPNOTSUPP)?;
        if !file.writable() {
            return Err(EBADF);
        }
        let [at, length, how] = request.words;
        let how = match how {
            allocate::GROW => Allocation::Grow,
            allocate::KEEP_SIZE => Allocation::KeepSize,
            allocate::PUNCH => Allocation::Punch,
            _ => return Err(EOPNOTSUPP),
        };
        let filesystem = self.filesystem(file.node)?;
        filesystem.allocate(file.node.inode, at, length, how)?;
        Ok(Some(Reply::value(0)))
    }

    /// The file's memory object (`mmap`, `exec`).
    pub(super) fn get_object(&mut self, request: &Request) -> Outcome {
        let file = self.held_only(request.badge, ENODEV)?;
        let share = match request.words[0] {
            object::SNAPSHOT => Share::Snapshot,
            object::WRITE => Share::Write,
            object::SHARE if file.writable() && !self.is_sealed(file)? => Share::Write,
            object::READ | object::SHARE => Share::Read,
            _ => return Err(EINVAL),
        };
        if !file.readable() || share == Share::Write && !file.writable() {
            return Err(EACCES);
        }
        let found = self.filesystem(file.node)?.object(file.node.inode, share)?;
        let reading = Rights::READ | Rights::DUP | Rights::TRANSFER;
        let (live, rights) = match share {
            Share::Snapshot => (0, reading),
            Share::Read => (object::LIVE, reading),
            Share::Write => (object::LIVE, reading | Rights::WRITE),
        };
        let reply = Reply::value(0).with_words([found.size, live, 0]);
        Ok(Some(if share == Share::Snapshot {
            reply.with_handle(found.handle, rights)
        } else {
            reply.with_copied_handle(found.handle, rights)
        }))
    }

    /// Whether seals forbid mappings that write.
    fn is_sealed(&mut self, file: Open) -> Result<bool> {
        let seals = self.filesystem(file.node)?.seals(file.node.inode)?;
        Ok(seals & (seal::WRITE | seal::FUTURE_WRITE) != 0)
    }

    /// `fcntl(F_GET_SEALS)`.
    pub(super) fn get_seals(&mut self, request: &Request) -> Outcome {
        let file = self.held_only(request.badge, EINVAL)?;
        let seals = self.filesystem(file.node)?.seals(file.node.inode)?;
        Ok(Some(Reply::value(0).with_words([seals.into(), 0, 0])))
    }

    /// `fcntl(F_ADD_SEALS)`.
    pub(super) fn add_seals(&mut self, request: &Request) -> Outcome {
        let file = self.held_only(request.badge, EINVAL)?;
        if !file.writable() {
            return Err(EPERM);
        }
        let seals = u32::try_from(request.words[0]).map_err(|_| EINVAL)?;
        self.filesystem(file.node)?
            .add_seals(file.node.inode, seals)?;
        Ok(Some(Reply::value(0)))
    }
}

/// Where a transfer starts.
const fn start(request: &Request, offset: u64) -> u64 {
    if request.words[0] == position::CURRENT {
        offset
    } else {
        request.words[0]
    }
}
