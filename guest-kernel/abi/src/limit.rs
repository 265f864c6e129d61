//! What a process may use of each resource: Linux's limits (`setrlimit(2)`), and what the kernel counts.
//!
//! Children inherit the limits by `fork`; `exec` keeps them. The kernel enforces those of memory, processes
//! and handles, and CPU time; the personality those of descriptors and file sizes, which it reports with
//! `LimitViolated`.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// A resource, with Linux's `RLIMIT_*` number; the last is Ferrix's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Resource {
    /// Seconds of CPU time: SIGXCPU every second beyond the soft limit, SIGKILL at the hard one.
    Cpu = 0,
    /// Bytes of a file that is written: SIGXFSZ and EFBIG.
    FileSize = 1,
    /// Bytes of private writable mappings (data, heap), without stacks: `NoMemory`.
    Data = 2,
    /// Bytes to which a stack grows: SIGSEGV.
    Stack = 3,
    /// Bytes of a core file (kept only).
    Core = 4,
    /// Bytes of pages present: SIGKILL at a touch, `NoMemory` in a system call.
    Resident = 5,
    /// Processes and threads of the real user: `WouldBlock`. Does not bind user 0.
    Processes = 6,
    /// One past the highest descriptor: EMFILE.
    Files = 7,
    /// Bytes of locked mappings: `NoMemory`. Does not bind user 0.
    Locked = 8,
    /// Bytes mapped in the program's part of the address space: `NoMemory`; stacks do not grow.
    AddressSpace = 9,
    /// File locks (kept only).
    FileLocks = 10,
    /// Signals that wait (kept only: the kernel has a bound of its own).
    PendingSignals = 11,
    /// Bytes in POSIX message queues (kept only).
    MessageQueues = 12,
    /// Highest niceness, as 20 minus it.
    Nice = 13,
    /// Highest real-time priority.
    RealtimePriority = 14,
    /// Microseconds of real-time CPU time without a break (kept only).
    RealtimeTime = 15,
    /// Handles in the process's table: `TooManyHandles`. Not known to Linux.
    Handles = 16,
}

/// How many resources there are.
pub const RESOURCES: usize = 17;
/// Those that Linux knows (`RLIM_NLIMITS`).
pub const LINUX_RESOURCES: usize = 16;
/// No limit.
pub const INFINITY: u64 = u64::MAX;
/// Most descriptors of a process: beyond it not even user 0 may raise the limit.
pub const FILES_MAX: u64 = 1024;
/// Most handles of a process.
pub const HANDLES_MAX: u64 = 4096;

/// A soft and a hard limit, as `prlimit64(2)` has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far the unprivileged can raise it.
    pub hard: u64,
}

impl Limit {
    /// The same for both.
    pub const fn both(value: u64) -> Limit {
        Limit {
            soft: value,
            hard: value,
        }
    }
}

/// What a process has unless told otherwise, indexed by [`Resource`]. Linux's defaults, but for the numbers of
/// processes, descriptors and handles.
pub const DEFAULTS: [Limit; RESOURCES] = {
    let mut limits = [Limit::both(INFINITY); RESOURCES];
    limits[Resource::Stack as usize].soft = 8 << 20;
    limits[Resource::Core as usize] = Limit {
        soft: 0,
        hard: INFINITY,
    };
    limits[Resource::Processes as usize] = Limit::both(crate::layout::MAX_THREADS);
    limits[Resource::Files as usize] = Limit::both(FILES_MAX);
    limits[Resource::Locked as usize] = Limit::both(8 << 20);
    limits[Resource::PendingSignals as usize] = Limit::both(256);
    limits[Resource::MessageQueues as usize] = Limit::both(819_200);
    limits[Resource::Nice as usize] = Limit::both(0);
    limits[Resource::RealtimePriority as usize] = Limit::both(0);
    limits[Resource::Handles as usize] = Limit::both(HANDLES_MAX);
    limits
};

/// What `LimitInfo` reports; the arrays are indexed by [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct LimitInfo {
    /// The limits.
    pub limits: [Limit; RESOURCES],
    /// What is used, in the limits' units; 0 of what the kernel does not know.
    pub used: [u64; RESOURCES],
    /// How often each limit refused something to this process.
    pub violations: [u64; RESOURCES],
}

impl Default for LimitInfo {
    fn default() -> LimitInfo {
        LimitInfo {
            limits: DEFAULTS,
            used: [0; RESOURCES],
            violations: [0; RESOURCES],
        }
    }
}
