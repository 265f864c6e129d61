//! Handles: a process's own names for kernel objects.

use bitflags::bitflags;

/// A process's name for a kernel object: an index into its handle table. Zero is never valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// No handle.
    pub const NONE: Handle = Handle(0);
}

bitflags! {
    /// What a handle allows, and how it behaves. Rights can only be dropped, never gained.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Rights: u32 {
        /// Send and call (port, session).
        const SEND = 1 << 0;
        /// Receive from it, create sessions on it, signal them (port).
        const RECEIVE = 1 << 1;
        /// Map for reading and executing (object); query (process).
        const READ = 1 << 2;
        /// Map for writing (object); start, grant to, map into, kill (process).
        const WRITE = 1 << 3;
        /// Copy the handle (`HandleDup`), or copy it in a message.
        const DUP = 1 << 4;
        /// Move it away in a message or a grant.
        const TRANSFER = 1 << 5;
        /// Resource: bind interrupts.
        const IRQ = 1 << 8;
        /// Resource: create physical and contiguous objects, ask physical addresses.
        const PHYSICAL = 1 << 9;
        /// Resource: power the machine off.
        const POWER = 1 << 10;
        /// Resource: create processes, raise priorities, signal any process.
        const PROCESS = 1 << 11;
        /// Supply, clean, resize and discard pages (object).
        const PAGER = 1 << 12;
        /// Resource: use I/O ports, take the kernel's log.
        const IOPORT = 1 << 13;
        /// `fork` does not copy this handle to the child. Not a right: it can always be added.
        const NO_INHERIT = 1 << 31;
    }
}
