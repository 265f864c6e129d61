//! Processes, threads, ids, limits, the system.

use super::{path, sys};
use crate::env::Env;
use crate::places::Kind;
use crate::raw::words;
use crate::row::{Outcomes, Row, SAME, Use};
use libc::{EFAULT, EINVAL, EPERM};

const ID: Use = Use::Write(4);
const LIMIT: usize = libc::RLIMIT_CORE as usize;
const CORES: usize = libc::RLIMIT_CORE as usize;
/// An address that is wrong does not keep the child from being made.
const MADE: Outcomes = &[0];

/// `check_memory_violation`, which only Ferrix has.
const VIOLATIONS: (i64, &str) = (500, "check_memory_violation");
/// Bytes of `LimitInfo`, at least.
const LIMIT_INFO: usize = 560;

/// Bytes of `struct sched_attr` as it was first (sched_setattr(2)).
const ATTRIBUTES: usize = 48;

/// A child that has ended, or soon will have.
fn make_child(_: &Env) {
    // SAFETY: the program has one thread.
    if unsafe { libc::fork() } == 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(3) }
    }
}

/// A child that is still there is waited for.
fn reap(_: &Env, _: usize, _: isize) {
    // SAFETY: no status is wanted.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
}

fn end_clone(env: &Env, pointer: usize, result: isize) {
    if result == 0 {
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) }
    }
    reap(env, pointer, result);
}

const fn clone(what: &'static str, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(sys!(SYS_clone), what, ID, args)
        .few()
        .after(end_clone)
        .everywhere(MADE)
}

const fn waits(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .few()
        .before(make_child)
        .after(reap)
        .or_null(SAME)
}

const CHILD: usize = libc::SIGCHLD as usize;
const RUSAGE: Use = Use::Write(144);
const P_ALL: usize = 0;
const EXITED: usize = libc::WEXITED as usize;

