//! Waiting: for descriptors, and on words.

use super::sys;
use crate::env::Env;
use crate::places::{GOOD, Kind};
use crate::raw::{PAGE, halves, words};
use crate::row::{Outcomes, Row, SAME, Use};
use libc::{EFAULT, EINVAL};

/// No time at all, and what else structures hold that are right.
const ZEROS: usize = GOOD + 2 * PAGE;

/// One descriptor that can be written to.
fn interest(env: &Env) -> Vec<u8> {
    halves([env.input as u32, libc::POLLOUT as u32])
}

const LIST: Use = Use::Both(8);
const SET: Use = Use::Both(8);
/// `FUTEX_PRIVATE_FLAG` with an operation.
const WAIT: usize = 128;
const WAKE: usize = 129;
const REQUEUE: usize = 131;
const COMPARE: usize = 132;
const WAIT_BITS: usize = 137;
/// Places that are not aligned.
const ODD: &[Kind] = &[
    Kind::Odd,
    Kind::Crossing,
    Kind::Short,
    Kind::Edge,
    Kind::Fence,
    Kind::End,
    Kind::Wrapping,
];
const INVALID: Outcomes = &[EINVAL];
/// Linux looks for waiters without touching the word.
const NOBODY: Outcomes = &[0, EFAULT];
/// Addresses of the kernel.
const OUTSIDE: &[Kind] = &[
    Kind::Kernel,
    Kind::KernelText,
    Kind::NotCanonical,
    Kind::Top,
];

/// A word that is read.
const fn word(what: &'static str, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(sys!(SYS_futex), what, Use::Read(4), args).at(ODD, INVALID)
}

/// A word that is only a name.
const fn key(what: &'static str, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    word(what, args).at(OUTSIDE, &[EFAULT]).everywhere(NOBODY)
}

/// A timeout that is written back: if that cannot be, nothing is said.
const fn timeout(call: (i64, &'static str), args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(call, "timeout", Use::Both(16), args)
        .without(Kind::Null.bit())
        .at(&[Kind::ReadOnly], SAME)
}

/// The rows.
pub const ROWS: &[Row] = &[
    Row::new(sys!(SYS_poll), "list", LIST, |_, p| [p, 1, 0, 0, 0, 0]).holds(interest),
    Row::new(sys!(SYS_ppoll), "list", LIST, |_, p| [p, 1, ZEROS, 0, 8, 0]).holds(interest),
    timeout(sys!(SYS_ppoll), |_, p| [0, 0, p, 0, 8, 0]),
    Row::new(sys!(SYS_ppoll), "mask", Use::Read(8), |_, p| {
        [0, 0, ZEROS, p, 8, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_select), "to read", SET, |_, p| {
        [8, p, 0, 0, ZEROS, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_select), "to write", SET, |_, p| {
        [8, 0, p, 0, ZEROS, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_select), "exceptions", SET, |_, p| {
        [8, 0, 0, p, ZEROS, 0]
    })
    .or_null(SAME),
    timeout(sys!(SYS_select), |_, p| [0, 0, 0, 0, p, 0]),
    Row::new(sys!(SYS_pselect6), "to read", SET, |_, p| {
        [8, p, 0, 0, ZEROS, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_pselect6), "to write", SET, |_, p| {
        [8, 0, p, 0, ZEROS, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_pselect6), "exceptions", SET, |_, p| {
        [8, 0, 0, p, ZEROS, 0]
    })
    .or_null(SAME),
    timeout(sys!(SYS_pselect6), |_, p| [0, 0, 0, 0, p, 0]),
    Row::new(
        sys!(SYS_pselect6),
        "mask and size",
        Use::Read(16),
        |_, p| [0, 0, 0, 0, ZEROS, p],
    )
    .or_null(SAME),
    Row::new(sys!(SYS_pselect6), "mask", Use::Read(8), |e, p| {
        [0, 0, 0, 0, ZEROS, e.scratch(&words([p as u64, 8]))]
    })
    .or_null(SAME),
    word("FUTEX_WAIT", |_, p| [p, WAIT, 1, 0, 0, 0]),
    word("FUTEX_WAIT_BITSET", |_, p| [p, WAIT_BITS, 1, 0, 0, 1]),
    word("FUTEX_CMP_REQUEUE", |_, p| [p, COMPARE, 0, 0, ZEROS, 1]),
    key("FUTEX_WAKE", |_, p| [p, WAKE, 1, 0, 0, 0]),
    key("FUTEX_REQUEUE", |_, p| [p, REQUEUE, 0, 0, ZEROS, 0]),
    key("FUTEX_REQUEUE, to", |_, p| [ZEROS, REQUEUE, 0, 0, p, 0]),
    key("FUTEX_CMP_REQUEUE, to", |_, p| [ZEROS, COMPARE, 0, 0, p, 0]),
    Row::new(sys!(SYS_futex), "timeout", Use::Read(16), |_, p| {
        [ZEROS, WAIT, 0, p, 0, 0]
    })
    .without(Kind::Null.bit()),
    Row::new(
        sys!(SYS_futex),
        "absolute timeout",
        Use::Read(16),
        |_, p| [ZEROS, WAIT_BITS, 0, p, 0, 1],
    )
    .without(Kind::Null.bit()),
];
