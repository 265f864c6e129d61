//! Queues that have names (mq_overview(7)): who may open, make and remove them, and how much a user's take.

use crate::errno::{EACCES, EEXIST, EINVAL, EMFILE, ENAMETOOLONG, ENOENT, ENOSPC, Result};
use crate::message::Shape;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ferrix_proto::queue::mq;
use linux_raw_sys::general as linux;

/// What keeping a message takes beside its bytes.
const OVERHEAD: u64 = 64;

/// The ids that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// What an open asks for.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// Without the slash in front.
    pub name: &'a [u8],
    /// `O_*`.
    pub flags: u32,
    /// Permissions of a new queue, after umask.
    pub mode: u32,
    /// Attributes of a new queue, if given.
    pub shape: Option<(u64, u64)>,
    /// Who asks.
    pub who: Who,
    /// Bytes that the queues of the user may take (`RLIMIT_MSGQUEUE`).
    pub limit: u64,
}

/// A name and what it leads to.
#[derive(Clone, Debug)]
struct Entry {
    id: u32,
    owner: Who,
    mode: u32,
}

/// What an open comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A queue that is there.
    Existing(u32),
    /// A new one, to be [added](Names::add).
    New(Shape),
}

/// All names.
#[derive(Debug, Default)]
pub struct Names {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Bytes by user; a queue counts until it is gone, with or without its name.
    used: BTreeMap<u32, u64>,
}

/// What a queue takes of its user's limit.
pub fn cost(shape: Shape) -> u64 {
    shape.messages as u64 * (shape.size as u64 + OVERHEAD)
}

fn check_name(name: &[u8]) -> Result<()> {
    match name {
        [] => Err(ENOENT),
        b"." | b".." => Err(EACCES),
        _ if name.contains(&b'/') => Err(EACCES),
        _ if name.len() > mq::NAME_MAX => Err(ENAMETOOLONG),
        _ => Ok(()),
    }
}

/// The permission bits that an access mode asks for.
fn asked(flags: u32) -> u32 {
    match flags & linux::O_ACCMODE {
        linux::O_RDONLY => 4,
        linux::O_WRONLY => 2,
        _ => 6,
    }
}

fn may(entry: &Entry, who: Who, asked: u32) -> bool {
    let class = if who.uid == entry.owner.uid {
        entry.mode >> 6
    } else if who.gid == entry.owner.gid {
        entry.mode >> 3
    } else {
        entry.mode
    };
    who.uid == 0 || class & asked == asked
}

fn shape(asked: Option<(u64, u64)>, who: Who) -> Result<Shape> {
    let (messages, size) = asked.unwrap_or((mq::MESSAGES, mq::SIZE));
    let most = match who.uid {
        0 => (mq::MESSAGES_MAX, mq::SIZE_MAX),
        _ => (mq::MESSAGES, mq::SIZE),
    };
    if !(1..=most.0).contains(&messages) || !(1..=most.1).contains(&size) {
        return Err(EINVAL);
    }
    Ok(Shape {
        messages: messages as usize,
        size: size as usize,
    })
}

impl Names {
    /// What an open comes to.
    ///
    /// # Errors
    /// As `mq_open(3)`.
    pub fn open(&self, open: &Open) -> Result<Opened> {
        check_name(open.name)?;
        if open.flags & linux::O_ACCMODE == linux::O_ACCMODE {
            return Err(EINVAL);
        }
        if let Some(entry) = self.entries.get(open.name) {
            let both = linux::O_CREAT | linux::O_EXCL;
            return match open.flags & both == both {
                true => Err(EEXIST),
                false if may(entry, open.who, asked(open.flags)) => Ok(Opened::Existing(entry.id)),
                false => Err(EACCES),
            };
        }
        if open.flags & linux::O_CREAT == 0 {
            return Err(ENOENT);
        }
        let shape = shape(open.shape, open.who)?;
        if self.entries.len() >= mq::QUEUES_MAX && open.who.uid != 0 {
            return Err(ENOSPC);
        }
        self.check(open.who.uid, shape, open.limit)?;
        Ok(Opened::New(shape))
    }

    fn check(&self, uid: u32, shape: Shape, limit: u64) -> Result<()> {
        let used = self.used.get(&uid).copied().unwrap_or(0);
        match used.saturating_add(cost(shape)) > limit {
            true => Err(EMFILE),
            false => Ok(()),
        }
    }

    /// Counts a queue without a name of its own for a user, whose queues may take `limit` bytes; until its
    /// [release](Self::release).
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn reserve(&mut self, uid: u32, shape: Shape, limit: u64) -> Result<()> {
        self.check(uid, shape, limit)?;
        *self.used.entry(uid).or_default() += cost(shape);
        Ok(())
    }

    /// A new queue has its name.
    pub fn add(&mut self, open: &Open, id: u32, shape: Shape) {
        let entry = Entry {
            id,
            owner: open.who,
            mode: open.mode & 0o777,
        };
        self.entries.insert(open.name.to_vec(), entry);
        *self.used.entry(open.who.uid).or_default() += cost(shape);
    }

    /// A user's queue is gone.
    pub fn release(&mut self, uid: u32, shape: Shape) {
        if let Some(used) = self.used.get_mut(&uid) {
            *used = used.saturating_sub(cost(shape));
            if *used == 0 {
                self.used.remove(&uid);
            }
        }
    }

    /// Takes a name away; the queue that had it.
    ///
    /// # Errors
    /// As `mq_unlink(3)`: only its owner and user 0 may.
    pub fn unlink(&mut self, name: &[u8], who: Who) -> Result<u32> {
        check_name(name)?;
        let entry = self.entries.get(name).ok_or(ENOENT)?;
        if who.uid != 0 && who.uid != entry.owner.uid {
            return Err(EACCES);
        }
        let id = entry.id;
        self.entries.remove(name);
        Ok(id)
    }

    /// Owner and mode of a queue that has a name.
    pub fn owner(&self, id: u32) -> Option<(Who, u32)> {
        let found = self.entries.values().find(|entry| entry.id == id);
        found.map(|entry| (entry.owner, entry.mode))
    }
}

#[cfg(test)]
mod tests;
