//! `epoll` and `eventfd`.

use super::sys;
use crate::env::{Env, close};
use crate::places::GOOD;
use crate::raw::{self, PAGE, halves};
use crate::row::{Row, SAME, Use};

/// `struct epoll_event`.
const EVENT: usize = 12;
const ELSEWHERE: usize = GOOD + 2 * PAGE;
const ADD: usize = libc::EPOLL_CTL_ADD as usize;
const MODIFY: usize = libc::EPOLL_CTL_MOD as usize;
const MASK: Use = Use::Read(8);

fn event(_: &Env) -> Vec<u8> {
    halves([libc::EPOLLIN as u32, 1, 0])
}

/// A list of nothing.
fn make(env: &Env) {
    // SAFETY: numbers only.
    env.own.set(unsafe { libc::epoll_create1(0) } as usize);
}

/// A list of the pipe, which can be read.
fn make_ready(env: &Env) {
    make(env);
    let event = env.scratch(&event(env));
    // SAFETY: the event is in memory for tests.
    unsafe {
        raw::call(
            libc::SYS_epoll_ctl,
            [env.own.get(), ADD, env.output, event, 0, 0],
        )
    };
}

fn remove(env: &Env, _: usize, _: isize) {
    close(env.own.get() as isize);
}

/// What could not be told is told the next time.
fn told(env: &Env, _: usize, _: isize) {
    let args = [env.own.get(), ELSEWHERE, 1, 0, 0, 0];
    // SAFETY: writes memory for tests.
    let count = unsafe { raw::call(libc::SYS_epoll_wait, args) };
    if count != 1 {
        env.wrong(&format!("waiting again gives {count}"));
    }
    remove(env, 0, 0);
}

const fn about(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .before(make_ready)
        .after(told)
}

fn make_counter(env: &Env) {
    // SAFETY: numbers only.
    env.own
        .set(unsafe { libc::eventfd(1, libc::EFD_NONBLOCK) } as usize);
}

/// The rows.
pub const ROWS: &[Row] = &[
    about(
        sys!(SYS_epoll_ctl),
        "event, EPOLL_CTL_ADD",
        Use::Read(EVENT),
        |e, p| [e.own.get(), ADD, e.output, p, 0, 0],
    )
    .holds(event)
    .before(make)
    .after(remove),
    about(
        sys!(SYS_epoll_ctl),
        "event, EPOLL_CTL_MOD",
        Use::Read(EVENT),
        |e, p| [e.own.get(), MODIFY, e.output, p, 0, 0],
    )
    .holds(event),
    about(sys!(SYS_epoll_wait), "events", Use::Write(EVENT), |e, p| {
        [e.own.get(), p, 1, 0, 0, 0]
    }),
    about(
        sys!(SYS_epoll_pwait),
        "events",
        Use::Write(EVENT),
        |e, p| [e.own.get(), p, 1, 0, 0, 8],
    ),
    about(sys!(SYS_epoll_pwait), "mask", MASK, |e, p| {
        [e.own.get(), ELSEWHERE, 1, 0, p, 8]
    })
    .or_null(SAME),
    about(
        sys!(SYS_epoll_pwait2),
        "events",
        Use::Write(EVENT),
        |e, p| [e.own.get(), p, 1, ELSEWHERE, 0, 8],
    ),
    about(sys!(SYS_epoll_pwait2), "timeout", Use::Read(16), |e, p| {
        [e.own.get(), ELSEWHERE, 1, p, 0, 8]
    })
    .or_null(SAME),
    about(sys!(SYS_epoll_pwait2), "mask", MASK, |e, p| {
        [e.own.get(), ELSEWHERE, 1, 0, p, 8]
    })
    .or_null(SAME),
    Row::new(
        sys!(SYS_read),
        "number, of a counter",
        Use::Write(8),
        |e, p| [e.own.get(), p, 8, 0, 0, 0],
    )
    .before(make_counter)
    .after(remove),
    Row::new(
        sys!(SYS_write),
        "number, of a counter",
        Use::Read(8),
        |e, p| [e.own.get(), p, 8, 0, 0, 0],
    )
    .before(make_counter)
    .after(remove),
];
