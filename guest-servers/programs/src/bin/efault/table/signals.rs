//! Signals.

use super::sys;
use crate::env::Env;
use crate::places::Kind;
use crate::raw::words;
use crate::row::{Row, SAME, Use};
use libc::EFAULT;

const SET: Use = Use::Read(8);
const OTHER: usize = libc::SIGUSR2 as usize;
const MASK: u64 = 1 << (libc::SIGUSR1 - 1);

/// The signal waits, blocked.
fn raise(_: &Env) {
    let mask = words([MASK]);
    // SAFETY: the set is a local.
    unsafe {
        crate::raw::call(
            libc::SYS_rt_sigprocmask,
            [0, mask.as_ptr() as usize, 0, 8, 0, 0],
        );
        libc::kill(libc::getpid(), libc::SIGUSR1);
    }
}

/// `si_code` of `sigqueue`.
fn queued(_: &Env) -> Vec<u8> {
    words([0, 0xffff_ffff, 0, 0])
}

/// The rows.
pub const ROWS: &[Row] = &[
    Row::new(sys!(SYS_rt_sigaction), "new", Use::Read(32), |_, p| {
        [OTHER, p, 0, 8, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_rt_sigaction), "old", Use::Write(32), |_, p| {
        [OTHER, 0, p, 8, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_rt_sigprocmask), "new", SET, |_, p| {
        [0, p, 0, 8, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_rt_sigprocmask), "old", Use::Write(8), |_, p| {
        [0, 0, p, 8, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_rt_sigpending), "set", Use::Write(8), |_, p| {
        [p, 8, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_rt_sigsuspend), "mask", SET, |_, p| {
        [p, 8, 0, 0, 0, 0]
    })
    .only_wrong(),
    Row::new(sys!(SYS_rt_sigtimedwait), "set", SET, |e, p| {
        [p, 0, e.scratch(&words([0, 0])), 8, 0, 0]
    }),
    Row::new(
        sys!(SYS_rt_sigtimedwait),
        "timeout",
        Use::Read(16),
        |e, p| [e.scratch(&words([MASK])), 0, p, 8, 0, 0],
    )
    .without(Kind::Null.bit()),
    Row::new(
        sys!(SYS_rt_sigtimedwait),
        "info",
        Use::Write(128),
        |e, p| [e.scratch(&words([MASK])), p, 0, 8, 0, 0],
    )
    .before(raise)
    .or_null(SAME),
    Row::new(sys!(SYS_rt_sigqueueinfo), "info", Use::Read(128), |e, p| {
        [e.pid, 0, p, 0, 0, 0]
    })
    .holds(queued)
    .at(&[Kind::Short], &[0, EFAULT]),
    Row::new(
        sys!(SYS_rt_tgsigqueueinfo),
        "info",
        Use::Read(128),
        |e, p| [e.pid, e.pid, 0, p, 0, 0],
    )
    .holds(queued)
    .at(&[Kind::Short], &[0, EFAULT]),
    Row::new(sys!(SYS_sigaltstack), "new", Use::Read(24), |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .holds(|_| words([0, 2, 0]))
    .or_null(SAME),
    Row::new(sys!(SYS_sigaltstack), "old", Use::Write(24), |_, p| {
        [0, p, 0, 0, 0, 0]
    })
    .or_null(SAME),
];
