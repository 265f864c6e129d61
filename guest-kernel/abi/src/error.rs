//! Error numbers: Linux's, so that the personality hands them on as they are.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Why a system call failed. The numeric value is Linux's errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(i32)]
pub enum Error {
    /// EPERM: the caller lacks the right or privilege.
    NotPermitted = 1,
    /// ENOENT: no such named thing.
    NotFound = 2,
    /// ESRCH: no such process or thread, or a reply to a thread that does not wait for it.
    NoSuchProcess = 3,
    /// EINTR: a signal interrupted the wait.
    Interrupted = 4,
    /// EIO: a device failed.
    Io = 5,
    /// E2BIG: an argument list or message is too long.
    TooBig = 7,
    /// EBADF: no such handle, or it lacks the right.
    BadHandle = 9,
    /// ECHILD: no child to wait for.
    NoChild = 10,
    /// EAGAIN: it would block, or a limit on a countable resource is reached.
    WouldBlock = 11,
    /// ENOMEM: out of memory or of address space.
    NoMemory = 12,
    /// EACCES: the protection forbids it.
    AccessDenied = 13,
    /// EFAULT: a pointer argument does not point to accessible memory.
    Fault = 14,
    /// EBUSY: in use.
    Busy = 16,
    /// EEXIST: it exists already.
    Exists = 17,
    /// EINVAL: an argument has no meaning here.
    Invalid = 22,
    /// EMFILE: the process's handle table is full.
    TooManyHandles = 24,
    /// EPIPE: the peer is gone.
    BrokenPipe = 32,
    /// EDEADLK: the wait would never end.
    Deadlock = 35,
    /// ENOSYS: no such system call.
    NoSystemCall = 38,
    /// ETIMEDOUT: the deadline passed.
    TimedOut = 110,
    /// ESTALE: the server that made this session has died; its successor must be asked anew.
    Stale = 116,
    /// ECANCELED: the wait was given up for a reason other than a signal.
    Cancelled = 125,
}

/// The result of an operation of this ABI.
pub type Result<T> = core::result::Result<T, Error>;

/// Encodes a result as RAX carries it.
pub const fn encode(result: Result<u64>) -> u64 {
    match result {
        Ok(value) => value,
        Err(error) => (-(error as i32) as i64) as u64,
    }
}

/// Decodes RAX: values of -4095 to -1 are errors; an unknown number becomes [`Error::Invalid`].
pub fn decode(rax: u64) -> Result<u64> {
    let signed = rax as i64;
    if (-4095..0).contains(&signed) {
        Err(Error::try_from(-signed as i32).unwrap_or(Error::Invalid))
    } else {
        Ok(rax)
    }
}
