//! Memory objects and mappings.
//!
//! # Paged objects
//!
//! The pages of a *paged* object (`PagedCreate`) come from a server, its pager. A touch of an absent
//! page within the size blocks the thread and sends the port one
//! [`PAGE_REQUEST`](crate::ipc::Kind::PAGE_REQUEST); the pager answers with `ObjectSupply` or `ObjectFail`. The
//! pager maps the object too, and reads and writes the same pages. It must supply a page before it
//! touches it: its own touch of an absent page is an error at once (SIGBUS, `Fault`).
//!
//! Writes by others are tracked: `ObjectClean` tells which pages they wrote. The pager's own are not.
//! When nobody else maps or names the object any more, the pager receives one
//! [`OBJECT_UNUSED`](crate::ipc::Kind::OBJECT_UNUSED); it comes again after the next use has ended.
//!
//! A touch is SIGBUS (`BUS_ADRERR`) beyond the size; where the pager fails the page; when the pager has
//! died, or nobody can receive on the port any more; and when no answer came within the
//! time-out. Then nobody waits for absent pages, which are SIGBUS at once, for as long again or until
//! the pager answers for the object.

use bitflags::bitflags;
use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Physical addresses from here on cannot be mapped.
pub const PHYSICAL_END: u64 = 1 << 44;

/// What backs a memory object (`ObjectCreate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum ObjectKind {
    /// Pages that appear, zeroed, when touched.
    Anonymous = 0,
    /// Physically contiguous zeroed pages for device access; needs `Rights::PHYSICAL`.
    Contiguous = 1,
    /// A range of physical addresses below [`PHYSICAL_END`] (device registers, no RAM, no interrupt
    /// controller); needs `Rights::PHYSICAL`.
    Physical = 2,
}

/// How long a thread waits for a page unless `PagedCreate` says otherwise, in nanoseconds.
pub const PAGER_TIMEOUT_NS: u64 = 30_000_000_000;
/// Most pages that a request hints at.
pub const PAGES_HINT: u64 = 16;
/// Most pages of one `ObjectSupply`, `ObjectClean`.
pub const PAGES_MAX: u64 = 4096;

/// What the thread that wants a page was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum PageAccess {
    /// To read.
    Read = 0,
    /// To write.
    Write = 1,
    /// To execute.
    Execute = 2,
}

bitflags! {
    /// Protection of a mapping; the low bits are Linux's `PROT_*`. Writable and executable at
    /// once is refused for shared objects only (programs may ask for it privately).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Prot: u32 {
        /// Readable.
        const READ = 1;
        /// Writable.
        const WRITE = 2;
        /// Executable.
        const EXEC = 4;
    }
}

bitflags! {
    /// How a mapping is made (`VmMap`), in the upper half of the protection argument.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct MapFlags: u32 {
        /// At exactly the address given, replacing what is there.
        const FIXED = 1 << 0;
        /// At exactly the address given, or `Exists`.
        const NO_REPLACE = 1 << 1;
        /// Writes go to a private copy (copy-on-write); otherwise to the object.
        const PRIVATE = 1 << 2;
        /// `fork` does not give the child this mapping.
        const INHERIT_NONE = 1 << 3;
        /// `fork` shares it (otherwise private mappings are copied, shared ones shared).
        const INHERIT_SHARE = 1 << 4;
        /// Make all pages present now.
        const POPULATE = 1 << 5;
        /// Pick the address in the system part (`SYSTEM_MMAP_BASE..SYSTEM_MMAP_TOP`).
        const SYSTEM = 1 << 6;
        /// A stack: faults just below extend it downward, to the limit.
        const GROWS_DOWN = 1 << 7;
        /// Device registers: uncached.
        const UNCACHED = 1 << 8;
        /// The address is a hint: tried first, else the kernel picks.
        const HINT = 1 << 9;
        /// Its pages are made present and stay so, as by `VmLock`.
        const LOCKED = 1 << 10;
    }
}

/// What a forked child gets of a mapping (`VmInherit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Inheritance {
    /// Private mappings are copied, shared ones shared.
    ByKind = 0,
    /// Nothing.
    None = 1,
}

bitflags! {
    /// How `VmRemap` may move a mapping; none of these: not at all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RemapFlags: u32 {
        /// Anywhere, if it cannot grow where it is.
        const MAY_MOVE = 1 << 0;
        /// To exactly the address given, replacing what is there.
        const FIXED = 1 << 1;
        /// The old mapping stays, without its pages (private anonymous memory, lengths equal).
        const KEEP = 1 << 2;
    }
}

/// Added to a pid where a process is asked for: the process with that pid, for who may see it (effective
/// user 0, or its real user).
pub const BY_PID: u64 = 1 << 32;

/// One mapping, as `VmQuery` reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Offset in the object, in bytes.
    pub offset: u64,
    /// Id of the object, unique since boot; 0: private anonymous memory.
    pub object: u64,
    /// [`Prot`] bits.
    pub prot: u32,
    /// [`MapFlags`] bits (`PRIVATE`, `INHERIT_*`, `GROWS_DOWN`, `LOCKED`).
    pub flags: u32,
}
