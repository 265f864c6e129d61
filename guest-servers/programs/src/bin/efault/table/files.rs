//! What is known of files.

use super::{CWD, path, sys, text};
use crate::env::close;
use crate::places::{Kind, bits};
use crate::row::{Row, SAME, Use};
use libc::EFAULT;

const STAT: Use = Use::Write(144);
const STATFS: Use = Use::Write(120);
/// Two `timespec` or `timeval`.
const TIMES: Use = Use::Read(32);

/// The rows.
pub const ROWS: &[Row] = &[
    path(sys!(SYS_stat), "path", |e, p| {
        [p, e.scratch(&[]), 0, 0, 0, 0]
    }),
    path(sys!(SYS_lstat), "path", |e, p| {
        [p, e.scratch(&[]), 0, 0, 0, 0]
    }),
    path(sys!(SYS_newfstatat), "path", |e, p| {
        [CWD, p, e.scratch(&[]), 0, 0, 0]
    }),
    path(sys!(SYS_statx), "path", |e, p| {
        [CWD, p, 0, 0x7ff, e.scratch(&[]), 0]
    }),
    path(sys!(SYS_statfs), "path", |e, p| {
        [p, e.scratch(&[]), 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_stat), "buffer", STAT, |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_lstat), "buffer", STAT, |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_fstat), "buffer", STAT, |e, p| {
        [e.file, p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_newfstatat), "buffer", STAT, |_, p| {
        [CWD, text(c"file"), p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_statx), "buffer", Use::Write(256), |_, p| {
        [CWD, text(c"file"), 0, 0x7ff, p, 0]
    }),
    Row::new(sys!(SYS_statfs), "buffer", STATFS, |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_fstatfs), "buffer", STATFS, |e, p| {
        [e.file, p, 0, 0, 0, 0]
    }),
    path(sys!(SYS_utime), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_utimes), "path", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_futimesat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    path(sys!(SYS_utimensat), "path", |_, p| [CWD, p, 0, 0, 0, 0]),
    Row::new(sys!(SYS_utime), "times", Use::Read(16), |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_utimes), "times", TIMES, |_, p| {
        [text(c"file"), p, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_futimesat), "times", TIMES, |_, p| {
        [CWD, text(c"file"), p, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_utimensat), "times", TIMES, |_, p| {
        [CWD, text(c"file"), p, 0, 0, 0]
    })
    .or_null(SAME),
    path(sys!(SYS_readlink), "path", |e, p| {
        [p, e.scratch(&[]), 6, 0, 0, 0]
    }),
    path(sys!(SYS_readlinkat), "path", |e, p| {
        [CWD, p, e.scratch(&[]), 6, 0, 0]
    }),
    Row::new(sys!(SYS_readlink), "buffer", Use::Write(6), |_, p| {
        [text(c"link"), p, 6, 0, 0, 0]
    }),
    Row::new(sys!(SYS_readlinkat), "buffer", Use::Write(6), |_, p| {
        [CWD, text(c"link"), p, 6, 0, 0]
    }),
    Row::new(sys!(SYS_getcwd), "buffer", Use::Write(2), |_, p| {
        [p, 1024, 0, 0, 0, 0]
    })
    .without(bits(&[Kind::Fitting])),
    Row::new(sys!(SYS_pipe), "descriptors", Use::Write(8), |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .after(close_both),
    Row::new(sys!(SYS_pipe2), "descriptors", Use::Write(8), |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .after(close_both),
];

/// After a failure there is no new descriptor.
pub fn close_both(env: &crate::env::Env, pointer: usize, result: isize) {
    if result == 0 {
        // SAFETY: the call has just written there.
        let ends = unsafe { (pointer as *const [i32; 2]).read_unaligned() };
        ends.into_iter().for_each(|end| close(end as isize));
        return;
    }
    debug_assert!(result == -(EFAULT as isize));
    // SAFETY: numbers only.
    let next = unsafe { libc::dup(0) };
    if next as usize != env.input + 1 {
        env.wrong(&format!("a descriptor is left: the next is {next}"));
    }
    close(next as isize);
}
