//! System V message queues and semaphores: what is asked of `queue` on its port (msgget(2), semget(2)).
//!
//! A message of more than 256 bytes is [deposited](DEPOSIT) before it is sent, and [taken](crate::queue::TAKE) after it was
//! received, so that no slot of a window is held by who waits.

use crate::request::SYSV_BASE;

/// The payload in the window is what the calling thread will send next.
pub const DEPOSIT: u16 = SYSV_BASE;
/// Word 1 = key | flags << 32 → word 1 = id.
pub const MESSAGE_GET: u16 = SYSV_BASE + 1;
/// Word 1 = id | flags << 32, word 2 = type; the payload is the message, or word 3 = 1: it was deposited.
pub const MESSAGE_SEND: u16 = SYSV_BASE + 2;
/// Word 1 = id | flags << 32, word 2 = type; the head's length is the room → as
/// [`mq::RECEIVE`](crate::queue::mq::RECEIVE), word 1 = type.
pub const MESSAGE_RECEIVE: u16 = SYSV_BASE + 3;
/// Word 1 = id or index | [`stat`] << 32 → LONG bytes = [`MessageQueue`].
pub const MESSAGE_STAT: u16 = SYSV_BASE + 4;
/// Word 1 = id | mode << 32, word 2 = uid | gid << 32, word 3 = bytes.
pub const MESSAGE_SET: u16 = SYSV_BASE + 5;
/// Word 1 = id.
pub const MESSAGE_REMOVE: u16 = SYSV_BASE + 6;
/// → word 1 = queues | highest index << 32, word 2 = messages, word 3 = bytes.
pub const MESSAGE_SUMMARY: u16 = SYSV_BASE + 7;
/// Word 1 = key | flags << 32, word 2 = how many → word 1 = id.
pub const SEMAPHORE_GET: u16 = SYSV_BASE + 8;
/// Word 1 = id | operations << 32, word 2 = deadline; the payload is the `struct sembuf`s, or word 3 = 1: they were deposited.
pub const SEMAPHORE_OPERATE: u16 = SYSV_BASE + 9;
/// Word 1 = id or index | [`stat`] << 32 → LONG bytes = [`SemaphoreSet`].
pub const SEMAPHORE_STAT: u16 = SYSV_BASE + 10;
/// Word 1 = id | mode << 32, word 2 = uid | gid << 32.
pub const SEMAPHORE_SET: u16 = SYSV_BASE + 11;
/// Word 1 = id.
pub const SEMAPHORE_REMOVE: u16 = SYSV_BASE + 12;
/// Word 1 = id | number << 32 → word 1 = value, word 2 = last pid, word 3 = waiting to decrease | waiting for zero << 32.
pub const SEMAPHORE_LOOK: u16 = SYSV_BASE + 13;
/// Word 1 = id | number << 32, word 2 = value.
pub const SEMAPHORE_ASSIGN: u16 = SYSV_BASE + 14;
/// → word 1 = sets | highest index << 32, word 2 = semaphores.
pub const SEMAPHORE_SUMMARY: u16 = SYSV_BASE + 15;
/// Word 1 = id → all values, 16 bits each: LONG bytes, or word 2 = number for [`TAKE`](crate::queue::TAKE).
pub const SEMAPHORE_VALUES: u16 = SYSV_BASE + 16;
/// Word 1 = id; the payload is all values, or word 3 = 1: they were deposited.
pub const SEMAPHORE_ASSIGN_ALL: u16 = SYSV_BASE + 17;

/// Whom a `…_STAT` asks for.
pub mod stat {
    /// By id; takes the permission to read.
    pub const ID: u64 = 0;
    /// By index; takes the permission to read.
    pub const INDEX: u64 = 1;
    /// By index, for anybody.
    pub const INDEX_ANY: u64 = 2;
    /// By id, for anybody: how many semaphores a set has.
    pub const COUNT: u64 = 3;
}

/// `IPC_PRIVATE`.
pub const PRIVATE: u32 = 0;
/// `IPC_CREAT`.
pub const CREATE: u32 = 0o1000;
/// `IPC_EXCL`.
pub const EXCLUSIVE: u32 = 0o2000;
/// `IPC_NOWAIT`.
pub const NO_WAIT: u32 = 0o4000;
/// `SEM_UNDO`.
pub const UNDO: u32 = 0x1000;
/// `MSG_NOERROR`.
pub const MESSAGE_TRUNCATE: u32 = 0o10000;
/// `MSG_EXCEPT`.
pub const MESSAGE_EXCEPT: u32 = 0o20000;

/// Most bytes of a message (`MSGMAX`).
pub const MESSAGE_MAX: u64 = 8192;
/// Bytes that a queue holds unless set (`MSGMNB`).
pub const QUEUE_BYTES: u64 = 16384;
/// Most queues (`MSGMNI`).
pub const QUEUES_MAX: usize = 4096;
/// Greatest value of a semaphore (`SEMVMX`).
pub const SEMAPHORE_MAX: u16 = 32767;
/// Most semaphores of a set (`SEMMSL`).
pub const SET_MAX: usize = 4096;
/// Most sets (`SEMMNI`).
pub const SETS_MAX: usize = 4096;
/// Most semaphores of all sets (`SEMMNS`).
pub const SEMAPHORES_MAX: usize = 65536;
/// Most operations at a time (`SEMOPM`).
pub const OPERATIONS_MAX: usize = 500;
/// Most processes with something to undo, by set.
pub const UNDO_MAX: usize = 4096;

/// `struct ipc_perm`, in the order of this protocol; 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Owned {
    /// Id.
    pub id: u32,
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
    /// Permissions.
    pub mode: u32,
    /// High part of the id.
    pub sequence: u32,
}

/// A message queue; times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MessageQueue {
    /// Who owns it.
    pub owned: Owned,
    /// Last `msgsnd`, last `msgrcv`, last change.
    pub times: [i64; 3],
    /// Bytes in it.
    pub bytes: u64,
    /// Messages in it.
    pub messages: u64,
    /// Bytes that it holds.
    pub limit: u64,
    /// Processes of the last `msgsnd` and `msgrcv`.
    pub last: [u32; 2],
}

/// A set of semaphores; times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SemaphoreSet {
    /// Who owns it.
    pub owned: Owned,
    /// Last `semop`, last change.
    pub times: [i64; 2],
    /// Semaphores.
    pub count: u64,
}
