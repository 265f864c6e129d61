//! What can go wrong, each case with the POSIX error it stands for.

/// Result of every operation of this crate.
pub type Result<T> = core::result::Result<T, Error>;

/// Why an operation did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No entry of that name.
    #[error("no such file or directory")]
    NotFound,
    /// The name is taken.
    #[error("file exists")]
    Exists,
    /// A directory is needed here.
    #[error("not a directory")]
    NotDirectory,
    /// A directory cannot be used here.
    #[error("is a directory")]
    IsDirectory,
    /// The directory has entries besides `.` and `..`.
    #[error("directory not empty")]
    NotEmpty,
    /// No free block or no free inode is left for this caller.
    #[error("no space left on the file system")]
    NoSpace,
    /// The name has more than 255 bytes, or the symbolic link's target more than a block.
    #[error("name too long")]
    NameTooLong,
    /// The inode has 32,000 links already.
    #[error("too many links")]
    TooManyLinks,
    /// The file system or its device may not be written.
    #[error("read-only file system")]
    ReadOnly,
    /// The offset lies beyond what a block map or the revision can address.
    #[error("file too large")]
    FileTooLarge,
    /// An argument makes no sense for this object (empty name, rename into the own subtree ...).
    #[error("invalid argument")]
    Invalid,
    /// The inode number names no live file (deleted since the caller learned of it).
    #[error("stale inode number")]
    Stale,
    /// The device failed.
    #[error("input/output error")]
    Io,
    /// There is no ext2 superblock (magic `0xEF53`) on the device.
    #[error("not an ext2 file system (no magic number 0xEF53 in the superblock)")]
    NotExt2,
    /// The file system needs something that ext2 does not have.
    #[error(
        "file system needs an unsupported feature: {what} ({value:#x}); make it with `mke2fs -t ext2`"
    )]
    Unsupported {
        /// Which field asks for it.
        what: &'static str,
        /// The offending value, or the unknown feature bits.
        value: u32,
    },
    /// The disk's content breaks a rule of the format.
    #[error("corrupt file system: {what} (at {at}); run e2fsck")]
    Corrupt {
        /// The broken rule.
        what: &'static str,
        /// The block, inode or group number that breaks it, as `what` implies.
        at: u64,
    },
}

impl Error {
    /// A broken rule of the format at a block, inode or group number.
    pub(crate) fn corrupt(what: &'static str, at: impl Into<u64>) -> Self {
        Error::Corrupt {
            what,
            at: at.into(),
        }
    }

    /// The POSIX name of this error (`"ENOENT"` ...).
    pub const fn posix_name(&self) -> &'static str {
        match self {
            Error::NotFound => "ENOENT",
            Error::Exists => "EEXIST",
            Error::NotDirectory => "ENOTDIR",
            Error::IsDirectory => "EISDIR",
            Error::NotEmpty => "ENOTEMPTY",
            Error::NoSpace => "ENOSPC",
            Error::NameTooLong => "ENAMETOOLONG",
            Error::TooManyLinks => "EMLINK",
            Error::ReadOnly => "EROFS",
            Error::FileTooLarge => "EFBIG",
            Error::Invalid | Error::NotExt2 | Error::Unsupported { .. } => "EINVAL",
            Error::Stale => "ESTALE",
            Error::Io => "EIO",
            Error::Corrupt { .. } => "EUCLEAN",
        }
    }
}

impl From<crate::DeviceError> for Error {
    fn from(_: crate::DeviceError) -> Self {
        Error::Io
    }
}
