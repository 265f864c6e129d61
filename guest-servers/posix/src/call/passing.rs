//! What comes with a message: open files (`SCM_RIGHTS`) and ids (`SCM_CREDENTIALS`).

use crate::server;
use crate::state::{self, FILES, IDENTITY, install};
use crate::user;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{HANDLES_MAX, Tag};
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::socket::{CONTROL_HEAD, ControlHead, control_space};
use ferrix_posix::{Errno, Result};
use ferrix_proto::request::{Head, Place};
use ferrix_proto::socket::{PASSED_MAX, STAGE, UNSTAGE};
use ferrix_rt::client::exchange;
use ferrix_rt::sys::{ipc, utcb};
use linux_raw_sys::net::{MSG_CTRUNC, SOL_SOCKET};

const RIGHTS: u32 = 1;
const CREDENTIALS: u32 = 2;
/// `MSG_CMSG_CLOEXEC`.
pub const CLOSE_ON_EXEC: u32 = 0x4000_0000;
/// Most bytes of control messages (`/proc/sys/net/core/optmem_max`).
const CONTROL_MAX: u64 = 131_072;

/// Gives the server the open files of a program's control messages; 1 if there are any.
pub fn stage(session: Handle, place: u64, length: u64) -> Result<u64> {
    if length > CONTROL_MAX {
        return Err(Errno::ENOBUFS);
    }
    let (mut at, mut count) = (0, 0);
    while at + CONTROL_HEAD <= length {
        let head: ControlHead = user::read(place + at)?;
        if head.length < CONTROL_HEAD || head.length > length - at {
            return Err(Errno::EINVAL);
        }
        let (data, bytes) = (place + at + CONTROL_HEAD, head.length - CONTROL_HEAD);
        match (head.level, head.kind) {
            (SOL_SOCKET, RIGHTS) => count = stage_files(session, data, bytes / 4, count)?,
            (SOL_SOCKET, CREDENTIALS) if bytes == 12 => check_ids(data)?,
            (SOL_SOCKET, _) => return Err(Errno::EINVAL),
            _ => {}
        }
        at += control_space(bytes);
    }
    Ok(u64::from(count > 0))
}

/// What was staged is not sent: the server's copies are closed.
pub fn drop_staged(session: Handle) {
    // A server that is gone has none.
    let _ = server::ask(session, STAGE, [0, 1, 0]);
}

