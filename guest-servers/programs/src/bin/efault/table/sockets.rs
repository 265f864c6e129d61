//! Sockets of the Unix domain: making and naming them, and their options. (Messages: [`super::messages`].)

use super::files::close_both;
use super::sys;
use crate::env::{Env, close};
use crate::places::{GOOD, SCRATCH};
use crate::raw::{self, PAGE, halves, poke};
use crate::row::{Row, SAME, Use};

/// Bytes of the names in the tests.
pub const NAME: usize = 8;
/// Where a name is, and the room for one.
const NAME_AT: usize = SCRATCH + 512;
const ROOM_AT: usize = SCRATCH + 640;
const ELSEWHERE: usize = GOOD + 2 * PAGE;
const UNIX: usize = libc::AF_UNIX as usize;
const SOCKETS: usize = libc::SOL_SOCKET as usize;
const STREAM: usize = (libc::SOCK_STREAM | libc::SOCK_NONBLOCK) as usize;
const LENGTH: Use = Use::Both(4);

/// Makes a call about numbers and memory for tests.
pub fn call(number: i64, args: [usize; 6]) -> isize {
    // SAFETY: it touches no Rust object.
    unsafe { raw::call(number, args) }
}

/// Writes to the scratch page.
pub fn write_at(at: usize, bytes: &[u8]) {
    // SAFETY: the page is for nothing else.
    unsafe { poke(at, bytes) };
}

/// A name without a file that only this process has.
pub fn name(env: &Env, first: u8) -> Vec<u8> {
    halves([u32::from_ne_bytes([1, 0, 0, first]), env.pid as u32])
}

fn socket(env: &Env, first: u8) -> usize {
    let new = call(libc::SYS_socket, [UNIX, STREAM, 0, 0, 0, 0]) as usize;
    bind(env, new, first);
    new
}

/// Gives a socket a name, which is at [`NAME_AT`] then.
pub fn bind(env: &Env, socket: usize, first: u8) {
    write_at(NAME_AT, &name(env, first));
    call(libc::SYS_bind, [socket, NAME_AT, NAME, 0, 0, 0]);
}

fn make_alone(env: &Env) {
    let new = call(libc::SYS_socket, [UNIX, STREAM, 0, 0, 0, 0]);
    env.own.set(new as usize);
}

/// A socket that listens, and one that connects to it.
fn make_connection(env: &Env) {
    write_at(ROOM_AT, &halves([NAME as u32]));
    env.peer.set(socket(env, b'p'));
    env.own.set(socket(env, b'l'));
    call(libc::SYS_listen, [env.own.get(), 4, 0, 0, 0, 0]);
    call(libc::SYS_connect, [env.peer.get(), NAME_AT, NAME, 0, 0, 0]);
}

fn remove(env: &Env, _: usize, _: isize) {
    close(env.own.get() as isize);
}

/// After a failure there is no new descriptor.
fn remove_connection(env: &Env, _: usize, result: isize) {
    close(result);
    let next = call(libc::SYS_dup, [0; 6]);
    let last = env.own.get().max(env.peer.get());
    if result < 0 && next as usize != last + 1 {
        env.wrong(&format!("a descriptor is left: the next is {next}"));
    }
    close(next);
    close(env.own.get() as isize);
    close(env.peer.get() as isize);
}

const fn alone(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .before(make_alone)
        .after(remove)
}

