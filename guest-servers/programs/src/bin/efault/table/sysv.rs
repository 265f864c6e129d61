//! System V message queues and semaphores.

use super::sys;
use crate::env::Env;
use crate::places::GOOD;
use crate::raw::{self, PAGE, words};
use crate::row::{Row, SAME, Use};

/// Bytes of a message that travels at once, and of one that does not.
const SMALL: usize = 16;
const LARGE: usize = 1024;
/// Semaphores of a set.
const COUNT: usize = 4;
/// `struct sembuf`, and so many that they do not travel at once.
const OPERATION: usize = 6;
const MANY: usize = 100;
const MODE: usize = (libc::IPC_CREAT | 0o600) as usize;
const NO_WAIT: usize = libc::IPC_NOWAIT as usize;
const STAT: usize = libc::IPC_STAT as usize;
const SET: usize = libc::IPC_SET as usize;
const INFO: usize = libc::IPC_INFO as usize;
/// Commands that only the kernel's headers have.
const MSG_INFO: usize = 12;
const SEM_INFO: usize = 19;
const GETALL: usize = 13;
const SETALL: usize = 17;
/// `struct msqid64_ds`, `struct msginfo`, `struct semid64_ds`, `struct seminfo`.
const MESSAGE_STATUS: usize = 120;
const MESSAGE_INFO: usize = 32;
const SET_STATUS: usize = 104;
const SET_INFO: usize = 40;
const ELSEWHERE: usize = GOOD + 2 * PAGE;

/// Makes a call about numbers and memory for tests.
fn call(number: i64, args: [usize; 6]) -> isize {
    // SAFETY: it touches no Rust object.
    unsafe { raw::call(number, args) }
}

fn make_queue(env: &Env) {
    let id = call(libc::SYS_msgget, [0, MODE, 0, 0, 0, 0]);
    env.own.set(id as usize);
}

/// A queue with a message.
fn make_full<const LENGTH: usize>(env: &Env) {
    make_queue(env);
    // The kind; what follows does not matter.
    let message = env.scratch(&words([1]));
    call(
        libc::SYS_msgsnd,
        [env.own.get(), message, LENGTH, NO_WAIT, 0, 0],
    );
}

fn remove_queue(env: &Env, _: usize, _: isize) {
    call(libc::SYS_msgctl, [env.own.get(), 0, 0, 0, 0, 0]);
}

/// A message that could not be read is not sent.
fn unsent(env: &Env, _: usize, result: isize) {
    let args = [env.own.get(), ELSEWHERE, LARGE, 0, NO_WAIT, 0];
    let got = call(libc::SYS_msgrcv, args);
    if (result < 0) != (got < 0) {
        env.wrong(&format!("receiving gives {got} after {result}"));
    }
    remove_queue(env, 0, 0);
}

fn make_set(env: &Env) {
    let id = call(libc::SYS_semget, [0, COUNT, MODE, 0, 0, 0]);
    env.own.set(id as usize);
}

fn remove_set(env: &Env, _: usize, _: isize) {
    call(libc::SYS_semctl, [env.own.get(), 0, 0, 0, 0, 0]);
}

const fn queue(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .before(make_queue)
        .after(remove_queue)
}

const fn set(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .before(make_set)
        .after(remove_set)
}

const fn control(what: &'static str, how: Use, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    set(sys!(SYS_semctl), what, how, args)
}

/// The rows.
pub const ROWS: &[Row] = &[
    queue(sys!(SYS_msgsnd), "message", Use::Read(8 + SMALL), |e, p| {
        [e.own.get(), p, SMALL, NO_WAIT, 0, 0]
    })
    .holds(|_| words([1, 0, 0]))
    .after(unsent),
    queue(
        sys!(SYS_msgsnd),
        "large message",
        Use::Read(8 + LARGE),
        |e, p| [e.own.get(), p, LARGE, NO_WAIT, 0, 0],
    )
    .holds(|_| words::<{ 1 + LARGE / 8 }>([1; 1 + LARGE / 8]))
    .after(unsent),
    queue(
        sys!(SYS_msgrcv),
        "message",
        Use::Write(8 + SMALL),
        |e, p| [e.own.get(), p, LARGE, 0, NO_WAIT, 0],
    )
    .before(make_full::<SMALL>),
    queue(
        sys!(SYS_msgrcv),
        "large message",
        Use::Write(8 + LARGE),
        |e, p| [e.own.get(), p, LARGE, 0, NO_WAIT, 0],
    )
    .before(make_full::<LARGE>),
    queue(
        sys!(SYS_msgctl),
        "IPC_STAT",
        Use::Write(MESSAGE_STATUS),
        |e, p| [e.own.get(), STAT, p, 0, 0, 0],
    ),
    queue(
        sys!(SYS_msgctl),
        "IPC_SET",
        Use::Read(MESSAGE_STATUS),
        |e, p| [e.own.get(), SET, p, 0, 0, 0],
    ),
    queue(
        sys!(SYS_msgctl),
        "IPC_INFO",
        Use::Write(MESSAGE_INFO),
        |_, p| [0, INFO, p, 0, 0, 0],
    ),
    queue(
        sys!(SYS_msgctl),
        "MSG_INFO",
        Use::Write(MESSAGE_INFO),
        |_, p| [0, MSG_INFO, p, 0, 0, 0],
    ),
    set(
        sys!(SYS_semop),
        "operation",
        Use::Read(OPERATION),
        |e, p| [e.own.get(), p, 1, 0, 0, 0],
    ),
    set(
        sys!(SYS_semop),
        "many operations",
        Use::Read(MANY * OPERATION),
        |e, p| [e.own.get(), p, MANY, 0, 0, 0],
    ),
    set(
        sys!(SYS_semtimedop),
        "operation",
        Use::Read(OPERATION),
        |e, p| [e.own.get(), p, 1, ELSEWHERE, 0, 0],
    ),
    set(sys!(SYS_semtimedop), "timeout", Use::Read(16), |e, p| {
        [e.own.get(), ELSEWHERE, 1, p, 0, 0]
    })
    .or_null(SAME),
    control("IPC_STAT", Use::Write(SET_STATUS), |e, p| {
        [e.own.get(), 0, STAT, p, 0, 0]
    }),
    control("IPC_SET", Use::Read(SET_STATUS), |e, p| {
        [e.own.get(), 0, SET, p, 0, 0]
    }),
    control("IPC_INFO", Use::Write(SET_INFO), |_, p| {
        [0, 0, INFO, p, 0, 0]
    }),
    control("SEM_INFO", Use::Write(SET_INFO), |_, p| {
        [0, 0, SEM_INFO, p, 0, 0]
    }),
    control("GETALL", Use::Write(2 * COUNT), |e, p| {
        [e.own.get(), 0, GETALL, p, 0, 0]
    }),
    control("SETALL", Use::Read(2 * COUNT), |e, p| {
        [e.own.get(), 0, SETALL, p, 0, 0]
    }),
];
