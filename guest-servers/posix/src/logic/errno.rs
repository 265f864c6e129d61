//! Linux's error numbers, and those that stay inside: "interrupted, to be decided how to go on".

use linux_raw_sys::errno as linux;

/// An error number: what a system call returns negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(u16);

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident)*) => {
        #[expect(missing_docs, reason = "POSIX's names say what they are")]
        impl Errno { $(pub const $name: Errno = Errno(linux::$name as u16);)* }
    };
}
errnos! {
    EPERM ENOENT ESRCH EINTR EIO EFBIG E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV
    ENOTDIR EINVAL EMFILE ENOTTY ESPIPE EPIPE ERANGE ENAMETOOLONG ENOSYS ENOLCK ELOOP EOVERFLOW ETIMEDOUT ESTALE EOPNOTSUPP EMSGSIZE EDOM ENOSPC ENOMSG EIDRM
    ENOTSOCK EPROTONOSUPPORT ESOCKTNOSUPPORT EAFNOSUPPORT EADDRINUSE ENOBUFS
}

impl Errno {
    /// Interrupted: the call is made again unless a handler without `SA_RESTART` ran (Linux's `ERESTARTSYS`).
    pub const RESTART: Errno = Errno(512);
    /// Interrupted: the call is made again only if no handler ran (Linux's `ERESTARTNOHAND`).
    pub const RESTART_UNLESS_HANDLED: Errno = Errno(514);

    /// Interrupted: the call is made again in any case (Linux's `ERESTARTNOINTR`).
    pub const RESTART_ALWAYS: Errno = Errno(513);

    /// Whether this is one of those that no program may see.
    pub const fn is_restart(self) -> bool {
        self.0 >= 512
    }

    /// For calls that are restarted: `EINTR` becomes [`RESTART`](Self::RESTART).
    pub const fn restartable(self) -> Errno {
        if self.0 == Self::EINTR.0 {
            Self::RESTART
        } else {
            self
        }
    }

    /// For calls that nothing but their end ends: `EINTR` becomes [`RESTART_ALWAYS`](Self::RESTART_ALWAYS).
    pub const fn unstoppable(self) -> Errno {
        if self.0 == Self::EINTR.0 {
            Self::RESTART_ALWAYS
        } else {
            self
        }
    }

    /// For calls that only a handler ends: `EINTR` becomes
    /// [`RESTART_UNLESS_HANDLED`](Self::RESTART_UNLESS_HANDLED).
    pub const fn unless_handled(self) -> Errno {
        if self.0 == Self::EINTR.0 {
            Self::RESTART_UNLESS_HANDLED
        } else {
            self
        }
    }

    /// As the protocols carry it.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// RAX of a failed call.
    pub const fn to_rax(self) -> u64 {
        (-(self.0 as i64)) as u64
    }
}

impl From<ferrix_abi::Error> for Errno {
    fn from(error: ferrix_abi::Error) -> Errno {
        Errno(i32::from(error) as u16)
    }
}

impl From<i32> for Errno {
    /// A server's errno; what is no errno becomes `EIO`.
    fn from(errno: i32) -> Errno {
        match u16::try_from(errno) {
            Ok(number) if (1..512).contains(&number) => Errno(number),
            _ => Errno::EIO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn a_server_cannot_ask_for_a_restart() {
        assert_eq!(Errno::from(512), Errno::EIO);
        assert_eq!(Errno::from(-1), Errno::EIO);
        assert_eq!(Errno::from(2), Errno::ENOENT);
    }

    #[test]
    fn rax_is_negated() {
        assert_eq!(Errno::ENOSYS.to_rax() as i64, -38);
    }

    #[test]
    fn only_eintr_restarts() {
        assert!(Errno::EINTR.restartable().is_restart());
        assert_eq!(Errno::EIO.restartable(), Errno::EIO);
    }
}
