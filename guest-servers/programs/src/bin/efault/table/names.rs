//! Paths.

use super::{CWD, path, sys, text};
use crate::env::close;
use crate::places::Kind;
use crate::raw::words;
use crate::row::{Row, SAME, Use};
use libc::{EFAULT, ENOENT};

/// The rows.
pub const ROWS: &[Row] = &[
    path(sys!(SYS_open), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_creat), "path", |_, p| [p, 0o600, 0, 0, 0, 0]),
    path(sys!(SYS_openat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    path(sys!(SYS_access), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_faccessat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    path(sys!(SYS_faccessat2), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    path(sys!(SYS_chmod), "path", |_, p| [p, 0o600, 0, 0, 0, 0]),
    path(sys!(SYS_fchmodat), "path", |_, p| [CWD, p, 0o600, 0, 0, 0]),
    path(sys!(SYS_fchmodat2), "path", |_, p| [CWD, p, 0o600, 0, 0, 0]),
    path(sys!(SYS_chown), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_lchown), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_fchownat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    path(sys!(SYS_truncate), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_mkdir), "path", |_, p| [p, 0o700, 0, 0, 0, 0]),
    path(sys!(SYS_mkdirat), "path", |_, p| [CWD, p, 0o700, 0, 0, 0]),
    path(sys!(SYS_mknod), "path", |_, p| {
        [p, libc::S_IFIFO as usize, 0, 0, 0, 0]
    }),
    path(sys!(SYS_mknodat), "path", |_, p| {
        [CWD, p, libc::S_IFIFO as usize, 0, 0, 0]
    }),
    path(sys!(SYS_rmdir), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_unlink), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_unlinkat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    path(sys!(SYS_chdir), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_chroot), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_rename), "old path", |_, p| {
        [p, text(c"no/new"), 0, 0, 0, 0]
    }),
    path(sys!(SYS_rename), "new path", |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    }),
    path(sys!(SYS_renameat), "old path", |_, p| {
        [CWD, p, CWD, text(c"no/new"), 0, 0]
    }),
    path(sys!(SYS_renameat), "new path", |_, p| {
        [CWD, text(c"file"), CWD, p, 0, 0]
    }),
    path(sys!(SYS_renameat2), "old path", |_, p| {
        [CWD, p, CWD, text(c"no/new"), 0, 0]
    }),
    path(sys!(SYS_renameat2), "new path", |_, p| {
        [CWD, text(c"file"), CWD, p, 0, 0]
    }),
    path(sys!(SYS_link), "old path", |_, p| {
        [p, text(c"no/new"), 0, 0, 0, 0]
    }),
    path(sys!(SYS_link), "new path", |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    }),
    path(sys!(SYS_linkat), "old path", |_, p| {
        [CWD, p, CWD, text(c"no/new"), 0, 0]
    }),
    path(sys!(SYS_linkat), "new path", |_, p| {
        [CWD, text(c"file"), CWD, p, 0, 0]
    }),
    path(sys!(SYS_symlink), "text", |_, p| {
        [p, text(c"no/new"), 0, 0, 0, 0]
    }),
    path(sys!(SYS_symlink), "path", |_, p| {
        [text(c"to"), p, 0, 0, 0, 0]
    }),
    path(sys!(SYS_symlinkat), "text", |_, p| {
        [p, CWD, text(c"no/new"), 0, 0, 0]
    }),
    path(sys!(SYS_symlinkat), "path", |_, p| {
        [text(c"to"), CWD, p, 0, 0, 0]
    }),
    path(sys!(SYS_umount2), "target", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_mount), "source", |_, p| {
        [p, text(c"no/dir"), text(c"tmpfs"), 0, 0, 0]
    })
    .or_null(SAME),
    path(sys!(SYS_mount), "target", |_, p| {
        [text(c"a"), p, text(c"tmpfs"), 0, 0, 0]
    }),
    path(sys!(SYS_mount), "type", |_, p| {
        [text(c"a"), text(c"no/dir"), p, 0, 0, 0]
    })
    .or_null(SAME),
    // Linux takes a page of options, as far as there is one.
    path(sys!(SYS_mount), "options", |_, p| {
        [text(c"a"), text(c"no/dir"), text(c"tmpfs"), 0, p, 0]
    })
    .or_null(SAME)
    .at(&[Kind::Edge, Kind::Short, Kind::Fence], &[EFAULT, ENOENT]),
    path(sys!(SYS_memfd_create), "name", |_, p| [p, 0, 0, 0, 0, 0])
        .after(|_, _, result| close(result)),
    path(sys!(SYS_execve), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_execveat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    vector(sys!(SYS_execve), "arguments", |_, p| {
        [program(), p, 0, 0, 0, 0]
    }),
    vector(sys!(SYS_execve), "environment", |_, p| {
        [program(), 0, p, 0, 0, 0]
    }),
    vector(sys!(SYS_execveat), "arguments", |_, p| {
        [CWD, program(), p, 0, 0, 0]
    }),
    vector(sys!(SYS_execveat), "environment", |_, p| {
        [CWD, program(), 0, p, 0, 0]
    }),
    vector(sys!(SYS_execve), "an argument", |e, p| {
        [program(), e.scratch(&words([p as u64, 0])), 0, 0, 0, 0]
    }),
    vector(sys!(SYS_execve), "a variable", |e, p| {
        [program(), 0, e.scratch(&words([p as u64, 0])), 0, 0, 0]
    }),
];

/// A program that can be executed: only wrong arguments keep it from that.
fn program() -> usize {
    text(c"/bin/true")
}

const fn vector(
    call: (i64, &'static str),
    what: &'static str,
    args: fn(&crate::env::Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, Use::Text, args)
        .only_wrong()
        .without(Kind::Null.bit())
}
