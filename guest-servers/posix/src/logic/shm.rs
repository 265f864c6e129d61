//! `shmctl`'s structures (`linux/shm.h`, `asm-generic/shmbuf.h`, `asm-generic/ipcbuf.h`).

use ferrix_proto::shm::{SEGMENTS_MAX, SIZE_MAX, SIZE_MIN, Segment, Summary};

use crate::attachments::ATTACHMENTS_MAX;

/// Commands of `shmctl`.
pub mod command {
    /// `IPC_RMID`.
    pub const REMOVE: u32 = 0;
    /// `IPC_SET`.
    pub const SET: u32 = 1;
    /// `IPC_STAT`.
    pub const STAT: u32 = 2;
    /// `IPC_INFO`.
    pub const LIMITS: u32 = 3;
    /// `SHM_LOCK`.
    pub const LOCK: u32 = 11;
    /// `SHM_UNLOCK`.
    pub const UNLOCK: u32 = 12;
    /// `SHM_STAT`.
    pub const STAT_INDEX: u32 = 13;
    /// `SHM_INFO`.
    pub const USAGE: u32 = 14;
    /// `SHM_STAT_ANY`.
    pub const STAT_INDEX_ANY: u32 = 15;
    /// `IPC_64`, which some C libraries add.
    pub const WIDE: u32 = 0x100;
}

/// Flags of `shmat`.
pub mod flag {
    /// `SHM_RDONLY`.
    pub const READ_ONLY: u64 = 0o10000;
    /// `SHM_RND`.
    pub const ROUND: u64 = 0o20000;
    /// `SHM_REMAP`.
    pub const REPLACE: u64 = 0o40000;
    /// `SHM_EXEC`.
    pub const EXECUTE: u64 = 0o100_000;
}

/// `struct ipc64_perm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Permissions {
    /// Key.
    pub key: u32,
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
    /// Creator.
    pub creator_uid: u32,
    /// Creator's group.
    pub creator_gid: u32,
    /// Permissions and `SHM_DEST`.
    pub mode: u32,
    /// Sequence number, 16 bits.
    pub sequence: u32,
    /// Padding.
    pub padding: u32,
    /// Unused.
    pub unused: [u64; 2],
}

/// `struct shmid64_ds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Status {
    /// Who may do what.
    pub permissions: Permissions,
    /// Bytes.
    pub size: u64,
    /// Last `shmat`.
    pub attached: i64,
    /// Last `shmdt`.
    pub detached: i64,
    /// Last change.
    pub changed: i64,
    /// Process that made it.
    pub creator: u32,
    /// Process of the last `shmat` or `shmdt`.
    pub last: u32,
    /// Attachments.
    pub attachments: u64,
    /// Unused.
    pub unused: [u64; 2],
}

const _: () = assert!(size_of::<Permissions>() == 48 && size_of::<Status>() == 112);

/// `struct shminfo64`: largest and smallest size, most segments, most for a process, most pages; unused.
pub type Limits = [u64; 9];
/// `struct shm_info`: segments, pages, pages present; pages swapped, attempts, successes.
pub type Usage = [u64; 6];

/// What the system allows.
pub const fn limits() -> Limits {
    let pages = SIZE_MAX / 4096;
    [
        SIZE_MAX,
        SIZE_MIN,
        SEGMENTS_MAX,
        ATTACHMENTS_MAX as u64,
        pages,
        0,
        0,
        0,
        0,
    ]
}

/// What the system uses.
pub const fn usage(summary: &Summary) -> Usage {
    [summary.segments, summary.pages, summary.resident, 0, 0, 0]
}

impl From<&Segment> for Status {
    fn from(segment: &Segment) -> Status {
        Status {
            permissions: Permissions {
                key: segment.key,
                uid: segment.uid,
                gid: segment.gid,
                creator_uid: segment.creator_uid,
                creator_gid: segment.creator_gid,
                mode: segment.mode,
                sequence: segment.sequence & 0xffff,
                ..Permissions::default()
            },
            size: segment.size,
            attached: segment.attached,
            detached: segment.detached,
            changed: segment.changed,
            creator: segment.creator,
            last: segment.last,
            attachments: segment.attachments,
            ..Status::default()
        }
    }
}
