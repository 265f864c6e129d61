//! System V shared memory segments (XSH `shmget`, `shmat`, `shmctl`): keys, permissions, counts. Their bytes are
//! files without names in a tmpfs.

use crate::errno::{EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOSPC, EPERM, Result};
use crate::permissions::{Credentials, READ, WRITE};
use alloc::collections::BTreeMap;
use ferrix_proto::shm::{SEGMENTS_MAX, SIZE_MAX, SIZE_MIN, Segment};

/// `IPC_PRIVATE`.
pub const PRIVATE: u32 = 0;
/// `IPC_CREAT`.
pub const CREATE: u32 = 0o1000;
/// `IPC_EXCL`.
pub const EXCLUSIVE: u32 = 0o2000;
/// `SHM_DEST`: the segment goes with its last attachment.
pub const DESTROYED: u32 = 0o1000;

/// Bits of an id that are the index; above them is a sequence number.
const INDEX_BITS: u32 = 15;
const SEQUENCES: u32 = 1 << (31 - INDEX_BITS);

/// Who does something, and when.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// User and group.
    pub who: Credentials,
    /// Process.
    pub pid: u32,
    /// Seconds since 1970.
    pub now: i64,
}

/// What `shmget` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Get {
    /// A segment that is there: its id.
    Existing(u32),
    /// One is to be made.
    New,
}

/// A segment and the file that holds its bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    segment: Segment,
    inode: u64,
}

/// All segments, by index.
#[derive(Debug, Default)]
pub struct Segments {
    entries: BTreeMap<u32, Entry>,
    sequence: u32,
}

fn may(segment: &Segment, who: Credentials, asked: u32) -> bool {
    let class = if who.uid == segment.uid || who.uid == segment.creator_uid {
        segment.mode >> 6
    } else if who.gid == segment.gid || who.gid == segment.creator_gid {
        segment.mode >> 3
    } else {
        segment.mode
    };
    who.is_root() || class & asked == asked
}

fn owns(segment: &Segment, who: Credentials) -> bool {
    who.is_root() || who.uid == segment.uid || who.uid == segment.creator_uid
}

impl Segments {
    /// What `shmget` asks for: a segment that is there, or a new one.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT`, `EACCES`, `EINVAL` (size), `ENOSPC`.
    pub fn get(&self, key: u32, size: u64, flags: u32, who: Credentials) -> Result<Get> {
        let named = |entry: &&Entry| key != PRIVATE && entry.segment.key == key;
        if let Some(Entry { segment, .. }) = self.entries.values().find(named) {
            if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE {
                return Err(EEXIST);
            }
            // All classes' bits are asked of the class that the caller is in.
            let asked = (flags >> 6 | flags >> 3 | flags) & 7;
            if !may(segment, who, asked) {
                return Err(EACCES);
            }
            return if size > segment.size {
                Err(EINVAL)
            } else {
                Ok(Get::Existing(segment.id))
            };
        }
        if key != PRIVATE && flags & CREATE == 0 {
            return Err(ENOENT);
        }
        if !(SIZE_MIN..=SIZE_MAX).contains(&size) {
            return Err(EINVAL);
        }
        if self.entries.len() as u64 >= SEGMENTS_MAX {
            return Err(ENOSPC);
        }
        Ok(Get::New)
    }

    /// Adds a segment whose bytes are file `inode`; its id.
    pub fn add(&mut self, key: u32, size: u64, flags: u32, inode: u64, by: Actor) -> u32 {
        let mut index = 0;
        while self.entries.contains_key(&index) {
            index += 1;
        }
        let sequence = self.sequence;
        self.sequence = (self.sequence + 1) % SEQUENCES;
        let id = sequence << INDEX_BITS | index;
        let segment = Segment {
            size,
            changed: by.now,
            id,
            key,
            uid: by.who.uid,
            gid: by.who.gid,
            creator_uid: by.who.uid,
            creator_gid: by.who.gid,
            mode: flags & 0o777,
            creator: by.pid,
            sequence,
            ..Segment::default()
        };
        self.entries.insert(index, Entry { segment, inode });
        id
    }

