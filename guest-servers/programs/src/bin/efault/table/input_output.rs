//! Reading, writing, and what else moves data through descriptors.

use super::sys;
use crate::env::{Env, IN_PIPE, rewind};
use crate::places::{GOOD, Kind, SCRATCH};
use crate::raw::{PAGE, words};
use crate::row::{Outcomes, Row, SAME, Use};
use libc::EFAULT;

/// What lies before a hole may be moved, or nothing.
const PARTLY: Outcomes = &[0, EFAULT];
const EDGES: &[Kind] = &[Kind::Edge, Kind::Short, Kind::Fence];
/// A good buffer for what does not matter: in pages that the pointer never lies in.
const ELSEWHERE: usize = GOOD + 2 * PAGE;

fn rewind_both(env: &Env, _: usize, _: isize) {
    rewind(env.file);
    rewind(env.other);
}

/// A failed transfer takes nothing out of the pipe and puts nothing in.
fn pipe_as_before(env: &Env, _: usize, result: isize) {
    let left = env.drain_pipe();
    if result < 0 && left != IN_PIPE {
        env.wrong(&format!("the pipe has {left} bytes after {result}"));
    }
    env.fill_pipe();
}

const fn buffer(call: (i64, &'static str), how: Use, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(call, "buffer", how, args)
        .at(EDGES, PARTLY)
        .after(rewind_both)
}

/// A list of one buffer, at the pointer.
const fn list(call: (i64, &'static str), args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(call, "list", Use::Read(16), args)
        .holds(|_| words([ELSEWHERE as u64, 8]))
        .after(rewind_both)
}

/// A list of one buffer, which is the pointer.
fn one(env: &Env, pointer: usize) -> usize {
    env.scratch(&words([pointer as u64, 64]))
}

/// A list of two, of which the pointer is the second. Addresses that no program has are refused before anything moves.
fn two(env: &Env, pointer: usize) -> usize {
    env.scratch(&words([ELSEWHERE as u64, 8, pointer as u64, 64]))
}

const fn second(call: (i64, &'static str), how: Use, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    let mut row = Row::new(call, "second buffer", how, args).after(rewind_both);
    row = row.everywhere(PARTLY);
    row
}

const IN: Use = Use::Write(64);
const OUT: Use = Use::Read(64);

/// The rows.
pub const ROWS: &[Row] = &[
    buffer(sys!(SYS_read), IN, |e, p| [e.file, p, 64, 0, 0, 0]),
    buffer(sys!(SYS_pread64), IN, |e, p| [e.file, p, 64, 8, 0, 0]),
    buffer(sys!(SYS_write), OUT, |e, p| [e.file, p, 64, 0, 0, 0]),
    buffer(sys!(SYS_pwrite64), OUT, |e, p| [e.file, p, 64, 8, 0, 0]),
    Row::new(sys!(SYS_read), "buffer, of a pipe", IN, |e, p| {
        [e.output, p, 64, 0, 0, 0]
    })
    .at(EDGES, PARTLY)
    .after(pipe_as_before),
    Row::new(sys!(SYS_write), "buffer, of a pipe", OUT, |e, p| {
        [e.input, p, 64, 0, 0, 0]
    })
    .at(EDGES, PARTLY)
    .after(pipe_as_before),
    list(sys!(SYS_readv), |e, p| [e.file, p, 1, 0, 0, 0]),
    list(sys!(SYS_writev), |e, p| [e.file, p, 1, 0, 0, 0]),
    list(sys!(SYS_preadv), |e, p| [e.file, p, 1, 0, 0, 0]),
    list(sys!(SYS_pwritev), |e, p| [e.file, p, 1, 0, 0, 0]),
    list(sys!(SYS_preadv2), |e, p| [e.file, p, 1, 0, 0, 0]),
    list(sys!(SYS_pwritev2), |e, p| [e.file, p, 1, 0, 0, 0]),
    buffer(sys!(SYS_readv), IN, |e, p| [e.file, one(e, p), 1, 0, 0, 0]),
    buffer(sys!(SYS_writev), OUT, |e, p| {
        [e.file, one(e, p), 1, 0, 0, 0]
    }),
    buffer(sys!(SYS_preadv), IN, |e, p| [e.file, one(e, p), 1, 0, 0, 0]),
    buffer(sys!(SYS_pwritev), OUT, |e, p| {
        [e.file, one(e, p), 1, 0, 0, 0]
    }),
    buffer(sys!(SYS_preadv2), IN, |e, p| {
        [e.file, one(e, p), 1, 0, 0, 0]
    }),
    buffer(sys!(SYS_pwritev2), OUT, |e, p| {
        [e.file, one(e, p), 1, 0, 0, 0]
    }),
    second(sys!(SYS_readv), IN, |e, p| [e.file, two(e, p), 2, 0, 0, 0]),
    second(sys!(SYS_writev), OUT, |e, p| {
        [e.file, two(e, p), 2, 0, 0, 0]
    }),
    Row::new(sys!(SYS_sendfile), "offset", Use::Both(8), |e, p| {
        [e.other, e.file, p, 16, 0, 0]
    })
    .or_null(SAME)
    .after(rewind_both),
    Row::new(
        sys!(SYS_copy_file_range),
        "input's offset",
        Use::Both(8),
        |e, p| [e.file, p, e.other, 0, 16, 0],
    )
    .or_null(SAME)
    .after(rewind_both),
    Row::new(
        sys!(SYS_copy_file_range),
        "output's offset",
        Use::Both(8),
        |e, p| [e.file, 0, e.other, p, 16, 0],
    )
    .or_null(SAME)
    .after(rewind_both),
    Row::new(sys!(SYS_getdents64), "buffer", Use::Write(256), |e, p| {
        [e.directory, p, 256, 0, 0, 0]
    })
    .at(&[Kind::Short], PARTLY)
    .after(|env, _, _| rewind(env.directory)),
    Row::new(sys!(SYS_ioctl), "FIONREAD", Use::Write(4), |e, p| {
        [e.output, libc::FIONREAD as usize, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_ioctl), "FIONBIO", Use::Read(4), |e, p| {
        [e.output, libc::FIONBIO as usize, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_ioctl), "TCGETS", Use::Write(36), |e, p| {
        terminal(e, libc::TCGETS as usize, p)
    })
    .of_terminal(),
    Row::new(sys!(SYS_ioctl), "TIOCGWINSZ", Use::Write(8), |e, p| {
        terminal(e, libc::TIOCGWINSZ as usize, p)
    })
    .of_terminal(),
    Row::new(sys!(SYS_ioctl), "TIOCSWINSZ", Use::Read(8), |e, p| {
        terminal(e, libc::TIOCSWINSZ as usize, p)
    })
    .of_terminal()
    .only_wrong(),
    Row::new(sys!(SYS_fcntl), "F_GETLK", Use::Both(32), |e, p| {
        [e.file, libc::F_GETLK as usize, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_fcntl), "F_SETLK", Use::Read(32), |e, p| {
        [e.file, libc::F_SETLK as usize, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_fcntl), "F_SETLKW", Use::Read(32), |e, p| {
        [e.file, libc::F_SETLKW as usize, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_getrandom), "buffer", IN, |_, p| {
        [p, 64, 0, 0, 0, 0]
    })
    .at(EDGES, PARTLY),
];

fn terminal(env: &Env, request: usize, pointer: usize) -> [usize; 6] {
    [env.terminal.unwrap_or(SCRATCH), request, pointer, 0, 0, 0]
}