/// The rows.
pub const ROWS: &[Row] = &[
    waits(sys!(SYS_wait4), "status", ID, |_, p| {
        [usize::MAX, p, 0, 0, 0, 0]
    }),
    waits(sys!(SYS_wait4), "usage", RUSAGE, |_, p| {
        [usize::MAX, 0, 0, p, 0, 0]
    }),
    // Linux writes the fields that mean something.
    waits(sys!(SYS_waitid), "info", Use::Write(128), |_, p| {
        [P_ALL, 0, p, EXITED, 0, 0]
    })
    .at(&[Kind::Short], &[0, EFAULT]),
    waits(sys!(SYS_waitid), "usage", RUSAGE, |_, p| {
        [P_ALL, 0, 0, EXITED, p, 0]
    }),
    clone("parent's tid", |_, p| {
        [CHILD | libc::CLONE_PARENT_SETTID as usize, 0, p, 0, 0, 0]
    }),
    clone("child's tid", |_, p| {
        [CHILD | libc::CLONE_CHILD_SETTID as usize, 0, 0, p, 0, 0]
    }),
    clone("tid to clear", |_, p| {
        [CHILD | libc::CLONE_CHILD_CLEARTID as usize, 0, 0, p, 0, 0]
    }),
    Row::new(sys!(SYS_get_robust_list), "head", Use::Write(8), |e, p| {
        [0, p, e.scratch(&[]), 0, 0, 0]
    }),
    Row::new(sys!(SYS_get_robust_list), "size", Use::Write(8), |e, p| {
        [0, e.scratch(&[]), p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_getresuid), "real", ID, |e, p| {
        [p, e.scratch(&[]), e.scratch(&[]), 0, 0, 0]
    }),
    Row::new(sys!(SYS_getresuid), "effective", ID, |e, p| {
        [e.scratch(&[]), p, e.scratch(&[]), 0, 0, 0]
    }),
    Row::new(sys!(SYS_getresuid), "saved", ID, |e, p| {
        [e.scratch(&[]), e.scratch(&[]), p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_getresgid), "real", ID, |e, p| {
        [p, e.scratch(&[]), e.scratch(&[]), 0, 0, 0]
    }),
    Row::new(sys!(SYS_getresgid), "effective", ID, |e, p| {
        [e.scratch(&[]), p, e.scratch(&[]), 0, 0, 0]
    }),
    Row::new(sys!(SYS_getresgid), "saved", ID, |e, p| {
        [e.scratch(&[]), e.scratch(&[]), p, 0, 0, 0]
    }),
    // There may be none to store.
    Row::new(sys!(SYS_getgroups), "list", ID, |_, p| {
        [65536, p, 0, 0, 0, 0]
    })
    .everywhere(&[0, EFAULT]),
    Row::new(sys!(SYS_setgroups), "list", Use::Read(4), |_, p| {
        [1, p, 0, 0, 0, 0]
    })
    .everywhere(&[EFAULT, EPERM]),
    Row::new(sys!(SYS_getrlimit), "limit", Use::Write(16), |_, p| {
        [LIMIT, p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_setrlimit), "limit", Use::Read(16), |_, p| {
        [LIMIT, p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_prlimit64), "new", Use::Read(16), |_, p| {
        [0, CORES, p, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_prlimit64), "old", Use::Write(16), |_, p| {
        [0, CORES, 0, p, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_getrusage), "usage", RUSAGE, |_, p| {
        [0, p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_uname), "names", Use::Write(390), |_, p| {
        [p, 0, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_sysinfo), "info", Use::Write(112), |_, p| {
        [p, 0, 0, 0, 0, 0]
    }),
    Row::new(
        sys!(SYS_sched_setparam),
        "parameter",
        Use::Read(4),
        |_, p| [0, p, 0, 0, 0, 0],
    )
    .or_null(&[EINVAL]),
    Row::new(sys!(SYS_sched_getparam), "parameter", ID, |_, p| {
        [0, p, 0, 0, 0, 0]
    })
    .or_null(&[EINVAL]),
    Row::new(
        sys!(SYS_sched_setscheduler),
        "parameter",
        Use::Read(4),
        |_, p| [0, 0, p, 0, 0, 0],
    )
    .or_null(&[EINVAL]),
    Row::new(
        sys!(SYS_sched_setattr),
        "attributes",
        Use::Read(ATTRIBUTES),
        |_, p| [0, p, 0, 0, 0, 0],
    )
    // Their size; the policy of everybody, at nice 0.
    .holds(|_| words([ATTRIBUTES as u64, 0, 0, 0, 0, 0]))
    .or_null(&[EINVAL]),
    Row::new(
        sys!(SYS_sched_getattr),
        "attributes",
        Use::Write(ATTRIBUTES),
        |_, p| [0, p, ATTRIBUTES, 0, 0, 0],
    )
    .or_null(&[EINVAL]),
    Row::new(
        sys!(SYS_sched_rr_get_interval),
        "interval",
        Use::Write(16),
        |_, p| [0, p, 0, 0, 0, 0],
    ),
    Row::new(sys!(SYS_sched_setaffinity), "mask", Use::Read(8), |_, p| {
        [0, 8, p, 0, 0, 0]
    })
    .holds(|_| words([u64::MAX])),
    Row::new(
        sys!(SYS_sched_getaffinity),
        "mask",
        Use::Write(8),
        |_, p| [0, 8, p, 0, 0, 0],
    ),
    Row::new(sys!(SYS_getcpu), "CPU", ID, |_, p| [p, 0, 0, 0, 0, 0]).or_null(SAME),
    Row::new(sys!(SYS_getcpu), "node", ID, |_, p| [0, p, 0, 0, 0, 0]).or_null(SAME),
    Row::new(VIOLATIONS, "info", Use::Write(LIMIT_INFO), |_, p| {
        [0, p, 0, 0, 0, 0]
    })
    .at(&[Kind::Short], &[0, EFAULT]),
    path(sys!(SYS_prctl), "PR_SET_NAME", |_, p| {
        [libc::PR_SET_NAME as usize, p, 0, 0, 0, 0]
    }),
    Row::new(sys!(SYS_prctl), "PR_GET_NAME", Use::Write(16), |_, p| {
        [libc::PR_GET_NAME as usize, p, 0, 0, 0, 0]
    }),
];