    fn entry(&mut self, id: u32) -> Result<&mut Entry> {
        let entry = self.entries.get_mut(&(id & ((1 << INDEX_BITS) - 1)));
        let entry = entry.ok_or(EINVAL)?;
        if entry.segment.id == id {
            Ok(entry)
        } else {
            Err(EIDRM)
        }
    }

    /// A segment and its inode, if `who` may read (`asked` = [`READ`]) or do more with it.
    ///
    /// # Errors
    /// `EINVAL`, `EIDRM`, `EACCES`.
    pub fn find(&mut self, id: u32, asked: u32, who: Credentials) -> Result<(Segment, u64)> {
        let entry = self.entry(id)?;
        if may(&entry.segment, who, asked) {
            Ok((entry.segment, entry.inode))
        } else {
            Err(EACCES)
        }
    }

    /// The id at an index (`SHM_STAT`).
    ///
    /// # Errors
    /// `EINVAL`: none.
    pub fn id_at(&self, index: u32) -> Result<u32> {
        let entry = self.entries.get(&index).ok_or(EINVAL)?;
        Ok(entry.segment.id)
    }

    /// Counts an attachment.
    ///
    /// # Errors
    /// `EINVAL`, `EIDRM`, `EACCES`.
    pub fn attach(&mut self, id: u32, asked: u32, by: Actor) -> Result<()> {
        self.find(id, asked, by.who)?;
        let segment = &mut self.entry(id)?.segment;
        segment.attachments += 1;
        (segment.last, segment.attached) = (by.pid, by.now);
        Ok(())
    }

    /// Counts an attachment out, by process `pid` if that is known; the inode, if the segment is gone now.
    pub fn detach(&mut self, id: u32, pid: Option<u32>, now: i64) -> Option<u64> {
        let segment = &mut self.entry(id).ok()?.segment;
        segment.attachments = segment.attachments.saturating_sub(1);
        segment.detached = now;
        segment.last = pid.unwrap_or(segment.last);
        self.collect(id)
    }

    /// `IPC_RMID`: the key is free again at once; the inode, if the segment is gone already.
    ///
    /// # Errors
    /// `EINVAL`, `EIDRM`, `EPERM`.
    pub fn remove(&mut self, id: u32, who: Credentials) -> Result<Option<u64>> {
        let segment = &mut self.entry(id)?.segment;
        if !owns(segment, who) {
            return Err(EPERM);
        }
        segment.key = PRIVATE;
        segment.mode |= DESTROYED;
        Ok(self.collect(id))
    }

    fn collect(&mut self, id: u32) -> Option<u64> {
        let Entry { segment, inode } = *self.entry(id).ok()?;
        let gone = segment.mode & DESTROYED != 0 && segment.attachments == 0;
        gone.then(|| {
            self.entries.remove(&(id & ((1 << INDEX_BITS) - 1)));
            inode
        })
    }

    /// `IPC_SET`: owner and permissions.
    ///
    /// # Errors
    /// `EINVAL`, `EIDRM`, `EPERM`.
    pub fn set(&mut self, id: u32, owner: (u32, u32), mode: u32, by: Actor) -> Result<()> {
        let segment = &mut self.entry(id)?.segment;
        if !owns(segment, by.who) {
            return Err(EPERM);
        }
        (segment.uid, segment.gid) = owner;
        segment.mode = segment.mode & !0o777 | mode & 0o777;
        segment.changed = by.now;
        Ok(())
    }

    /// All segments with their inodes, by index.
    pub fn iter(&self) -> impl Iterator<Item = (Segment, u64)> {
        self.entries
            .values()
            .map(|entry| (entry.segment, entry.inode))
    }

