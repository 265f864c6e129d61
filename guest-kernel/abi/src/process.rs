//! Processes: personality, waiting, what can be asked of them.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Where foreign system calls, signals and faults enter the personality (`PersonalitySet`).
///
/// Inherited by `fork`, kept by `exec`. All addresses lie in the personality's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Personality {
    /// First address of the personality's text.
    pub text_begin: u64,
    /// One past its last.
    pub text_end: u64,
    /// Continues a `SYSCALL` from outside the text: RCX = the program's RIP, R11 = its RFLAGS,
    /// every other register as the program had it.
    pub syscall_entry: u64,
    /// Continues a thread that a caught signal interrupted (see
    /// [`SignalSlot`](crate::signal::SignalSlot)).
    pub signal_entry: u64,
    /// Continues a thread that faulted inside the text.
    pub fault_entry: u64,
    /// The restartable way out: first address.
    pub exit_begin: u64,
    /// One past its last.
    pub exit_end: u64,
}

/// Which children `Wait` waits for: Linux's `idtype_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum WaitFor {
    /// Any child.
    Any = 0,
    /// The child with this pid.
    Pid = 1,
    /// Any child in this process group.
    Group = 2,
}

/// Options of `Wait`: Linux's bits.
pub mod wait {
    /// Return at once, with 0, when no child has anything to report.
    pub const NO_HANG: u32 = 1;
    /// Report stopped children.
    pub const STOPPED: u32 = 2;
    /// Report ended children.
    pub const EXITED: u32 = 4;
    /// Report continued children.
    pub const CONTINUED: u32 = 8;
    /// Leave the child waitable.
    pub const NO_WAIT: u32 = 0x0100_0000;
}

/// What `Wait` found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WaitResult {
    /// The child.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// Its status as `wait4` encodes it: `code << 8`, or the signal (| 0x80 with a core file),
    /// `signal << 8 | 0x7f` stopped, `0xffff` continued.
    pub status: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// CPU time the child and its waited-for children spent in user mode, in nanoseconds.
    pub user_ns: u64,
    /// The same in the kernel.
    pub system_ns: u64,
}

/// State letters of [`ProcessInfo`]: as `/proc/PID/stat` has them.
pub mod state {
    /// At least one thread runs or is ready.
    pub const RUNNING: u8 = b'R';
    /// Every thread waits.
    pub const SLEEPING: u8 = b'S';
    /// Stopped by a signal.
    pub const STOPPED: u8 = b'T';
    /// Ended, not yet waited for.
    pub const ZOMBIE: u8 = b'Z';
}

/// Longest argument text that the kernel keeps for `/proc/PID/cmdline`.
pub const ARGUMENTS_MAX: usize = 128;

/// What `ProcessInfo` reports.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// Parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// A letter of [`state`].
    pub state: u8,
    /// Highest base priority of its threads.
    pub priority: u8,
    /// Policy of that thread.
    pub policy: u8,
    /// CPU on which it last ran.
    pub cpu: u8,
    /// Threads.
    pub threads: u32,
    /// Handles.
    pub handles: u32,
    /// Real user id.
    pub uid: u32,
    /// Mapped address space, in bytes.
    pub virtual_bytes: u64,
    /// Present pages.
    pub resident_pages: u64,
    /// CPU time in user mode, in nanoseconds.
    pub user_ns: u64,
    /// CPU time in the kernel, in nanoseconds.
    pub system_ns: u64,
    /// When it started, in monotonic nanoseconds.
    pub start_ns: u64,
    /// NUL-separated arguments, cut at the size.
    pub arguments: [u8; ARGUMENTS_MAX],
    /// Bytes of `arguments` in use.
    pub arguments_length: u32,
    /// 1: a Linux program (it has a personality); 0: a server.
    pub has_personality: u32,
}

/// What `MemoryLimit` limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum MemoryLimit {
    /// Bytes mapped: beyond it `VmMap` and `VmRemap` give `NoMemory`, and stacks do not grow.
    Mapped = 0,
    /// Pages present: a touch beyond it kills the process; in a system call it is `NoMemory`.
    Resident = 1,
    /// Pages locked: beyond it `VmLock` gives `NoMemory`.
    Locked = 2,
}

/// How many limits there are.
pub const MEMORY_LIMITS: usize = 3;

/// What a process's memory is (`MemoryInfo`); the arrays are indexed by [`MemoryLimit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MemoryInfo {
    /// Bytes mapped, pages present, pages locked.
    pub used: [u64; MEMORY_LIMITS],
    /// The most that was used since it was counted anew ([`MemoryForget`](crate::Call::MemoryForget)): bytes mapped,
    /// pages present.
    pub most: [u64; 2],
    /// The limits (`u64::MAX`: none), in the same units.
    pub limits: [u64; MEMORY_LIMITS],
    /// How often each limit refused something.
    pub violations: [u64; MEMORY_LIMITS],
}

/// User and group ids, stamped by the kernel on what a process asks of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Identity {
    /// Real user id.
    pub ruid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Saved user id.
    pub suid: u32,
    /// Real group id.
    pub rgid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Saved group id.
    pub sgid: u32,
}
