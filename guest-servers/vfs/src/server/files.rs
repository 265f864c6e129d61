//! Directories and generated files as open files.

use super::{Object, Vfs};
use ferrix_abi::ipc::LONG_MAX;
use ferrix_abi::thread::NAME_SIZE;
use ferrix_proto::attributes::{Attributes, Change, Plain};
use ferrix_proto::file::{io, position};
use ferrix_proto::request::Place;
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_rt::sys::thread;
use ferrix_vfs::errno::{EBADF, EINVAL, EISDIR, ENOSPC, ENOTDIR, ENOTTY, EPERM, ESPIPE, Result};
use ferrix_vfs::filesystem::Node;
use ferrix_vfs::pipe::Blocking;
use ferrix_vfs::pseudo::{Local, attributes};
use linux_raw_sys::general as linux;

const CHUNK: usize = 65536;

impl Vfs {
    /// `read(2)`.
    pub(super) fn read(&mut self, request: &Request) -> Outcome {
        if let Some(file) = self.held(request.badge)? {
            return self.read_file(request, file);
        }
        let length = (request.head.length() as usize).min(CHUNK);
        let session = self.session(request.badge)?;
        if session.flags & linux::O_ACCMODE == linux::O_WRONLY {
            return Err(EBADF);
        }
        let blocking = blocking(session.flags, request);
        match &mut session.object {
            Object::Directory { .. } => Err(EISDIR),
            Object::File { .. } | Object::Attachment { .. } | Object::Detached => Err(EINVAL),
            Object::Pipe { id, .. } => {
                let id = *id;
                self.pipes.read(id, request, blocking, &self.connections)
            }
            Object::Local { local, offset, .. } => {
                let at = if request.words[0] == position::CURRENT {
                    *offset
                } else {
                    request.words[0]
                };
                let bytes = local_bytes(local, at, length)?;
                if request.words[0] == position::CURRENT {
                    *offset += bytes.len() as u64;
                }
                request.answer_bytes(&self.connections, &bytes).map(Some)
            }
        }
    }

    /// `write(2)`.
    pub(super) fn write(&mut self, request: &Request) -> Outcome {
        if let Some(file) = self.held(request.badge)? {
            return self.write_file(request, file);
        }
        let session = self.session(request.badge)?;
        if session.flags & linux::O_ACCMODE == linux::O_RDONLY {
            return Err(EBADF);
        }
        let blocking = blocking(session.flags, request);
        match &session.object {
            Object::Directory { .. }
            | Object::File { .. }
            | Object::Attachment { .. }
            | Object::Detached => Err(EBADF),
            Object::Pipe { id, .. } => {
                let id = *id;
                self.pipes.write(id, request, blocking, &self.connections)
            }
            Object::Local {
                local: Local::Full, ..
            } => Err(ENOSPC),
            Object::Local {
                local: Local::Text(_),
                ..
            } => Err(EPERM),
            Object::Local {
                local: Local::Name(_, tid),
                ..
            } => {
                let tid = *tid;
                let text = request.payload(&self.connections, LONG_MAX)?;
                name_thread(tid, &text, request.caller.token)
            }
            Object::Local { .. } => Ok(Some(Reply::value(request.head.length().into()))),
        }
    }

    /// `lseek(2)`.
    pub(super) fn seek(&mut self, request: &Request) -> Outcome {
        if let Some(file) = self.held(request.badge)? {
            return self.seek_file(request, file);
        }
        let (distance, whence) = (request.words[0] as i64, request.words[1] as u32);
        let (place, size) = match &mut self.session(request.badge)?.object {
            Object::Pipe { .. } | Object::Attachment { .. } | Object::Detached => {
                return Err(ESPIPE);
            }
            Object::Directory { cookie, .. } => (cookie, 0),
            Object::File { offset, .. } => (offset, 0),
            Object::Local {
                local: Local::Text(text) | Local::Name(text, _),
                offset,
                ..
            } => (offset, text.len() as u64),
            Object::Local { offset, .. } => (offset, 0),
        };
        let base = match whence {
            linux::SEEK_SET => 0,
            linux::SEEK_CUR => *place,
            linux::SEEK_END => size,
            _ => return Err(EINVAL),
        };
        *place = base
            .checked_add_signed(distance)
            .filter(|&to| i64::try_from(to).is_ok())
            .ok_or(EINVAL)?;
        Ok(Some(Reply::value(0).with_words([*place, 0, 0])))
    }

    /// The node behind an open file; pipes have none.
    fn node_of(&mut self, badge: u32) -> Result<Option<Node>> {
        if badge == 0 {
            return self.directory(0).map(|(node, _)| Some(node));
        }
        Ok(match self.session(badge)?.object {
            Object::Directory { node, .. }
            | Object::Local { node, .. }
            | Object::File { node, .. } => Some(node),
            Object::Pipe { .. } | Object::Attachment { .. } | Object::Detached => None,
        })
    }

