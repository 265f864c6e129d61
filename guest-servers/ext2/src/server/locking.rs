//! Locks on open files.

use super::convert::errno;
use super::service::{OpenFile, Server, mounted};
use ferrix_locks::service::Description;
use ferrix_rt::service::{Outcome, Request};

impl Server {
    pub(super) fn lock(&mut self, request: &Request) -> Outcome {
        let OpenFile {
            mount,
            ino,
            offset,
            flags,
        } = *self.file_of(request)?;
        let (key, mounts) = ((mount, ino), &mut self.mounts);
        let size = || {
            let mounted = mounted(mounts, mount)?;
            Ok(mounted.getattr(ino).map_err(errno)?.size)
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
        let OpenFile { mount, ino, .. } = *self.file_of(request)?;
        self.locks.unlock_all(request, (mount, ino))
    }

    pub(super) fn lock_whole(&mut self, request: &Request) -> Outcome {
        let OpenFile { mount, ino, .. } = *self.file_of(request)?;
        self.locks.whole(request, (mount, ino))
    }

    /// A description was closed. If it was the file's last, all locks on the file go: its number may be another's soon.
    pub(super) fn unlock_closed(&mut self, badge: u32, file: &OpenFile) {
        let key = (file.mount, file.ino);
        if !self.locks.is_used(&key) {
            return;
        }
        self.locks.description_closed(badge);
        if !self.is_open(file.mount, file.ino) {
            self.locks.forget(|other| *other == key);
        }
    }
}
