//! An open file: what is asked on a session that is an open file description.
//!
//! The description's state (offset, status flags) lives in the server; `dup` and `fork` copy the
//! handle and so share it; the last close arrives as `SESSION_CLOSED`. Readiness for `poll` is the
//! session's readiness bits.

use crate::request::FILE_BASE;

/// Reads up to `length` bytes. Word 1 = [`position`], word 2 = [`io`] flags, word 3 = window offset. Status = bytes
/// (0 at the end of the file). Inline up to 256 bytes.
pub const READ: u16 = FILE_BASE;
/// Writes the payload. Words as [`READ`]. Status = bytes taken.
pub const WRITE: u16 = FILE_BASE + 1;
/// Word 1 = signed offset, word 2 = whence (0 set, 1 current, 2 end, 3 data, 4 hole). Reply word 1 = new offset.
pub const SEEK: u16 = FILE_BASE + 2;
/// Attributes → LONG bytes ([`Attributes`](crate::attributes::Attributes)).
pub const GET_ATTRIBUTES: u16 = FILE_BASE + 3;
/// Word 1 = [`Change`](crate::attributes::Change) bits, payload = `Attributes`.
pub const SET_ATTRIBUTES: u16 = FILE_BASE + 4;
/// Makes the file's data (word 1 = 1) or data and attributes (0) durable.
pub const SYNC: u16 = FILE_BASE + 5;
/// Directory entries as `linux_dirent64` records, as many as fit `length`, from the description's
/// offset on, which moves. Word 3 = window offset. Status = bytes (0 at the end).
pub const READ_DIRECTORY: u16 = FILE_BASE + 6;
/// Word 1 = request, word 2 = integer argument, payload = structure argument.
/// Reply: status = the call's result, LONG bytes = structure result.
pub const IOCTL: u16 = FILE_BASE + 7;
/// → word 1 = status flags (`O_APPEND`, `O_NONBLOCK`, access mode).
pub const GET_FLAGS: u16 = FILE_BASE + 8;
/// Word 1 = `O_APPEND | O_NONBLOCK` to set, the others are cleared.
pub const SET_FLAGS: u16 = FILE_BASE + 9;
/// Word 1 = [`object`] → handle 0 = memory object with the file's bytes (`READ`, and for execution), word 1 =
/// file size, word 2 = [`object::LIVE`] if it is the file itself. Otherwise the object holds what the file held
/// when asked; later changes of the file go to a new object.
pub const GET_OBJECT: u16 = FILE_BASE + 10;
/// → LONG bytes = [`FilesystemInfo`](crate::attributes::FilesystemInfo).
pub const FILESYSTEM_INFO: u16 = FILE_BASE + 11;

/// → word 1 = [`seal`] bits; `EINVAL` if the file cannot have any.
pub const GET_SEALS: u16 = FILE_BASE + 12;
/// Word 1 = [`seal`] bits to add.
pub const ADD_SEALS: u16 = FILE_BASE + 13;

/// A record lock (`fcntl`): word 1 = [`lock`] bits, words 2 and 3 = `l_start` and `l_len`. With [`lock::TEST`] → word 1 =
/// type of the first lock that stands against it ([`lock::UNLOCK`]: there is none) | pid << 32, word 2 = first byte,
/// word 3 = length (0: to the end). Otherwise `EAGAIN`, or the reply comes when the lock does; the first lock of a
/// process → handle 0 = a session: the process's locks last as long as this.
pub const LOCK: u16 = FILE_BASE + 14;
/// Takes away all record locks that the calling process has on the file: it closed a descriptor.
pub const UNLOCK_ALL: u16 = FILE_BASE + 15;
/// A lock of the description on the whole file (`flock`): word 1 = [`lock_whole`] bits. `EAGAIN` or the reply comes when
/// the lock does.
pub const LOCK_WHOLE: u16 = FILE_BASE + 16;

/// Makes sure that there is room for the bytes from word 1 on, word 2 many, or takes them away: word 3 = [`allocate`].
/// `EOPNOTSUPP` for what the file system cannot do.
pub const ALLOCATE: u16 = FILE_BASE + 17;

/// Wakes who [waits for events](ferrix_abi::ipc::ready::EDGE) whenever something comes, even if it was ready before. Servers that do not know
/// this tell of changes only.
pub const WATCH: u16 = FILE_BASE + 18;

/// Word 3 of [`ALLOCATE`]: what `fallocate` is asked for.
pub mod allocate {
    /// Room in the file, which grows to the end of the bytes if it is smaller.
    pub const GROW: u64 = 0;
    /// Room, and no change of the size.
    pub const KEEP_SIZE: u64 = 1;
    /// A hole: the bytes read as zero and take no room. No change of the size.
    pub const PUNCH: u64 = 2;
}

