//! The trace: what a kernel tells of itself when the monitor asks for it (`vmm run --trace`, which sets
//! [`FERRIX_TRACE`](crate::cpuid::FERRIX_TRACE)).
//!
//! Each CPU has a buffer of [`BUFFER_SIZE`] bytes in RAM, aligned to as many: a [`Head`], then room for [`RECORDS`]
//! [`Record`]s, of which number N has place N modulo [`RECORDS`]. A 32-bit write of the buffer's page number to
//! [`port::TRACE`](crate::port::TRACE) shows it to the monitor, which then has read what it holds: the kernel writes it
//! when the buffer is new or full, before the next record takes the place of one. What a buffer holds when the machine
//! ends is read too.
//!
//! The monitor reads all buffers whenever one is shown, while other CPUs write to theirs: the records that the head
//! counts are whole, and each keeps its place until the monitor has read it.

/// Bytes of a buffer.
pub const BUFFER_SIZE: usize = 64 << 10;
/// Bytes of a [`Record`], and of the [`Head`].
pub const RECORD_SIZE: usize = 32;
/// Records of a full buffer.
pub const RECORDS: usize = BUFFER_SIZE / RECORD_SIZE - 1;

/// Where a buffer begins.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Head {
    /// How many records were written so far. Counted when each is written.
    pub records: u64,
    /// Whose they are.
    pub cpu: u32,
    /// Zero.
    pub reserved: [u32; 3],
    /// The time stamp counter when the buffer was shown.
    pub now: u64,
}

/// Something that happened on a CPU. What a field means depends on the [`kind`]; the others are zero.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Record {
    /// The time stamp counter.
    pub time: u64,
    /// One of [`kind`].
    pub kind: u8,
    /// A thread's state, by the number that [`kind::STATE`] names.
    pub state: u8,
    /// A thread's priority.
    pub priority: u8,
    /// A CPU, or another state.
    pub cpu: u8,
    /// A thread's id; 0: none, or an idle thread.
    pub thread: u32,
    /// Another thread's id, or a process's.
    pub other: u32,
    /// A number.
    pub extra: u32,
    /// A number.
    pub value: u64,
}

const _: () = assert!(size_of::<Record>() == RECORD_SIZE && size_of::<Head>() == RECORD_SIZE);

/// What a record tells. A *name* is 16 bytes from [`Record::other`] on, filled up with zeros.
pub mod kind {
    /// The state of number `state` has this name.
    pub const STATE: u8 = 1;
    /// This CPU goes from `thread`, which is in `state` now (calls: to `extra`), to `other`, which was in the state `cpu`
    /// and has this priority. `value`: when that was woken; 0: it was not, but got the CPU from `thread`.
    pub const SWITCH: u8 = 2;
    /// `thread`, in `state` so far, is ready to run on `cpu`; the thread `other` made it so, at `value`.
    pub const WAKE: u8 = 3;
    /// `cpu` takes the ready `thread` from the CPU `extra`.
    pub const MIGRATE: u8 = 4;
    /// `thread` has this priority instead of `extra`, by what others lend to it.
    pub const INHERIT: u8 = 5;
    /// The running thread receives the message of `thread`, which has waited for that.
    pub const RECEIVE: u8 = 6;
    /// The running thread touches the address `value`, with the page fault's error code `extra`.
    pub const FAULT: u8 = 7;
    /// An interrupt: line `extra`, or [`TIMER`](super::TIMER) or [`RESCHEDULE`](super::RESCHEDULE).
    pub const INTERRUPT: u8 = 8;
    /// `thread` begins, in the process `other`.
    pub const BEGIN: u8 = 9;
    /// `thread` ends.
    pub const END: u8 = 10;
    /// The process `thread` has this name.
    pub const PROCESS: u8 = 11;
    /// `thread` has this name.
    pub const NAME: u8 = 12;
    /// The running thread's process executes a program of this name.
    pub const EXEC: u8 = 13;
}

/// The interrupt of a CPU's timer.
pub const TIMER: u32 = 0x1_0000;
/// The interrupt by which one CPU makes another look at its queue.
pub const RESCHEDULE: u32 = 0x1_0001;