    /// `fstat(2)`.
    pub(super) fn get_attributes(&mut self, request: &Request) -> Outcome {
        let attributes = match self.node_of(request.badge)? {
            Some(node) => self.node_attributes(node)?,
            None => attributes(
                u64::from(u32::MAX),
                request.badge.into(),
                linux::S_IFIFO | 0o600,
                0,
            ),
        };
        Ok(Some(Reply::inline(attributes.to_bytes())))
    }

    /// `fchmod(2)` and kin.
    pub(super) fn set_attributes(&mut self, request: &Request) -> Outcome {
        let (bytes, length) = request.inline()?;
        let to = Attributes::from_bytes(&bytes[..length]).ok_or(EINVAL)?;
        let change = Change::from_bits_truncate(request.words[0] as u32);
        if change.contains(Change::SIZE) {
            return self.truncate_file(request, to.size);
        }
        let who = Self::asker(request)?;
        if let Some(node) = self.node_of(request.badge)? {
            self.change(who, node, change, to)?;
        }
        Ok(Some(Reply::value(0)))
    }

    /// `fsync(2)`.
    pub(super) fn sync(&mut self, request: &Request) -> Outcome {
        match self.node_of(request.badge)? {
            Some(node) => self.tree.mounts.get(node.mount)?.filesystem.sync()?,
            None => return Err(EINVAL),
        }
        Ok(Some(Reply::value(0)))
    }

    /// `getdents64(2)`.
    pub(super) fn read_directory(&mut self, request: &Request) -> Outcome {
        let room = (request.head.length() as usize).min(CHUNK);
        let Object::Directory { node, cookie, .. } = self.session(request.badge)?.object else {
            return Err(ENOTDIR);
        };
        let bytes = self
            .tree
            .mounts
            .get(node.mount)?
            .filesystem
            .read_directory(node.inode, cookie, room)?;
        let next = ferrix_vfs::dirent::records(&bytes)
            .last()
            .map_or(cookie, |record| record.next);
        if let Object::Directory { cookie, .. } = &mut self.session(request.badge)?.object {
            *cookie = next;
        }
        if request.head.place() == Place::INLINE && bytes.len() > ferrix_abi::ipc::LONG_MAX {
            return Err(EINVAL);
        }
        request.answer_bytes(&self.connections, &bytes).map(Some)
    }

    /// `ioctl(2)`: nothing here is a device that has any, but for how much a pipe holds.
    pub(super) fn ioctl(&mut self, request: &Request) -> Outcome {
        match self.session(request.badge)?.object {
            Object::Pipe { id, .. }
                if request.words[0] as u32 == linux_raw_sys::ioctl::FIONREAD =>
            {
                let held = self.pipes.held(id) as u32;
                Ok(Some(Reply {
                    status: 0,
                    ..Reply::inline(&held.to_le_bytes())
                }))
            }
            _ => Err(ENOTTY),
        }
    }

    /// `fcntl(F_GETFL)`.
    pub(super) fn get_flags(&mut self, request: &Request) -> Outcome {
        let flags = if request.badge == 0 {
            linux::O_DIRECTORY
        } else {
            self.session(request.badge)?.flags
        };
        Ok(Some(Reply::value(0).with_words([flags.into(), 0, 0])))
    }

    /// `fcntl(F_SETFL)`.
    pub(super) fn set_flags(&mut self, request: &Request) -> Outcome {
        let changeable = linux::O_APPEND | linux::O_NONBLOCK;
        let session = self.session(request.badge)?;
        session.flags = session.flags & !changeable | request.words[0] as u32 & changeable;
        Ok(Some(Reply::value(0)))
    }

    /// `fstatfs(2)`.
    pub(super) fn filesystem_info(&mut self, request: &Request) -> Outcome {
        let mount = self.node_of(request.badge)?.map_or(0, |node| node.mount);
        Ok(Some(Reply::inline(self.info(mount)?.to_bytes())))
    }
}

fn blocking(flags: u32, request: &Request) -> Blocking {
    if flags & linux::O_NONBLOCK != 0 || request.words[1] & io::NON_BLOCKING != 0 {
        Blocking::No
    } else {
        Blocking::Yes
    }
}

/// As Linux, keeps 15 bytes of a name and takes all. The kernel refuses threads of other processes than the writer's.
fn name_thread(tid: u32, text: &[u8], token: u64) -> Outcome {
    let mut name = [0; NAME_SIZE];
    let kept = text.len().min(NAME_SIZE - 1);
    name[..kept].copy_from_slice(&text[..kept]);
    thread::set_name(tid, name, token).map_err(|_| EINVAL)?;
    Ok(Some(Reply::value(text.len() as u64)))
}

fn local_bytes(local: &Local, at: u64, length: usize) -> Result<alloc::vec::Vec<u8>> {
    Ok(match local {
        Local::Null => alloc::vec::Vec::new(),
        Local::Zero | Local::Full => alloc::vec![0; length],
        Local::Random => super::facts::random_bytes(length),
        Local::Text(text) | Local::Name(text, _) => {
            let begin = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
            text[begin..text.len().min(begin + length)].to_vec()
        }
        Local::Terminal | Local::Disk(_) => return Err(EINVAL),
    })
}
