//! Memory objects and mappings.

use bitflags::bitflags;
use num_enum::{IntoPrimitive, TryFromPrimitive};

/// What backs a memory object (`ObjectCreate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum ObjectKind {
    /// Pages that appear, zeroed, when touched.
    Anonymous = 0,
    /// Physically contiguous zeroed pages for device access; needs `Rights::PHYSICAL`.
    Contiguous = 1,
    /// A range of physical addresses (device registers); needs `Rights::PHYSICAL`.
    Physical = 2,
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
    }
}

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
    /// [`Prot`] bits.
    pub prot: u32,
    /// [`MapFlags`] bits (`PRIVATE`, `INHERIT_*`, `GROWS_DOWN`).
    pub flags: u32,
}
