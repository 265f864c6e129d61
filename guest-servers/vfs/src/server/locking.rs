//! Locks on what the VFS itself has open: files in memory, directories, `/dev` and `/proc`.

use super::{Object, Vfs};
use ferrix_locks::service::Description;
use ferrix_rt::service::{Outcome, Request};
use ferrix_vfs::Node;
use ferrix_vfs::errno::{ENOLCK, Result};

impl Object {
    /// The file that its locks are on, and its offset.
    const fn locked(&self) -> Option<(Node, u64)> {
        match self {
            Object::File { node, offset } | Object::Local { node, offset, .. } => {
                Some((*node, *offset))
            }
            Object::Directory { node, cookie, .. } => Some((*node, *cookie)),
            Object::Pipe { .. } | Object::Attachment { .. } | Object::Detached => None,
        }
    }
}

impl Vfs {
    /// The file that a request's locks are on, its offset and `O_*`.
    fn locked(&mut self, request: &Request) -> Result<(Node, u64, u32)> {
        let session = self.session(request.badge)?;
        let (key, offset) = session.object.locked().ok_or(ENOLCK)?;
        Ok((key, offset, session.flags))
    }

    pub(super) fn lock(&mut self, request: &Request) -> Outcome {
        let (key, offset, flags) = self.locked(request)?;
        let mounts = &mut self.tree.mounts;
        let size = || {
            let filesystem = &mut mounts.get(key.mount)?.filesystem;
            Ok(filesystem.attributes(key.inode)?.size)
        };
        let description = Description {
            key,
            offset,
            size,
            flags,
        };
        self.locks.record(request, description)
    }

    pub(super) fn unlock_all(&mut self, request: &Request) -> Outcome {
        let (key, ..) = self.locked(request)?;
        self.locks.unlock_all(request, key)
    }

    pub(super) fn lock_whole(&mut self, request: &Request) -> Outcome {
        let (key, ..) = self.locked(request)?;
        self.locks.whole(request, key)
    }

    /// A description was closed. If it was the file's last, all locks on the file go: its number may be another's soon.
    pub(super) fn unlock_closed(&mut self, badge: u32, object: &Object) {
        let Some((key, _)) = object.locked().filter(|(key, _)| self.locks.is_used(key)) else {
            return;
        };
        self.locks.description_closed(badge);
        let open = self.sessions.iter().flatten();
        if !open
            .filter_map(|session| session.object.locked())
            .any(|(node, _)| node == key)
        {
            self.locks.forget(|other| *other == key);
        }
    }
}
