//! Names: what is asked of `vfs` on a directory session.
//!
//! A process holds a session for its root and one for its working directory; a directory opened with
//! [`OPEN`] is such a session too. A relative path starts at the directory on whose session it is
//! asked, an absolute one at the caller's root: the personality asks it on the root session.
//! `..` at a root session's directory stays there.
//!
//! The payload is the path, without a NUL. Operations with two paths have the first one's length in
//! word 2's low half; the payload is both, one after the other. When the second path starts at another
//! directory, that directory's session travels as handle 0.

use crate::request::PATH_BASE;

/// Word 1 = `O_*` flags (low half), mode after umask (high half).
/// → handle 0 = session, word 1 = [`kind`](crate::file::kind).
pub const OPEN: u16 = PATH_BASE;
/// Word 1 = [`lookup`] flags → LONG bytes = `Attributes`. An empty path is the directory itself.
pub const GET_ATTRIBUTES: u16 = PATH_BASE + 1;
/// Word 1 = `Change` bits | [`lookup`] flags << 32; the payload is `Attributes`, then the path.
pub const SET_ATTRIBUTES: u16 = PATH_BASE + 2;
/// Word 1 = `R_OK | W_OK | X_OK` | [`lookup`] flags << 32.
pub const ACCESS: u16 = PATH_BASE + 3;
/// Word 1 = mode after umask.
pub const MAKE_DIRECTORY: u16 = PATH_BASE + 4;
/// Word 1 = mode with type, after umask; word 2 = device number.
pub const MAKE_NODE: u16 = PATH_BASE + 5;
/// Word 1 = 1 for a directory (`rmdir`), 0 otherwise.
pub const UNLINK: u16 = PATH_BASE + 6;
/// Two paths: old, new. Word 1 = `RENAME_*` flags.
pub const RENAME: u16 = PATH_BASE + 7;
/// Two paths: existing, new. Word 1 = [`lookup`] flags for the first.
pub const LINK: u16 = PATH_BASE + 8;
/// Two paths: the link's text, then the name.
pub const SYMLINK: u16 = PATH_BASE + 9;
/// → status = length, the text inline or at word 3; word 1 = room.
pub const READ_LINK: u16 = PATH_BASE + 10;
/// → status = length, the directory's absolute path inline or at word 3; word 1 = room.
pub const PATH_OF: u16 = PATH_BASE + 11;
/// → LONG bytes = `FilesystemInfo`.
pub const FILESYSTEM_INFO: u16 = PATH_BASE + 12;
/// Two paths: source, target; then the type's name, whose length is in word 2's high half, and the mount
/// options (text) up to the payload's end, whose length is in word 1's high half. Word 1's low half = `MS_*`
/// flags.
pub const MOUNT: u16 = PATH_BASE + 13;
/// Word 1 = `MNT_*` flags; all ones: every file system, whatever is open (the machine is about to end).
pub const UNMOUNT: u16 = PATH_BASE + 14;
/// Word 1 = `O_*` flags → handles 0 (read end) and 1 (write end).
pub const PIPE: u16 = PATH_BASE + 15;
/// Makes everything durable.
pub const SYNC_ALL: u16 = PATH_BASE + 16;
/// Counts a Linux system call that is not implemented (word 1 = its number), for `/proc/ferrix/enosys`.
pub const COUNT_UNKNOWN_CALL: u16 = PATH_BASE + 17;
/// A root session for the directory (`chroot`) → handle 0.
pub const MAKE_ROOT: u16 = PATH_BASE + 18;

/// A regular file in memory without a name (`memfd_create`): word 1 = `F_SEAL_*` bits that it starts with →
/// handle 0, open for reading and writing.
pub const MAKE_UNNAMED: u16 = PATH_BASE + 19;

/// As [`filesystem::SYNC_OBJECT`](crate::filesystem::SYNC_OBJECT), asked of every file system (`msync`).
pub const SYNC_OBJECT: u16 = PATH_BASE + 20;

/// A socket's file: word 1 = 1 | mode after umask << 32 to make one, 0 to use one (which takes the permission to write; `ECONNREFUSED` for
/// what is no socket) → words 1 and 2 = a key that nobody can guess.
pub const SOCKET_KEY: u16 = PATH_BASE + 21;

/// How a path's last component is looked up.
pub mod lookup {
    /// Do not follow a symbolic link in the last place.
    pub const NO_FOLLOW: u64 = 1;
    /// [`ACCESS`](super::ACCESS): by the effective ids, not the real ones (`AT_EACCESS`).
    pub const EFFECTIVE: u64 = 0x200;
}

/// Longest path, in bytes.
pub const PATH_MAX: usize = 4096;
/// Longest name.
pub const NAME_MAX: usize = 255;
/// Most symbolic links followed in one look-up.
pub const SYMLINKS_MAX: usize = 40;
