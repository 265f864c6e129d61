//! Signals: Linux's numbers, dispositions, and the slot through which the kernel delivers.
//!
//! The kernel keeps what decides *whether and to whom* a signal goes: pending queues, masks, and a
//! disposition per signal. The process's signal entry (the personality) keeps what decides *how* a
//! handler runs: its address, flags, alternate stack and frame. See [`SignalSlot`].

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// SIGHUP to SIGSYS as on Linux x86-64.
pub mod number {
    #![expect(missing_docs, reason = "POSIX's names say what they are")]
    pub const SIGHUP: u32 = 1;
    pub const SIGINT: u32 = 2;
    pub const SIGQUIT: u32 = 3;
    pub const SIGILL: u32 = 4;
    pub const SIGTRAP: u32 = 5;
    pub const SIGABRT: u32 = 6;
    pub const SIGBUS: u32 = 7;
    pub const SIGFPE: u32 = 8;
    pub const SIGKILL: u32 = 9;
    pub const SIGUSR1: u32 = 10;
    pub const SIGSEGV: u32 = 11;
    pub const SIGUSR2: u32 = 12;
    pub const SIGPIPE: u32 = 13;
    pub const SIGALRM: u32 = 14;
    pub const SIGTERM: u32 = 15;
    pub const SIGSTKFLT: u32 = 16;
    pub const SIGCHLD: u32 = 17;
    pub const SIGCONT: u32 = 18;
    pub const SIGSTOP: u32 = 19;
    pub const SIGTSTP: u32 = 20;
    pub const SIGTTIN: u32 = 21;
    pub const SIGTTOU: u32 = 22;
    pub const SIGURG: u32 = 23;
    pub const SIGXCPU: u32 = 24;
    pub const SIGXFSZ: u32 = 25;
    pub const SIGVTALRM: u32 = 26;
    pub const SIGPROF: u32 = 27;
    pub const SIGWINCH: u32 = 28;
    pub const SIGPOLL: u32 = 29;
    pub const SIGPWR: u32 = 30;
    pub const SIGSYS: u32 = 31;
    pub const SIGRTMIN: u32 = 32;
    pub const SIGRTMAX: u32 = 64;
}

/// What a process does with a signal, as far as the kernel needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Disposition {
    /// The default action of the signal's row in POSIX's table.
    Default = 0,
    /// Discarded when sent.
    Ignore = 1,
    /// Delivered to the process's signal entry.
    Catch = 2,
    /// `SIGCHLD` only: as `Default`, and children leave no zombie (SA_NOCLDWAIT).
    NoChildWait = 3,
}

/// A set of signals: bit `n - 1` is signal n (Linux's `sigset_t`).
pub type SignalSet = u64;

/// How the mask changes (`SigMask`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum MaskHow {
    /// Add the set.
    Block = 0,
    /// Remove the set.
    Unblock = 1,
    /// Replace by the set.
    Set = 2,
}

/// What is known of one signal; the fields of POSIX's `siginfo_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SignalInfo {
    /// Signal number.
    pub signo: u32,
    /// `si_code` (SI_USER 0, SI_QUEUE -1, SI_TKILL -6, SI_KERNEL 0x80, or the signal's own).
    pub code: i32,
    /// Sender's process id, or the child's.
    pub pid: u32,
    /// Sender's real user id, or the child's.
    pub uid: u32,
    /// `si_value`; for SIGCHLD the wait status; for a fault unused.
    pub value: u64,
    /// `si_addr` of a fault.
    pub address: u64,
    /// x86 exception vector of a fault (`REG_TRAPNO`).
    pub trap: u32,
    /// x86 error code of a fault (`REG_ERR`).
    pub error: u32,
}

/// Where the kernel tells a thread of a signal; part of the thread's [`Utcb`](crate::ipc::Utcb).
///
/// *Outside the personality* the kernel fills `info`, `rip`, `rsp`, `rflags` and continues the
/// thread at [`Personality::signal_entry`](crate::process::Personality::signal_entry), every other
/// register unchanged. *Inside* (RIP in the personality's text) it only sets `pending`; the
/// personality looks at it on its way out and asks with `SigTake`. Between
/// `exit_begin` and `exit_end` the kernel sets `pending` and moves RIP back to `exit_begin`, so
/// the look and the departure are one.
///
/// A fault whose RIP is in the personality's text goes to `fault_entry` in the same way, with
/// `fault_active` set; a second fault before the personality clears it ends the process.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SignalSlot {
    /// Non-zero: a deliverable signal waits; `SigTake` fetches it.
    pub pending: u32,
    /// Non-zero: a fault inside the personality is being handled.
    pub fault_active: u32,
    /// Where the thread was interrupted.
    pub rip: u64,
    /// Its stack pointer there.
    pub rsp: u64,
    /// Its flags there.
    pub rflags: u64,
    /// The thread's signal mask when the signal was taken.
    pub mask: SignalSet,
    /// The signal.
    pub info: SignalInfo,
}
