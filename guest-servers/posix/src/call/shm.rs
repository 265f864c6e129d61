//! System V shared memory: `shmget`, `shmat`, `shmdt`, `shmctl`. vfs keeps the segments; an attachment is a session
//! with it, so that it ends with the process.

use crate::program;
use crate::server::{self, received};
use crate::state::{ATTACHMENTS, All, FILES, IDENTITY, SEGMENT_TABLE};
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::attachments::{Attachment, Attachments};
use ferrix_posix::mapping;
use ferrix_posix::shm::{self as layout, Status, command, flag};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::shm::{self, Segment, Summary, attach};
use ferrix_rt::sys::memory::{Mapping, SELF};
use ferrix_rt::sys::{ipc, utcb};

fn ask(operation: u16, words: [u64; 3]) -> Result<ferrix_rt::client::Answer> {
    let root = FILES.lock().root;
    server::ask(root, operation, words)
}

pub fn shmget(frame: &mut Frame) -> Result<u64> {
    let [key, size, flags, ..] = frame.args();
    let words = [u64::from(key as u32) | flags << 32, size, 0];
    Ok(ask(shm::GET, words)?.words[0])
}

/// Where an attachment goes, and how.
fn place(address: u64, flags: u64) -> Result<(u64, MapFlags)> {
    let replace = flags & flag::REPLACE != 0;
    if address == 0 {
        return if replace {
            Err(Errno::EINVAL)
        } else {
            Ok((0, MapFlags::empty()))
        };
    }
    let offset = address % PAGE_SIZE;
    if offset != 0 && flags & flag::ROUND == 0 {
        return Err(Errno::EINVAL);
    }
    let how = if replace {
        MapFlags::FIXED
    } else {
        MapFlags::NO_REPLACE
    };
    Ok((address - offset, how))
}

pub fn shmat(frame: &mut Frame) -> Result<u64> {
    let [id, address, flags, ..] = frame.args();
    let (address, how) = place(address, flags)?;
    let (mut words, mut prot) = (attach::READ_ONLY, Prot::READ);
    if flags & flag::READ_ONLY == 0 {
        (words, prot) = (0, Prot::READ | Prot::WRITE);
    }
    if flags & flag::EXECUTE != 0 {
        (words, prot) = (words | attach::EXECUTE, prot | Prot::EXEC);
    }
    ATTACHMENTS.lock().check_room()?;
    let answer = ask(shm::ATTACH, [u64::from(id as u32), words, 0])?;
    server::expect_handles(&answer, 2)?;
    let (session, object) = (utcb::received_handle(0), utcb::received_handle(1));
    let length = answer.words[0].next_multiple_of(PAGE_SIZE);
    let mapped = mapping::range(address.max(PAGE_SIZE * 16), length).and_then(|_| {
        program::map(&Mapping {
            process: SELF,
            address,
            length,
            prot,
            flags: how,
            object,
            offset: 0,
        })
    });
    let _ = ipc::close(object);
    let added = mapped.and_then(|address| {
        forget(address, length);
        let attachment = Attachment {
            address,
            length,
            session: session.0,
            id: id as u32,
        };
        let mut attachments = ATTACHMENTS.lock();
        attachments
            .add(&SEGMENT_TABLE, &attachment)
            .map(|()| address)
    });
    added.map_err(|errno| {
        // Its last handle: vfs counts the attachment out.
        let _ = ipc::close(session);
        match errno {
            Errno::EEXIST | Errno::EPERM => Errno::EINVAL,
            errno => errno,
        }
    })
}

pub fn shmdt(frame: &mut Frame) -> Result<u64> {
    let attachment = ATTACHMENTS.lock().take(&SEGMENT_TABLE, frame.rdi)?;
    program::unmap(attachment.address, attachment.length)?;
    detach(&attachment);
    Ok(0)
}

/// Counts an attachment out.
fn detach(attachment: &Attachment) {
    let session = Handle(attachment.session);
    // If vfs is away there is nothing left to count.
    let _ = server::ask(session, shm::DETACH, [0; 3]);
    let _ = ipc::close(session);
}

/// Attachments in a range that was unmapped are none any more.
pub fn forget(address: u64, length: u64) {
    let mut attachments = ATTACHMENTS.lock();
    while let Some(attachment) =
        attachments.take_inside(&SEGMENT_TABLE, &(address..address + length))
    {
        detach(&attachment);
    }
}

/// `exec`: all attachments end.
pub fn detach_all(attachments: &mut Attachments) {
    while let Some(attachment) = attachments.take_inside(&SEGMENT_TABLE, &(0..u64::MAX)) {
        detach(&attachment);
    }
}

/// A forked child has its parent's attachments, and counts itself.
pub fn count_again(locks: &All) {
    let root = locks.files.root;
    let count = |attachment: &Attachment| {
        let words = [attachment.id.into(), attach::COUNT_ONLY, 0];
        let answer = server::ask(root, shm::ATTACH, words).ok()?;
        server::expect_handles(&answer, 1).ok()?;
        let new = utcb::received_handle(0).0;
        let _ = ipc::close(Handle(attachment.session));
        Some(new)
    };
    locks.attachments.replace_sessions(&SEGMENT_TABLE, count);
}

fn segment(id: u64, by_index: u64) -> Result<Segment> {
    received(&ask(shm::GET_SEGMENT, [u64::from(id as u32), by_index, 0])?)
}

pub fn shmctl(frame: &mut Frame) -> Result<u64> {
    let [id, command, buffer, ..] = frame.args();
    let short = u64::from(id as u32);
    match command as u32 & !command::WIDE {
        command::REMOVE => ask(shm::REMOVE, [short, 0, 0]).map(|_| 0),
        command::SET => {
            let new = user::read::<Status>(buffer)?.permissions;
            let owner = u64::from(new.uid) | u64::from(new.gid) << 32;
            ask(shm::SET_SEGMENT, [short, owner, new.mode.into()]).map(|_| 0)
        }
        command::STAT => {
            user::write(buffer, &Status::from(&segment(id, 0)?))?;
            Ok(0)
        }
        command::STAT_INDEX | command::STAT_INDEX_ANY => {
            let segment = segment(id, 1)?;
            user::write(buffer, &Status::from(&segment))?;
            Ok(segment.id.into())
        }
        command::LIMITS => {
            user::write(buffer, &layout::limits())?;
            summary().map(|summary| summary.highest)
        }
        command::USAGE => {
            let summary = summary()?;
            user::write(buffer, &layout::usage(&summary))?;
            Ok(summary.highest)
        }
        // Nothing is ever swapped out: who may lock finds it done.
        command::LOCK | command::UNLOCK => {
            let (segment, euid) = (segment(id, 0)?, IDENTITY.lock().euid);
            if euid != 0 && euid != segment.uid && euid != segment.creator_uid {
                return Err(Errno::EPERM);
            }
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn summary() -> Result<Summary> {
    received(&ask(shm::SUMMARY, [0; 3])?)
}
