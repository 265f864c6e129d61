//! What can be asked of a thread.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Bytes of a thread's name, the NUL that ends it included (`TASK_COMM_LEN`).
pub const NAME_SIZE: usize = 16;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Activity {
    /// It runs.
    Running = 0,
    /// It waits for a CPU.
    Ready = 1,
    /// It could run, but its process is stopped.
    Stopped = 2,
    /// It waits to send.
    Send = 3,
    /// It waits to receive.
    Receive = 4,
    /// It waits for a reply.
    Reply = 5,
    /// It waits at a futex.
    Futex = 6,
    /// It waits at a futex that inherits priorities.
    FutexPi = 7,
    /// It sleeps until a deadline.
    Sleep = 8,
    /// It waits for readiness of sessions.
    Poll = 9,
    /// It waits for a child.
    Child = 10,
    /// It waits for a caught signal.
    Suspend = 11,
    /// It waits for a signal of a set.
    SigWait = 12,
    /// It waits for a page.
    Page = 13,
    /// It waits for memory.
    Memory = 14,
    /// It ends.
    Dead = 15,
}

/// What `ThreadNext` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ThreadInfo {
    /// Thread id.
    pub tid: u32,
    /// CPUs on which it may run; bit n = CPU n.
    pub affinity: u32,
    /// Threads that lend it their priority.
    pub donors: u32,
    /// An [`Activity`].
    pub activity: u8,
    /// Scheduling policy: Linux's number.
    pub policy: u8,
    /// Base priority.
    pub base: u8,
    /// The priority that counts now.
    pub effective: u8,
    /// Nice value.
    pub nice: i8,
    /// Linux's real-time priority, or 0.
    pub realtime: u8,
    /// Zero.
    pub reserved: u16,
    /// CPU on which it runs or ran last.
    pub cpu: u32,
    /// CPU time in user mode, in nanoseconds.
    pub user_ns: u64,
    /// CPU time in the kernel, in nanoseconds.
    pub system_ns: u64,
    /// How often it gave up its CPU.
    pub voluntary: u64,
    /// How often another thread took its CPU.
    pub involuntary: u64,
    /// Its name, if one was set; it ends at the first NUL.
    pub name: [u8; NAME_SIZE],
}
