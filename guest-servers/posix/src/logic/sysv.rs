//! `msgctl`'s and `semctl`'s structures (`asm-generic/msgbuf.h`, `asm/sembuf.h`, `linux/msg.h`, `linux/sem.h`).

use crate::shm::Permissions;
use ferrix_proto::sysv::{
    MESSAGE_MAX, MessageQueue, OPERATIONS_MAX, Owned, QUEUE_BYTES, QUEUES_MAX, SEMAPHORE_MAX,
    SEMAPHORES_MAX, SET_MAX, SETS_MAX, SemaphoreSet, UNDO_MAX,
};

/// Commands of `msgctl`, beside those that [`shmctl`](crate::shm::command) has too.
pub mod message {
    /// `MSG_STAT`.
    pub const STAT_INDEX: u32 = 11;
    /// `MSG_INFO`.
    pub const USAGE: u32 = 12;
    /// `MSG_STAT_ANY`.
    pub const STAT_INDEX_ANY: u32 = 13;
}

/// Commands of `semctl`.
pub mod semaphore {
    /// `GETPID`.
    pub const GET_PID: u32 = 11;
    /// `GETVAL`.
    pub const GET_VALUE: u32 = 12;
    /// `GETALL`.
    pub const GET_ALL: u32 = 13;
    /// `GETNCNT`.
    pub const GET_MORE: u32 = 14;
    /// `GETZCNT`.
    pub const GET_ZERO: u32 = 15;
    /// `SETVAL`.
    pub const SET_VALUE: u32 = 16;
    /// `SETALL`.
    pub const SET_ALL: u32 = 17;
    /// `SEM_STAT`.
    pub const STAT_INDEX: u32 = 18;
    /// `SEM_INFO`.
    pub const USAGE: u32 = 19;
    /// `SEM_STAT_ANY`.
    pub const STAT_INDEX_ANY: u32 = 20;
}

/// `struct msqid64_ds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MessageStatus {
    /// Who may do what.
    pub permissions: Permissions,
    /// Last `msgsnd`, last `msgrcv`, last change.
    pub times: [i64; 3],
    /// Bytes.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes that it holds.
    pub limit: u64,
    /// Processes of the last `msgsnd` and `msgrcv`.
    pub last: [u32; 2],
    /// Unused.
    pub unused: [u64; 2],
}

/// `struct semid64_ds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SetStatus {
    /// Who may do what.
    pub permissions: Permissions,
    /// Last `semop`.
    pub operated: i64,
    /// Unused.
    pub unused1: u64,
    /// Last change.
    pub changed: i64,
    /// Unused.
    pub unused2: u64,
    /// Semaphores.
    pub count: u64,
    /// Unused.
    pub unused3: [u64; 2],
}

const _: () = assert!(size_of::<MessageStatus>() == 120 && size_of::<SetStatus>() == 104);

fn permissions(owned: &Owned) -> Permissions {
    Permissions {
        key: owned.key,
        uid: owned.uid,
        gid: owned.gid,
        creator_uid: owned.creator_uid,
        creator_gid: owned.creator_gid,
        mode: owned.mode,
        sequence: owned.sequence & 0xffff,
        ..Permissions::default()
    }
}

impl From<&MessageQueue> for MessageStatus {
    fn from(queue: &MessageQueue) -> MessageStatus {
        MessageStatus {
            permissions: permissions(&queue.owned),
            times: queue.times,
            bytes: queue.bytes,
            messages: queue.messages,
            limit: queue.limit,
            last: queue.last,
            unused: [0; 2],
        }
    }
}

impl From<&SemaphoreSet> for SetStatus {
    fn from(set: &SemaphoreSet) -> SetStatus {
        SetStatus {
            permissions: permissions(&set.owned),
            operated: set.times[0],
            changed: set.times[1],
            count: set.count,
            ..SetStatus::default()
        }
    }
}

/// `struct msginfo`: with `MSG_INFO` queues, messages and bytes in use.
pub const fn message_info(used: Option<[u64; 3]>) -> [u32; 8] {
    let limit = QUEUE_BYTES as u32;
    let (pool, map, all) = match used {
        Some([queues, messages, bytes]) => (queues as u32, messages as u32, bytes as u32),
        None => (QUEUES_MAX as u32 * (limit / 1024), limit, limit),
    };
    [
        pool,
        map,
        MESSAGE_MAX as u32,
        limit,
        QUEUES_MAX as u32,
        16,
        all,
        0xffff,
    ]
}

/// `struct seminfo`: with `SEM_INFO` sets and semaphores in use.
pub const fn semaphore_info(used: Option<[u64; 2]>) -> [u32; 10] {
    let (size, all) = match used {
        Some([sets, semaphores]) => (sets as u32, semaphores as u32),
        None => (20, SEMAPHORE_MAX as u32),
    };
    [
        SEMAPHORES_MAX as u32,
        SETS_MAX as u32,
        SEMAPHORES_MAX as u32,
        UNDO_MAX as u32,
        SET_MAX as u32,
        OPERATIONS_MAX as u32,
        OPERATIONS_MAX as u32,
        size,
        SEMAPHORE_MAX as u32,
        all,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_their_fields_in_place() {
        let owned = Owned {
            key: 1,
            uid: 2,
            mode: 0o640,
            sequence: 0x1_0003,
            ..Owned::default()
        };
        let queue = MessageQueue {
            owned,
            times: [4, 5, 6],
            last: [7, 8],
            ..MessageQueue::default()
        };
        let status = MessageStatus::from(&queue);
        assert_eq!(
            (status.permissions.key, status.permissions.sequence),
            (1, 3)
        );
        assert_eq!((status.times, status.last), ([4, 5, 6], [7, 8]));
        let set = SemaphoreSet {
            owned,
            times: [9, 10],
            count: 11,
        };
        let status = SetStatus::from(&set);
        assert_eq!((status.operated, status.changed, status.count), (9, 10, 11));
        assert_eq!(core::mem::offset_of!(SetStatus, count), 80);
        assert_eq!(core::mem::offset_of!(MessageStatus, limit), 88);
    }

    #[test]
    fn limits_and_use_share_a_structure() {
        assert_eq!(message_info(Some([1, 2, 3]))[..2], [1, 2]);
        assert_eq!(semaphore_info(None)[9], 32767);
        assert_eq!(semaphore_info(Some([1, 2]))[7..], [1, 32767, 2]);
    }
}
