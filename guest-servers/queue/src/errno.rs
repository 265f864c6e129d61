//! Linux's error numbers, as the protocols carry them.

/// A positive Linux errno.
pub type Errno = i32;
/// Result with an errno.
pub type Result<T> = core::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident)*) => {$(
        #[doc = concat!("POSIX's `", stringify!($name), "`.")]
        pub const $name: Errno = linux_raw_sys::errno::$name as Errno;
    )*};
}

errnos! {
    EPERM ENOENT ESRCH EINTR EBADF EAGAIN ENOMEM EACCES EBUSY EEXIST ENOSYS EINVAL EMFILE ENFILE ENOSPC ETIMEDOUT
    EMSGSIZE ENOTTY ESPIPE ENAMETOOLONG EADDRINUSE ECONNREFUSED ECONNRESET EISCONN ENOTCONN EOPNOTSUPP EPIPE EPROTOTYPE
    ENOPROTOOPT EDOM E2BIG EFBIG EIDRM ENOMSG ERANGE ETOOMANYREFS ENOBUFS EPROTONOSUPPORT
}