/// Word 1 of [`LOCK`]; `whence` is in the bits from [`WHENCE_SHIFT`](lock::WHENCE_SHIFT) on.
pub mod lock {
    /// The bits that tell the type.
    pub const TYPE: u64 = 0xff;
    /// `F_RDLCK`.
    pub const SHARED: u64 = 0;
    /// `F_WRLCK`.
    pub const EXCLUSIVE: u64 = 1;
    /// `F_UNLCK`.
    pub const UNLOCK: u64 = 2;
    /// Only say what stands against it (`F_GETLK`).
    pub const TEST: u64 = 1 << 8;
    /// Wait for it (`F_SETLKW`).
    pub const WAIT: u64 = 1 << 9;
    /// Its owner is the description (`F_OFD_SETLK`), not the process.
    pub const DESCRIPTION: u64 = 1 << 10;
    /// From here on: what `l_start` counts from (0 start, 1 offset, 2 end).
    pub const WHENCE_SHIFT: u32 = 16;
}

/// Word 1 of [`LOCK_WHOLE`]: Linux's `LOCK_*`.
pub mod lock_whole {
    /// Others may share it.
    pub const SHARED: u64 = 1;
    /// Nobody else may have it.
    pub const EXCLUSIVE: u64 = 2;
    /// Do not wait.
    pub const NON_BLOCKING: u64 = 4;
    /// Give it up.
    pub const UNLOCK: u64 = 8;
}

/// What a file's object is wanted for: word 1 of [`GET_OBJECT`]; and word 2 of its reply.
pub mod object {
    /// The bytes as they are now.
    pub const SNAPSHOT: u64 = 0;
    /// To see the file: live, if the server can do that.
    pub const READ: u64 = 1;
    /// To change the file: then the handle also has `WRITE`. Live, or not of use.
    pub const WRITE: u64 = 2;
    /// To see the file, and perhaps change it later: the handle has `WRITE` if the file can be written.
    pub const SHARE: u64 = 3;
    /// In the reply: what is written to the file is seen in the object, and the other way round.
    pub const LIVE: u64 = 1;
}

/// Linux's `F_SEAL_*`: what can no longer be done to a file.
pub mod seal {
    /// Add seals.
    pub const SEAL: u32 = 1;
    /// Make it smaller.
    pub const SHRINK: u32 = 2;
    /// Make it larger.
    pub const GROW: u32 = 4;
    /// Write, in any way.
    pub const WRITE: u32 = 8;
    /// Write, but through mappings that exist.
    pub const FUTURE_WRITE: u32 = 0x10;
    /// Change whether it can be executed.
    pub const EXEC: u32 = 0x20;
    /// All of them.
    pub const ALL: u32 = 0x3f;
}

/// Word 1 of [`READ`] and [`WRITE`].
pub mod position {
    /// At the description's offset, which moves.
    pub const CURRENT: u64 = u64::MAX;
}

/// Word 2 of [`READ`] and [`WRITE`]: flags, and how large the file may become.
pub mod io {
    /// Do not wait, whatever the status flags say.
    pub const NON_BLOCKING: u64 = 1;
    /// From here on: one more than how large the file may become by this write (`RLIMIT_FSIZE`); 0: as large as it
    /// can.
    const LIMIT_SHIFT: u32 = 2;

    /// Says that a regular file may not be written beyond its byte `most`.
    pub const fn limited_to(most: u64) -> u64 {
        // No file is as large as what does not fit.
        if most >= (1 << (64 - LIMIT_SHIFT)) - 1 {
            0
        } else {
            (most + 1) << LIMIT_SHIFT
        }
    }

    /// How many of `length` bytes may be written at `at`; nothing when none can (`EFBIG`).
    pub const fn allowed(flags: u64, at: u64, length: usize) -> Option<usize> {
        let most = match flags >> LIMIT_SHIFT {
            0 => return Some(length),
            limit => limit - 1,
        };
        if length == 0 {
            return Some(0);
        }
        if at >= most {
            return None;
        }
        let room = most - at;
        Some(if length as u64 > room {
            room as usize
        } else {
            length
        })
    }
}

/// Kinds of open files, in the reply of [`path::OPEN`](crate::path::OPEN).
pub mod kind {
    /// A regular file.
    pub const REGULAR: u64 = 0;
    /// A directory; its session also understands [`path`](crate::path).
    pub const DIRECTORY: u64 = 1;
    /// A pipe or FIFO.
    pub const PIPE: u64 = 2;
    /// A terminal.
    pub const TERMINAL: u64 = 3;
    /// Another character device.
    pub const CHARACTER: u64 = 4;
    /// A block device.
    pub const BLOCK: u64 = 5;
    /// A message queue: [`queue`](crate::queue).
    pub const QUEUE: u64 = 6;
    /// A socket.
    pub const SOCKET: u64 = 7;
    /// A counter (`eventfd`).
    pub const EVENT: u64 = 8;
    /// A list of descriptors to wait for (`epoll`).
    pub const POLLER: u64 = 9;
}
