//! Advisory locks: `fcntl`'s record locks and `flock`. The file's server keeps them; what a process must do is to give up
//! its record locks on a file when it closes any descriptor of it ([`crate::state::Files::close`]).

use crate::state::{self, FILES, RecordLocks};
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::{self, lock, lock_whole};
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::{Answer, exchange};
use linux_raw_sys::general as linux;

/// `fcntl` with one of `F_GETLK`, `F_SETLK`, `F_SETLKW`, `F_OFD_GETLK`, `F_OFD_SETLK`, `F_OFD_SETLKW`.
pub fn record(session: Handle, command: u32, argument: u64) -> Result<u64> {
    let asked: linux::flock = user::read(argument)?;
    let how = match command {
        linux::F_GETLK => lock::TEST,
        linux::F_SETLKW => lock::WAIT,
        linux::F_OFD_GETLK => lock::TEST | lock::DESCRIPTION,
        linux::F_OFD_SETLK => lock::DESCRIPTION,
        linux::F_OFD_SETLKW => lock::DESCRIPTION | lock::WAIT,
        _ => 0,
    };
    if how & lock::DESCRIPTION != 0 && asked.l_pid != 0 {
        return Err(Errno::EINVAL);
    }
    let kind = match asked.l_type as u32 {
        linux::F_RDLCK => lock::SHARED,
        linux::F_WRLCK => lock::EXCLUSIVE,
        linux::F_UNLCK => lock::UNLOCK,
        _ => return Err(Errno::EINVAL),
    };
    let whence = u64::from(asked.l_whence as u16) << lock::WHENCE_SHIFT;
    let range = [
        kind | how | whence,
        asked.l_start as u64,
        asked.l_len as u64,
    ];
    if how & (lock::TEST | lock::DESCRIPTION) == 0 && kind != lock::UNLOCK {
        FILES.lock().record_locks = RecordLocks::Some;
    }
    let answer = ask(session, file::LOCK, range)?;
    if how & lock::TEST != 0 {
        user::write(argument, &found(asked, answer.words))?;
    }
    Ok(0)
}

/// What `F_GETLK` leaves: only the type if nothing stands against the lock.
fn found(asked: linux::flock, [kind, first, length]: [u64; 3]) -> linux::flock {
    match kind & lock::TYPE {
        lock::UNLOCK => linux::flock {
            l_type: linux::F_UNLCK as i16,
            ..asked
        },
        other => linux::flock {
            l_type: if other == lock::SHARED {
                linux::F_RDLCK as i16
            } else {
                linux::F_WRLCK as i16
            },
            l_whence: linux::SEEK_SET as i16,
            l_start: first as i64,
            l_len: length as i64,
            l_pid: (kind >> 32) as i32,
        },
    }
}

pub fn flock(frame: &mut Frame) -> Result<u64> {
    let [fd, how, ..] = frame.args();
    let session = Handle(state::descriptor(fd)?.handle);
    let kept = u64::from(how as u32);
    if !matches!(
        kept & !lock_whole::NON_BLOCKING,
        lock_whole::SHARED | lock_whole::EXCLUSIVE | lock_whole::UNLOCK
    ) {
        return Err(Errno::EINVAL);
    }
    ask(session, file::LOCK_WHOLE, [kept, 0, 0]).map(|_| 0)
}

/// A signal ends the wait. A file whose server keeps no locks has none.
fn ask(session: Handle, operation: u16, words: [u64; 3]) -> Result<Answer> {
    let head = Head::new(operation, Place::INLINE, 0);
    let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
    exchange(session, tag, head, words).map_err(|errno| match Errno::from(errno) {
        Errno::ENOSYS => Errno::EINVAL,
        errno => errno.restartable(),
    })
}
