//! System V shared memory: what is asked of `vfs` on a directory session (shmget(2), shmctl(2)).
//!
//! An attachment is a session: it counts in `shm_nattch` until its last handle is closed, so that the end of a
//! process detaches.

use crate::request::SHM_BASE;

/// Word 1 = key (low half), `IPC_*` flags and mode (high half); word 2 = size → word 1 = id.
pub const GET: u16 = SHM_BASE;
/// Word 1 = id, word 2 = [`attach`] flags → handle 0 = attachment session, handle 1 = memory object (not with
/// [`attach::COUNT_ONLY`]), word 1 = size in bytes.
pub const ATTACH: u16 = SHM_BASE + 1;
/// On an attachment session: it no longer counts.
pub const DETACH: u16 = SHM_BASE + 2;
/// Word 1 = id, or index with word 2 = 1 → LONG bytes = [`Segment`].
pub const GET_SEGMENT: u16 = SHM_BASE + 3;
/// Word 1 = id, word 2 = uid | gid << 32, word 3 = mode.
pub const SET_SEGMENT: u16 = SHM_BASE + 4;
/// Word 1 = id: the segment goes when nobody has it attached.
pub const REMOVE: u16 = SHM_BASE + 5;
/// → LONG bytes = [`Summary`].
pub const SUMMARY: u16 = SHM_BASE + 6;

/// Flags of [`ATTACH`].
pub mod attach {
    /// For reading only.
    pub const READ_ONLY: u64 = 1;
    /// The mapping is there already: a forked child counts itself.
    pub const COUNT_ONLY: u64 = 2;
    /// Also to execute.
    pub const EXECUTE: u64 = 4;
}

/// Most segments.
pub const SEGMENTS_MAX: u64 = 4096;
/// Smallest segment, in bytes.
pub const SIZE_MIN: u64 = 1;
/// Largest segment, in bytes.
pub const SIZE_MAX: u64 = 1 << 46;

/// A segment; 96 bytes. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Segment {
    /// Bytes.
    pub size: u64,
    /// Last attachment.
    pub attached: i64,
    /// Last detachment.
    pub detached: i64,
    /// Creation, or last change.
    pub changed: i64,
    /// Attachments now.
    pub attachments: u64,
    /// Pages present.
    pub resident: u64,
    /// Its id.
    pub id: u32,
    /// `IPC_PRIVATE` (0): none, or no longer.
    pub key: u32,
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
    /// Creator.
    pub creator_uid: u32,
    /// Creator's group.
    pub creator_gid: u32,
    /// Permissions, and `SHM_DEST` 01000, `SHM_LOCKED` 02000.
    pub mode: u32,
    /// Process that made it.
    pub creator: u32,
    /// Process that attached or detached last.
    pub last: u32,
    /// High part of the id.
    pub sequence: u32,
    /// Reserved, zero.
    pub reserved: [u32; 2],
}

const _: () = assert!(size_of::<Segment>() == 96);

/// All segments together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Summary {
    /// Segments.
    pub segments: u64,
    /// Highest index in use.
    pub highest: u64,
    /// Pages of all segments.
    pub pages: u64,
    /// Of which present.
    pub resident: u64,
}