    /// Highest index in use; 0 if none is.
    pub fn highest(&self) -> u32 {
        self.entries.keys().next_back().copied().unwrap_or(0)
    }
}

/// What an attachment asks of the permissions.
pub const fn attach_permission(read_only: bool) -> u32 {
    if read_only { READ } else { READ | WRITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Credentials = Credentials { uid: 0, gid: 0 };
    const ALICE: Credentials = Credentials { uid: 7, gid: 7 };
    const BOB: Credentials = Credentials { uid: 8, gid: 8 };

    const fn by(who: Credentials, pid: u32, now: i64) -> Actor {
        Actor { who, pid, now }
    }

    #[test]
    fn keys_lead_to_segments() {
        let mut all = Segments::default();
        assert_eq!(all.get(5, 100, 0o600, ALICE), Err(ENOENT));
        assert_eq!(all.get(5, 0, CREATE, ALICE), Err(EINVAL));
        assert_eq!(all.get(5, 100, CREATE | 0o600, ALICE), Ok(Get::New));
        let id = all.add(5, 100, CREATE | 0o640, 77, by(ALICE, 3, 9));
        assert_eq!(all.get(5, 100, 0o600, ALICE), Ok(Get::Existing(id)));
        assert_eq!(all.get(5, 0, 0, BOB), Ok(Get::Existing(id)));
        assert_eq!(all.get(5, 101, 0, ALICE), Err(EINVAL));
        assert_eq!(all.get(5, 1, CREATE | EXCLUSIVE, ALICE), Err(EEXIST));
        assert_eq!(all.get(5, 1, 0o400, BOB), Err(EACCES));
        assert_eq!(all.get(5, 1, 0o600, ROOT), Ok(Get::Existing(id)));
        assert_eq!(all.get(PRIVATE, 1, 0, BOB), Ok(Get::New));
    }

    #[test]
    fn removed_segments_stay_for_who_has_them() {
        let mut all = Segments::default();
        let id = all.add(5, 100, 0o600, 77, by(ALICE, 3, 9));
        assert_eq!(all.attach(id, READ, by(BOB, 4, 10)), Err(EACCES));
        all.attach(id, READ | WRITE, by(ALICE, 4, 10)).unwrap();
        all.attach(id, READ, by(ROOT, 5, 11)).unwrap();
        assert_eq!(all.remove(id, BOB), Err(EPERM));
        assert_eq!(all.remove(id, ALICE), Ok(None));
        assert_eq!(all.get(5, 100, 0, ALICE), Err(ENOENT), "the key is free");
        let (segment, _) = all.find(id, READ, ALICE).unwrap();
        assert_eq!(
            (segment.mode, segment.attachments, segment.last),
            (0o1600, 2, 5)
        );
        assert_eq!(all.detach(id, Some(4), 12), None);
        assert_eq!(all.detach(id, None, 13), Some(77));
        assert_eq!(all.find(id, READ, ALICE), Err(EINVAL));
        let again = all.add(5, 100, 0o600, 78, by(ALICE, 3, 14));
        assert_ne!(again, id);
        assert_eq!(all.find(id, READ, ALICE), Err(EIDRM));
    }

    #[test]
    fn owners_change_permissions() {
        let mut all = Segments::default();
        let id = all.add(5, 100, 0o600, 77, by(ALICE, 3, 9));
        assert_eq!(all.set(id, (8, 8), 0o777, by(BOB, 1, 1)), Err(EPERM));
        all.set(id, (8, 8), 0o1640, by(ALICE, 1, 20)).unwrap();
        let (segment, _) = all.find(id, READ | WRITE, BOB).unwrap();
        assert_eq!((segment.uid, segment.mode, segment.changed), (8, 0o640, 20));
        assert_eq!((all.id_at(0), all.id_at(1)), (Ok(id), Err(EINVAL)));
    }
}
