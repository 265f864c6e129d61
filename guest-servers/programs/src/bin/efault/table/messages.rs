//! Messages and bytes through sockets, and what comes along with them.

use super::sockets::{NAME, bind, call, name, write_at};
use super::{sys, text};
use crate::env::{Env, close};
use crate::places::{GOOD, Kind, SCRATCH};
use crate::raw::{PAGE, halves, words};
use crate::row::{Outcomes, Row, SAME, Use};
use libc::EFAULT;

const ELSEWHERE: usize = GOOD + 2 * PAGE;
/// Bytes of a message that travels at once, and of one that does not.
const SMALL: usize = 16;
const LARGE: usize = 1024;
/// `struct msghdr`; of `struct mmsghdr` what is looked at; `struct iovec`.
const HEAD: usize = 56;
const MANY_HEAD: usize = 60;
const VECTOR: usize = 16;
/// One descriptor among the control messages; with what fills the last word.
const CONTROL: usize = 20;
const CONTROL_ROOM: usize = 24;
/// Offsets in `struct msghdr`.
const AT_NAME: usize = 0;
const AT_LIST: usize = 16;
const AT_CONTROL: usize = 32;
const AT_CONTROL_LENGTH: usize = 40;
/// Parts of the scratch page, which begins with a head.
const LIST_AT: usize = SCRATCH + 128;
const CONTROL_AT: usize = SCRATCH + 256;
const LENGTH_AT: usize = SCRATCH + 640;
const DATAGRAM: i32 = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK;
const STREAM: i32 = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
/// Of bytes in a row, those before a hole may be moved.
const PARTLY: Outcomes = &[0, EFAULT];
const EDGES: &[Kind] = &[Kind::Edge, Kind::Short, Kind::Fence];

/// A head with one buffer.
fn head() -> Vec<u8> {
    words([0, NAME as u64, LIST_AT as u64, 1, 0, 0, 0])
}

/// The name of the other side.
fn peer_name(env: &Env) -> Vec<u8> {
    name(env, b'm')
}

/// One open file for the other side.
fn control(env: &Env) -> Vec<u8> {
    let (level, kind) = (libc::SOL_SOCKET as u32, libc::SCM_RIGHTS as u32);
    halves([CONTROL as u32, 0, level, kind, env.file as u32])
}

/// Two connected sockets, and structures that point to a good buffer.
fn make<const KIND: i32>(env: &Env) {
    let [family, kind] = [libc::AF_UNIX as usize, KIND as usize];
    call(libc::SYS_socketpair, [family, kind, 0, SCRATCH, 0, 0]);
    // SAFETY: the call has just written there.
    let [own, peer] = unsafe { (SCRATCH as *const [u32; 2]).read() };
    env.own.set(own as usize);
    env.peer.set(peer as usize);
    bind(env, env.peer.get(), b'm');
    write_at(SCRATCH, &[head(), words([0])].concat());
    write_at(LIST_AT, &words([ELSEWHERE as u64, SMALL as u64]));
    write_at(CONTROL_AT, &control(env));
    write_at(LENGTH_AT, &halves([NAME as u32]));
}

/// And a message, with an open file.
fn make_full<const KIND: i32, const LENGTH: usize>(env: &Env) {
    make::<KIND>(env);
    write_at(LIST_AT + 8, &words([LENGTH as u64]));
    let message = with([(AT_CONTROL, CONTROL_AT), (AT_CONTROL_LENGTH, CONTROL)]);
    call(libc::SYS_sendmsg, [env.peer.get(), message, 0, 0, 0, 0]);
    write_at(LIST_AT + 8, &words([SMALL as u64]));
    with([(AT_CONTROL, 0), (AT_CONTROL_LENGTH, 0)]);
}

/// The head, with other words in it.
fn with<const COUNT: usize>(parts: [(usize, usize); COUNT]) -> usize {
    for (at, value) in parts {
        write_at(SCRATCH + at, &words([value as u64]));
    }
    SCRATCH
}

/// The head, with such a buffer.
fn buffer_at(pointer: usize) -> usize {
    write_at(LIST_AT, &words([pointer as u64]));
    SCRATCH
}

