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
    EPERM ENOENT EINTR EIO EBADF EAGAIN ENOMEM EACCES ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
    EINVAL ENFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EPIPE ERANGE ENAMETOOLONG ENOSYS ENOTEMPTY ELOOP
    EOPNOTSUPP ENXIO ESRCH ESTALE EIDRM ENOLCK ECONNREFUSED
}