/// A process tells its own ids, the kernel's word being what the receiver gets.
fn check_ids(place: u64) -> Result<()> {
    let [pid, uid] = user::read::<[u32; 2]>(place)?;
    let gid = user::read::<u32>(place + 8)?;
    let ids = *IDENTITY.lock();
    let own = pid == utcb::pid()
        && [ids.ruid, ids.euid, ids.suid].contains(&uid)
        && [ids.rgid, ids.egid, ids.sgid].contains(&gid);
    if own || ids.euid == 0 {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn stage_files(session: Handle, place: u64, files: u64, before: u64) -> Result<u64> {
    if files + before > PASSED_MAX as u64 {
        return Err(Errno::EINVAL);
    }
    // What is staged goes with the process.
    super::mq::be_present()?;
    let mut done = 0;
    while done < files {
        let count = (files - done).min(HANDLES_MAX as u64);
        let mut kinds = 0;
        for index in 0..count {
            let fd = user::read::<u32>(place + (done + index) * 4)?;
            let descriptor = state::descriptor(fd.into())?;
            kinds |= u64::from(descriptor.kind) << (16 * index);
            let rights = Rights::SEND | Rights::DUP | Rights::TRANSFER;
            utcb::put_handle(index as usize, Handle(descriptor.handle), rights);
        }
        let head = Head::new(STAGE, Place::INLINE, 0);
        let first = u64::from(before + done == 0);
        let tag = Tag::new(0, count as usize, 0);
        exchange(session, tag, head, [kinds, first, 0])?;
        done += count;
    }
    Ok(before + files)
}

/// Fetches some of the open files that a message brought; `each` gets session and kind.
fn fetch(session: Handle, passed: u64, mut each: impl FnMut(Handle, u64)) -> Result<()> {
    let mut left = passed;
    while left > 0 {
        let answer = server::ask(session, UNSTAGE, [0; 3])?;
        let mut handles = [Handle::NONE; HANDLES_MAX];
        for (index, handle) in handles.iter_mut().enumerate().take(answer.handles) {
            *handle = utcb::received_handle(index);
        }
        for (index, handle) in handles.into_iter().enumerate().take(answer.handles) {
            each(handle, answer.words[0] >> (16 * index) & 0xffff);
        }
        if answer.handles == 0 {
            return Err(Errno::EIO);
        }
        left = left.saturating_sub(answer.handles as u64);
    }
    Ok(())
}

/// Nobody wants the open files that a message brought.
pub fn drop_passed(session: Handle, passed: u64) -> Result<()> {
    fetch(session, passed, |handle, _| {
        // It came just now.
        let _ = ipc::close(handle);
    })
}

/// The control messages that a program receives.
pub struct Control {
    place: u64,
    room: u64,
    used: u64,
    truncated: bool,
    on_exec: OnExec,
}

impl Control {
    /// None yet.
    pub fn new(place: u64, room: u64, flags: u32) -> Control {
        Control {
            place,
            room: if place == 0 { 0 } else { room },
            used: 0,
            truncated: false,
            on_exec: OnExec::from_bit(flags.into(), CLOSE_ON_EXEC),
        }
    }

    /// `MSG_CTRUNC` if not everything had room.
    pub fn flags(&self) -> u32 {
        if self.truncated { MSG_CTRUNC } else { 0 }
    }

    /// Bytes that were stored.
    pub fn used(&self) -> u64 {
        self.used
    }

    fn put_head(&mut self, kind: u32, data: u64) -> Result<()> {
        let head = ControlHead {
            length: CONTROL_HEAD + data,
            level: SOL_SOCKET,
            kind,
        };
        user::write(self.place + self.used, &head)
    }

    /// What could not be stored is missing, as on Linux; the message has come nevertheless.
    fn finish(&mut self, data: u64, stored: Result<()>) {
        match stored {
            Ok(()) => self.used = (self.used + control_space(data)).min(self.room),
            Err(_) => self.truncated = true,
        }
    }

    /// The sender's ids.
    pub fn put_credentials(&mut self, ids: [u32; 3]) {
        if self.room - self.used < CONTROL_HEAD + 12 {
            self.truncated = true;
            return;
        }
        let data = (self.place + self.used).wrapping_add(CONTROL_HEAD);
        let stored = self
            .put_head(CREDENTIALS, 12)
            .and_then(|()| user::write(data, &[ids[0], ids[1]]))
            .and_then(|()| user::write(data + 8, &ids[2]));
        self.finish(12, stored);
    }

    /// Open files: as many as there is room for, the rest is closed.
    pub fn put_passed(&mut self, session: Handle, passed: u64) -> Result<()> {
        if passed == 0 {
            return Ok(());
        }
        let room = (self.room - self.used).saturating_sub(CONTROL_HEAD) / 4;
        let (data, on_exec) = (
            (self.place + self.used).wrapping_add(CONTROL_HEAD),
            self.on_exec,
        );
        let (mut count, mut failed) = (0, false);
        fetch(session, passed, |handle, kind| {
            if count >= room || failed {
                // It came just now.
                let _ = ipc::close(handle);
                failed = true;
                return;
            }
            match install(Descriptor::new(handle.0, kind, on_exec), 0) {
                Ok(fd) if user::write(data + count * 4, &(fd as u32)).is_ok() => count += 1,
                Ok(fd) => {
                    // Nobody would know it.
                    let _ = FILES.lock().close(fd);
                    failed = true;
                }
                Err(_) => failed = true,
            }
        })?;
        self.truncated |= failed;
        if count > 0 {
            let stored = self.put_head(RIGHTS, count * 4);
            self.finish(count * 4, stored);
        }
        Ok(())
    }
}