fn remove(env: &Env, _: usize, _: isize) {
    close(env.own.get() as isize);
    close(env.peer.get() as isize);
}

/// What could not be read is not sent.
fn unsent(env: &Env, _: usize, result: isize) {
    let got = call(
        libc::SYS_recvfrom,
        [env.peer.get(), ELSEWHERE, LARGE, 0, 0, 0],
    );
    if got.max(0) != result.max(0) {
        env.wrong(&format!("receiving gives {got} after {result}"));
    }
    remove(env, 0, 0);
}

/// Of a stream nothing is lost.
fn nothing_lost(env: &Env, _: usize, result: isize) {
    let args = [env.own.get(), ELSEWHERE, LARGE, 0, 0, 0];
    let left = call(libc::SYS_recvfrom, args);
    if left.max(0) + result.max(0) != SMALL as isize {
        env.wrong(&format!("receiving gives {left} after {result}"));
    }
    remove(env, 0, 0);
}

/// An open file that came is known to the program, or closed.
fn no_file_left(env: &Env, _: usize, _: isize) {
    // SAFETY: the head is there.
    let [place, length] = unsafe { ((SCRATCH + AT_CONTROL) as *const [usize; 2]).read() };
    if place != 0 && length >= CONTROL {
        // SAFETY: the call has just written there.
        let file = unsafe { ((place + SMALL) as *const u32).read_unaligned() };
        close(file as isize);
    }
    let next = call(libc::SYS_dup, [0; 6]);
    if next as usize != env.peer.get() + 1 {
        env.wrong(&format!("a descriptor is left: the next is {next}"));
    }
    close(next);
    remove(env, 0, 0);
}

const fn send(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .before(make::<DATAGRAM>)
        .after(unsent)
}

