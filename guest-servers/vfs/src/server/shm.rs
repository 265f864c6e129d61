//! System V shared memory as sessions: each attachment is one.

use super::{Object, Vfs};
use ferrix_abi::handle::Rights;
use ferrix_proto::attributes::{Attributes, Change, Plain};
use ferrix_proto::shm::{Summary, attach};
use ferrix_rt::clock;
use ferrix_rt::service::{Outcome, Reply, Request, SESSION_RIGHTS};
use ferrix_vfs::errno::{EINVAL, ENOMEM, Result};
use ferrix_vfs::filesystem::Share;
use ferrix_vfs::permissions::{EXECUTE, READ};
use ferrix_vfs::shm::{Actor, Get, attach_permission};
use ferrix_vfs::{Filesystem, Node};

fn now() -> i64 {
    clock::realtime_seconds() as i64
}

impl Vfs {
    fn actor(request: &Request) -> Result<Actor> {
        Ok(Actor {
            who: Self::asker(request)?,
            pid: request.caller.pid,
            now: now(),
        })
    }

    fn unnamed(&mut self) -> Result<&mut dyn Filesystem> {
        let mount = self.unnamed.ok_or(EINVAL)?;
        Ok(&mut *self.tree.mounts.get(mount)?.filesystem)
    }

    /// `shmget(2)`.
    pub(super) fn shm_get(&mut self, request: &Request) -> Outcome {
        let (key, flags) = (request.words[0] as u32, (request.words[0] >> 32) as u32);
        let size = request.words[1];
        let by = Self::actor(request)?;
        let found = self
            .shared
            .segments
            .borrow()
            .get(key, size, flags, by.who)?;
        let id = match found {
            Get::Existing(id) => id,
            Get::New => {
                let inode = self.make_segment(by, flags & 0o777, size)?;
                let mut segments = self.shared.segments.borrow_mut();
                segments.add(key, size, flags, inode, by)
            }
        };
        Ok(Some(Reply::value(0).with_words([id.into(), 0, 0])))
    }

    /// The file that holds a segment's bytes.
    fn make_segment(&mut self, by: Actor, mode: u32, size: u64) -> Result<u64> {
        let Node { inode, .. } = self.make_unnamed(by.who, mode, 0)?;
        let to = Attributes {
            size,
            ..Attributes::default()
        };
        let filesystem = self.unnamed()?;
        if filesystem.set_attributes(inode, Change::SIZE, &to).is_err() {
            filesystem.close(inode);
            return Err(ENOMEM);
        }
        Ok(inode)
    }

    fn close_segment(&mut self, inode: Option<u64>) {
        if let (Some(inode), Ok(filesystem)) = (inode, self.unnamed()) {
            filesystem.close(inode);
        }
    }

    /// `shmat(2)`.
    pub(super) fn shm_attach(&mut self, request: &Request) -> Outcome {
        let (id, flags) = (request.words[0] as u32, request.words[1]);
        let by = Self::actor(request)?;
        let read_only = flags & attach::READ_ONLY != 0;
        let counted = flags & attach::COUNT_ONLY != 0;
        let execute = if flags & attach::EXECUTE != 0 {
            EXECUTE
        } else {
            0
        };
        // Who inherited the mapping may keep it, whatever the permissions are now.
        let asked = if counted {
            0
        } else {
            attach_permission(read_only) | execute
        };
        let (segment, inode) = self.shared.segments.borrow_mut().find(id, asked, by.who)?;
        let share = if read_only { Share::Read } else { Share::Write };
        let object = match counted {
            true => None,
            false => Some(self.unnamed()?.object(inode, share)?.handle),
        };
        self.shared.segments.borrow_mut().attach(id, asked, by)?;
        let session = self.add_session(Object::Attachment { id }, 0, 0);
        let (handle, _) = session.inspect_err(|_| self.shm_detached(id, None))?;
        let reply = Reply::value(0).with_words([segment.size, 0, 0]);
        let reply = reply.with_handle(handle, SESSION_RIGHTS);
        let rights = Rights::READ | Rights::DUP | Rights::TRANSFER;
        let rights = if read_only {
            rights
        } else {
            rights | Rights::WRITE
        };
        Ok(Some(match object {
            Some(object) => reply.with_copied_handle(object, rights),
            None => reply,
        }))
    }

    /// An attachment ended.
    pub(super) fn shm_detached(&mut self, id: u32, pid: Option<u32>) {
        let gone = self.shared.segments.borrow_mut().detach(id, pid, now());
        self.close_segment(gone);
    }

    /// `shmdt(2)`: the session that still has to be closed is none any more.
    pub(super) fn shm_detach(&mut self, request: &Request) -> Outcome {
        let session = self.session(request.badge)?;
        let Object::Attachment { id } = session.object else {
            return Err(EINVAL);
        };
        session.object = Object::Detached;
        self.shm_detached(id, Some(request.caller.pid));
        Ok(Some(Reply::value(0)))
    }

    /// `shmctl(IPC_STAT)` and kin.
    pub(super) fn shm_segment(&mut self, request: &Request) -> Outcome {
        let by = Self::actor(request)?;
        let mut segments = self.shared.segments.borrow_mut();
        let id = match request.words[1] {
            1 => segments.id_at(request.words[0] as u32)?,
            _ => request.words[0] as u32,
        };
        let (mut segment, inode) = segments.find(id, READ, by.who)?;
        drop(segments);
        segment.resident = self.unnamed()?.attributes(inode)?.blocks / 8;
        Ok(Some(Reply::inline(segment.to_bytes())))
    }

    /// `shmctl(IPC_SET)`.
    pub(super) fn shm_set(&mut self, request: &Request) -> Outcome {
        let [id, owner, mode] = request.words;
        let (owner, by) = ((owner as u32, (owner >> 32) as u32), Self::actor(request)?);
        let mut segments = self.shared.segments.borrow_mut();
        segments.set(id as u32, owner, mode as u32, by)?;
        Ok(Some(Reply::value(0)))
    }

    /// `shmctl(IPC_RMID)`.
    pub(super) fn shm_remove(&mut self, request: &Request) -> Outcome {
        let (id, who) = (request.words[0] as u32, Self::asker(request)?);
        let gone = self.shared.segments.borrow_mut().remove(id, who)?;
        self.close_segment(gone);
        Ok(Some(Reply::value(0)))
    }

    /// `shmctl(IPC_INFO)`, `shmctl(SHM_INFO)`.
    pub(super) fn shm_summary(&mut self) -> Outcome {
        let all: alloc::vec::Vec<_> = self.shared.segments.borrow().iter().collect();
        let mut summary = Summary {
            highest: self.shared.segments.borrow().highest().into(),
            segments: all.len() as u64,
            ..Summary::default()
        };
        for (segment, inode) in all {
            summary.pages += segment.size.div_ceil(4096);
            summary.resident += self.unnamed()?.attributes(inode)?.blocks / 8;
        }
        Ok(Some(Reply::inline(summary.to_bytes())))
    }
}
