//! The operations, by inode number.

pub(crate) mod allocate;
pub(crate) mod attr;
pub(crate) mod create;
pub(crate) mod file;
pub(crate) mod link;
pub(crate) mod readdir;
pub(crate) mod rename;
pub(crate) mod symlink;

use crate::{Error, NAME_MAX, Result};

/// Checks a name for a new or removed entry; `.` and `..` are for the caller to judge.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
        return Err(Error::Invalid);
    }
    if name.len() > NAME_MAX {
        Err(Error::NameTooLong)
    } else {
        Ok(())
    }
}

/// Whether a name is one of the two that every directory has.
pub(crate) fn is_dot(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}