const fn receive(
    call: (i64, &'static str),
    what: &'static str,
    how: Use,
    args: fn(&Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, how, args)
        .before(make_full::<DATAGRAM, SMALL>)
        .after(no_file_left)
}

/// Rows that send.
pub const SEND: &[Row] = &[
    send(
        sys!(SYS_write),
        "buffer, of a socket",
        Use::Read(SMALL),
        |e, p| [e.own.get(), p, SMALL, 0, 0, 0],
    ),
    send(sys!(SYS_sendto), "buffer", Use::Read(SMALL), |e, p| {
        [e.own.get(), p, SMALL, 0, 0, 0]
    }),
    send(
        sys!(SYS_sendto),
        "large buffer",
        Use::Read(LARGE),
        |e, p| [e.own.get(), p, LARGE, 0, 0, 0],
    ),
    send(
        sys!(SYS_sendto),
        "buffer, of a stream",
        Use::Read(SMALL),
        |e, p| [e.own.get(), p, SMALL, 0, 0, 0],
    )
    .before(make::<STREAM>)
    .at(EDGES, PARTLY),
    send(sys!(SYS_sendto), "address", Use::Read(NAME), |e, p| {
        [e.own.get(), text(c"four"), 4, 0, p, NAME]
    })
    .holds(peer_name)
    .or_null(SAME),
    send(sys!(SYS_sendmsg), "message", Use::Read(HEAD), |e, p| {
        [e.own.get(), p, 0, 0, 0, 0]
    })
    .holds(|_| head()),
    send(sys!(SYS_sendmsg), "address", Use::Read(NAME), |e, p| {
        [e.own.get(), with([(AT_NAME, p)]), 0, 0, 0, 0]
    })
    .holds(peer_name)
    .or_null(SAME),
    send(sys!(SYS_sendmsg), "list", Use::Read(VECTOR), |e, p| {
        [e.own.get(), with([(AT_LIST, p)]), 0, 0, 0, 0]
    })
    .holds(|_| words([ELSEWHERE as u64, SMALL as u64])),
    send(sys!(SYS_sendmsg), "buffer", Use::Read(SMALL), |e, p| {
        [e.own.get(), buffer_at(p), 0, 0, 0, 0]
    }),
    send(sys!(SYS_sendmsg), "control", Use::Read(CONTROL), |e, p| {
        let message = with([(AT_CONTROL, p), (AT_CONTROL_LENGTH, CONTROL)]);
        [e.own.get(), message, 0, 0, 0, 0]
    })
    .holds(control),
    // The message is sent, and then its length cannot be told.
    send(sys!(SYS_sendmmsg), "list", Use::Both(MANY_HEAD), |e, p| {
        [e.own.get(), p, 1, 0, 0, 0]
    })
    .holds(|_| [head(), halves([0])].concat())
    .after(remove),
    send(sys!(SYS_sendmmsg), "buffer", Use::Read(SMALL), |e, p| {
        [e.own.get(), buffer_at(p), 1, 0, 0, 0]
    })
    .after(remove),
];

/// Rows that receive.
pub const RECEIVE: &[Row] = &[
    receive(
        sys!(SYS_read),
        "buffer, of a socket",
        Use::Write(SMALL),
        |e, p| [e.own.get(), p, SMALL, 0, 0, 0],
    ),
    receive(sys!(SYS_recvfrom), "buffer", Use::Write(SMALL), |e, p| {
        [e.own.get(), p, SMALL, 0, 0, 0]
    }),
    receive(
        sys!(SYS_recvfrom),
        "large buffer",
        Use::Write(LARGE),
        |e, p| [e.own.get(), p, LARGE, 0, 0, 0],
    )
    .before(make_full::<DATAGRAM, LARGE>),
    receive(
        sys!(SYS_recvfrom),
        "buffer, of a stream",
        Use::Write(SMALL),
        |e, p| [e.own.get(), p, SMALL, 0, 0, 0],
    )
    .before(make_full::<STREAM, SMALL>)
    .after(nothing_lost)
    .at(EDGES, PARTLY),
    receive(sys!(SYS_recvfrom), "address", Use::Write(NAME), |e, p| {
        [e.own.get(), ELSEWHERE, SMALL, 0, p, LENGTH_AT]
    })
    .or_null(SAME),
    receive(sys!(SYS_recvfrom), "length", Use::Both(4), |e, p| {
        [e.own.get(), ELSEWHERE, SMALL, 0, ELSEWHERE + 64, p]
    })
    .holds(|_| halves([NAME as u32])),
    receive(sys!(SYS_recvmsg), "message", Use::Both(HEAD), |e, p| {
        [e.own.get(), p, 0, 0, 0, 0]
    })
    .holds(|_| head()),
    receive(sys!(SYS_recvmsg), "address", Use::Write(NAME), |e, p| {
        [e.own.get(), with([(AT_NAME, p)]), 0, 0, 0, 0]
    })
    .or_null(SAME),
    receive(sys!(SYS_recvmsg), "list", Use::Read(VECTOR), |e, p| {
        [e.own.get(), with([(AT_LIST, p)]), 0, 0, 0, 0]
    })
    .holds(|_| words([ELSEWHERE as u64, SMALL as u64])),
    receive(sys!(SYS_recvmsg), "buffer", Use::Write(SMALL), |e, p| {
        [e.own.get(), buffer_at(p), 0, 0, 0, 0]
    }),
    // The message comes, with a flag that something is missing.
    receive(
        sys!(SYS_recvmsg),
        "control",
        Use::Write(CONTROL_ROOM),
        |e, p| {
            let message = with([(AT_CONTROL, p), (AT_CONTROL_LENGTH, CONTROL_ROOM)]);
            [e.own.get(), message, 0, 0, 0, 0]
        },
    )
    .everywhere(SAME),
    receive(sys!(SYS_recvmmsg), "list", Use::Both(MANY_HEAD), |e, p| {
        [e.own.get(), p, 1, 0, 0, 0]
    })
    .holds(|_| [head(), halves([0])].concat()),
    receive(sys!(SYS_recvmmsg), "buffer", Use::Write(SMALL), |e, p| {
        [e.own.get(), buffer_at(p), 1, 0, 0, 0]
    }),
    receive(sys!(SYS_recvmmsg), "timeout", Use::Both(16), |e, p| {
        [e.own.get(), SCRATCH, 1, 0, p, 0]
    })
    .or_null(SAME),
];
