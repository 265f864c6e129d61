//! POSIX message queues.

use super::{path, sys, text};
use crate::env::{Env, close};
use crate::places::GOOD;
use crate::raw::{self, PAGE, halves, words};
use crate::row::{Row, SAME, Use};

/// Bytes of a message that travels at once, and of one that does not.
const SMALL: usize = 64;
const LARGE: usize = 1024;
/// `struct mq_attr`, `struct sigevent`.
const ATTRIBUTES: usize = 64;
const EVENT: usize = 64;
/// What the C library wants to be told (`NOTIFY_COOKIE_LEN`).
const COOKIE: usize = 32;
const OPENED: usize = (libc::O_RDWR | libc::O_CREAT) as usize;
const ELSEWHERE: usize = GOOD + 2 * PAGE;
/// A time that is over.
const TIME: Use = Use::Read(16);

/// Two messages of the larger size.
fn attributes(_: &Env) -> Vec<u8> {
    words([0, 2, LARGE as u64, 0, 0, 0, 0, 0])
}

/// The queue has a name no longer.
fn unlink() {
    let name = text(c"efault");
    // SAFETY: the name is a constant.
    unsafe { raw::call(libc::SYS_mq_unlink, [name, 0, 0, 0, 0, 0]) };
}

/// An empty queue, where nothing waits.
fn make(env: &Env) {
    let flags = OPENED | libc::O_NONBLOCK as usize;
    let attributes = env.scratch(&attributes(env));
    let name = text(c"efault");
    // SAFETY: the name is a constant, the attributes are in memory for tests.
    let queue = unsafe { raw::call(libc::SYS_mq_open, [name, flags, 0o600, attributes, 0, 0]) };
    unlink();
    env.own.set(queue as usize);
}

/// A queue with a message.
fn make_full<const LENGTH: usize>(env: &Env) {
    make(env);
    let args = [env.own.get(), ELSEWHERE, LENGTH, 0, 0, 0];
    // SAFETY: sends memory for tests.
    unsafe { raw::call(libc::SYS_mq_timedsend, args) };
}

fn remove(env: &Env, _: usize, _: isize) {
    close(env.own.get() as isize);
}

/// A message that could not be read is not sent.
fn unsent(env: &Env, _: usize, result: isize) {
    let mut now = [0_u64; ATTRIBUTES / 8];
    let at = now.as_mut_ptr() as usize;
    // SAFETY: the attributes are a local.
    unsafe { raw::call(libc::SYS_mq_getsetattr, [env.own.get(), 0, at, 0, 0, 0]) };
    if (result < 0) != (now[3] == 0) {
        env.wrong(&format!("the queue has {} messages after {result}", now[3]));
    }
    remove(env, 0, 0);
}

const fn about(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args).before(make).after(remove)
}

/// The rows.
pub const ROWS: &[Row] = &[
    path(sys!(SYS_mq_open), "name", |_, p| [p, 0, 0, 0, 0, 0]),
    path(sys!(SYS_mq_unlink), "name", |_, p| [p, 0, 0, 0, 0, 0]),
    Row::new(
        sys!(SYS_mq_open),
        "attributes",
        Use::Read(ATTRIBUTES),
        |_, p| [text(c"efault"), OPENED, 0o600, p, 0, 0],
    )
    .holds(attributes)
    .or_null(SAME)
    .after(|_, _, result| {
        close(result);
        unlink();
    }),
    about(
        sys!(SYS_mq_timedsend),
        "message",
        Use::Read(SMALL),
        |e, p| [e.own.get(), p, SMALL, 0, 0, 0],
    )
    .after(unsent),
    about(
        sys!(SYS_mq_timedsend),
        "large message",
        Use::Read(LARGE),
        |e, p| [e.own.get(), p, LARGE, 0, 0, 0],
    )
    .after(unsent),
    about(sys!(SYS_mq_timedsend), "timeout", TIME, |e, p| {
        [e.own.get(), ELSEWHERE, SMALL, 0, p, 0]
    })
    .or_null(SAME)
    .after(unsent),
    about(
        sys!(SYS_mq_timedreceive),
        "message",
        Use::Write(SMALL),
        |e, p| [e.own.get(), p, LARGE, 0, 0, 0],
    )
    .before(make_full::<SMALL>),
    about(
        sys!(SYS_mq_timedreceive),
        "large message",
        Use::Write(LARGE),
        |e, p| [e.own.get(), p, LARGE, 0, 0, 0],
    )
    .before(make_full::<LARGE>),
    about(
        sys!(SYS_mq_timedreceive),
        "priority",
        Use::Write(4),
        |e, p| [e.own.get(), ELSEWHERE, LARGE, p, 0, 0],
    )
    .before(make_full::<SMALL>)
    .or_null(SAME),
    about(sys!(SYS_mq_timedreceive), "timeout", TIME, |e, p| {
        [e.own.get(), ELSEWHERE, LARGE, 0, p, 0]
    })
    .before(make_full::<SMALL>)
    .or_null(SAME),
    about(sys!(SYS_mq_notify), "event", Use::Read(EVENT), |e, p| {
        [e.own.get(), p, 0, 0, 0, 0]
    })
    .holds(|_| words([0, 0, 0, 0, 0, 0, 0, 0]))
    .or_null(SAME),
    // No socket is there, but what it would be told is read before.
    about(sys!(SYS_mq_notify), "cookie", Use::Read(COOKIE), |e, p| {
        let [low, high] = [p as u32, (p >> 32) as u32];
        let event = halves([low, high, u32::MAX, libc::SIGEV_THREAD as u32]);
        [e.own.get(), e.scratch(&event), 0, 0, 0, 0]
    }),
    about(
        sys!(SYS_mq_getsetattr),
        "new",
        Use::Read(ATTRIBUTES),
        |e, p| [e.own.get(), p, 0, 0, 0, 0],
    )
    .or_null(SAME),
    about(
        sys!(SYS_mq_getsetattr),
        "old",
        Use::Write(ATTRIBUTES),
        |e, p| [e.own.get(), 0, p, 0, 0, 0],
    )
    .or_null(SAME),
];