const fn address(call: (i64, &'static str), args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(call, "address", Use::Write(NAME), args)
        .before(make_connection)
        .after(remove_connection)
}

const fn length(call: (i64, &'static str), args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(call, "length", LENGTH, args)
        .holds(|_| halves([NAME as u32]))
        .before(make_connection)
        .after(close_ends)
}

/// As [`remove_connection`], for calls whose result is no descriptor too.
fn close_ends(env: &Env, pointer: usize, result: isize) {
    remove_connection(env, pointer, if result == 0 { -1 } else { result });
}

/// A row about an option's value.
const fn option(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    alone(call, what, how, args).before(|env| {
        make_alone(env);
        write_at(ROOM_AT, &halves([64]));
    })
}

const fn set(what: &'static str, size: usize, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    option(sys!(SYS_setsockopt), what, Use::Read(size), args)
}

const fn get(what: &'static str, size: usize, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    option(sys!(SYS_getsockopt), what, Use::Write(size), args)
}

/// The rows.
pub const ROWS: &[Row] = &[
    Row::new(
        sys!(SYS_socketpair),
        "descriptors",
        Use::Write(8),
        |_, p| [UNIX, STREAM, 0, p, 0, 0],
    )
    .after(close_both),
    alone(sys!(SYS_bind), "address", Use::Read(NAME), |e, p| {
        [e.own.get(), p, NAME, 0, 0, 0]
    })
    .holds(|env| name(env, b'b')),
    alone(sys!(SYS_connect), "address", Use::Read(NAME), |e, p| {
        [e.own.get(), p, NAME, 0, 0, 0]
    })
    .holds(|env| name(env, b'c')),
    address(sys!(SYS_accept), |e, p| [e.own.get(), p, ROOM_AT, 0, 0, 0]).or_null(SAME),
    address(sys!(SYS_accept4), |e, p| [e.own.get(), p, ROOM_AT, 0, 0, 0]).or_null(SAME),
    length(sys!(SYS_accept), |e, p| {
        [e.own.get(), ELSEWHERE, p, 0, 0, 0]
    })
    .after(remove_connection),
    length(sys!(SYS_accept4), |e, p| {
        [e.own.get(), ELSEWHERE, p, 0, 0, 0]
    })
    .after(remove_connection),
    address(sys!(SYS_getsockname), |e, p| {
        [e.own.get(), p, ROOM_AT, 0, 0, 0]
    })
    .after(close_ends),
    address(sys!(SYS_getpeername), |e, p| {
        [e.peer.get(), p, ROOM_AT, 0, 0, 0]
    })
    .after(close_ends),
    length(sys!(SYS_getsockname), |e, p| {
        [e.own.get(), ELSEWHERE, p, 0, 0, 0]
    }),
    length(sys!(SYS_getpeername), |e, p| {
        [e.peer.get(), ELSEWHERE, p, 0, 0, 0]
    }),
    set("SO_PASSCRED", 4, |e, p| {
        [e.own.get(), SOCKETS, libc::SO_PASSCRED as usize, p, 4, 0]
    }),
    set("SO_LINGER", 8, |e, p| {
        [e.own.get(), SOCKETS, libc::SO_LINGER as usize, p, 8, 0]
    }),
    set("SO_RCVTIMEO", 16, |e, p| {
        [e.own.get(), SOCKETS, libc::SO_RCVTIMEO as usize, p, 16, 0]
    }),
    get("SO_TYPE", 4, |e, p| {
        [e.own.get(), SOCKETS, libc::SO_TYPE as usize, p, ROOM_AT, 0]
    }),
    get("SO_LINGER", 8, |e, p| {
        [
            e.own.get(),
            SOCKETS,
            libc::SO_LINGER as usize,
            p,
            ROOM_AT,
            0,
        ]
    }),
    get("SO_PEERCRED", 12, |e, p| {
        [
            e.own.get(),
            SOCKETS,
            libc::SO_PEERCRED as usize,
            p,
            ROOM_AT,
            0,
        ]
    }),
    get("SO_RCVTIMEO", 16, |e, p| {
        [
            e.own.get(),
            SOCKETS,
            libc::SO_RCVTIMEO as usize,
            p,
            ROOM_AT,
            0,
        ]
    }),
    option(sys!(SYS_getsockopt), "length", LENGTH, |e, p| {
        [
            e.own.get(),
            SOCKETS,
            libc::SO_TYPE as usize,
            ELSEWHERE,
            p,
            0,
        ]
    })
    .holds(|_| halves([4])),
];
