//! What sockets hold, and for how long their calls wait.

use std::os::fd::AsRawFd;

use super::socket::abstract_name;
use crate::sys::limit::{resource, set_soft};
use crate::sys::memory::become_user;
use crate::sys::process::{Change, reap};
use crate::sys::socket::*;
use crate::util::lockcheck::start;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{AF_UNIX, EAGAIN, MSG_DONTWAIT, SO_RCVTIMEO, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};

pub const CHECKS: &[(&str, Check)] = &[
    ("socket.limits_of_time", limits_of_time),
    ("socket.bytes_waiting", bytes_waiting),
    ("socket.passing_limit", passing_limit),
    ("socket.cycles", cycles),
    ("socket.memory", memory_is_bounded),
];

/// `SO_RCVTIMEO` and `SO_SNDTIMEO` end every wait; `SO_SNDBUF` makes room smaller.
fn limits_of_time() -> Result<(), Wrong> {
    let limit = libc::timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    for kind in [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = pair(kind)?;
        set_option(&a, libc::SO_SNDBUF, &8192)?;
        set_option(&a, libc::SO_SNDTIMEO, &limit)?;
        set_option(&b, SO_RCVTIMEO, &limit)?;
        fails("nothing comes", read(&b, &mut [0; 4]), EAGAIN)?;
        let mut sent = 0;
        let full = loop {
            match write(&a, &[0; 1000]) {
                Ok(count) => sent += count,
                Err(error) => break Err::<(), _>(error),
            }
        };
        fails("full", full, EAGAIN)?;
        // Linux counts its own administration too, and 16 KiB at least where nobody sets anything.
        same(
            "little room",
            (1000..=40_000).contains(&sent) || kind == SOCK_DGRAM,
            true,
        )?;
    }
    let listener = socket(AF_UNIX, SOCK_STREAM, 0)?;
    bind(&listener, &abstract_name("late"))?;
    listen(&listener, 0)?;
    set_option(&listener, SO_RCVTIMEO, &limit)?;
    fails("nobody comes", accept(&listener, 0), EAGAIN)?;
    let mut clients = Vec::new();
    let refused = loop {
        let client = socket(AF_UNIX, SOCK_STREAM, 0)?;
        set_option(&client, libc::SO_SNDTIMEO, &limit)?;
        let connected = connect(&client, &abstract_name("late"));
        clients.push(client);
        if connected.is_err() || clients.len() > 9 {
            break connected;
        }
    };
    fails("nobody accepts", refused, EAGAIN)
}

/// `FIONREAD` tells of the next datagram, or of all bytes; `TIOCOUTQ` whether the peer has received everything.
fn bytes_waiting() -> Result<(), Wrong> {
    for (kind, first) in [(SOCK_STREAM, 8), (SOCK_DGRAM, 3)] {
        let (a, b) = pair(kind)?;
        same("nothing", count_bytes(&b, libc::FIONREAD)?, 0)?;
        write(&a, b"abc")?;
        write(&a, b"12345")?;
        same("next", count_bytes(&b, libc::FIONREAD)?, first)?;
        same("sent", count_bytes(&a, libc::TIOCOUTQ)? > 0, true)?;
        read(&b, &mut [0; 3])?;
        same("then", count_bytes(&b, libc::FIONREAD)?, 5)?;
        read(&b, &mut [0; 9])?;
        same("received", count_bytes(&a, libc::TIOCOUTQ)?, 0)?;
    }
    Ok(())
}

/// Descriptors on their way are limited by user: one that sends too many is refused, another one is not.
fn passing_limit() -> Result<(), Wrong> {
    let (others, others_end) = pair(SOCK_SEQPACKET)?;
    let child = start(|| {
        set_soft(resource::NOFILE, 1024)?;
        become_user(4711)?;
        let (a, _b) = pair(SOCK_SEQPACKET)?;
        let files = [a.as_raw_fd(); 200];
        for _ in 0..100 {
            if let Err(error) = send_files(&a, b"x", &files, MSG_DONTWAIT) {
                // Its messages are there as long as it is.
                write(&others, b"refused")?;
                read(&others, &mut [0])?;
                return Err(error);
            }
        }
        Ok(())
    })?;
    drop(others);
    same("told", read(&others_end, &mut [0; 9])?, 7)?;
    let (a, b) = pair(SOCK_STREAM)?;
    send_files(&a, b"x", &[a.as_raw_fd(); 200], 0)?;
    same(
        "others pass",
        receive_message(&b, 8, 1200)?.files.len(),
        200,
    )?;
    write(&others_end, b"x")?;
    same("too many", reap(child)?, Change::Exited(libc::ETOOMANYREFS))
}

/// Sockets sent through themselves go when nobody has them any more, with what was sent besides.
fn cycles() -> Result<(), Wrong> {
    let (read_end, write_end) = crate::sys::fd::pipe()?;
    for _ in 0..3 {
        let (a, b) = pair(SOCK_STREAM)?;
        send_files(&a, b"x", &[b.as_raw_fd(), write_end.as_raw_fd()], 0)?;
        send_files(&b, b"x", &[a.as_raw_fd()], 0)?;
    }
    drop(write_end);
    // On Linux the collection is begun by the next close of a socket.
    drop(pair(SOCK_STREAM)?);
    same("the pipe ends", read(&read_end, &mut [0; 4])?, 0)
}

/// Who fills socket after socket is refused at some point, and others are not. (Linux gives much more.)
fn memory_is_bounded() -> Result<(), Wrong> {
    const MANY: usize = 120;
    let mut pairs = Vec::new();
    let filled = loop {
        let (a, b) = pair(SOCK_SEQPACKET)?;
        let filled = loop {
            match send(&a, &[0; 60_000], MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(EAGAIN) => break Ok(()),
                refused => break refused.map(drop),
            }
        };
        pairs.push((a, b));
        if filled.is_err() || pairs.len() == MANY {
            break filled;
        }
    };
    let child = start(|| {
        let (a, b) = pair(SOCK_SEQPACKET)?;
        send(&a, &[1; 60_000], MSG_DONTWAIT)?;
        read(&b, &mut [0; 60_000]).map(drop)
    })?;
    same("others", reap(child)?, Change::Exited(0))?;
    if std::path::Path::new("/proc/ferrix").exists() {
        fails("too much", filled, libc::ENOBUFS)?;
        let (a, b) = &pairs[0];
        read(b, &mut [0; 60_000])?;
        send(a, &[0; 50_000], MSG_DONTWAIT)?;
    }
    Ok(())
}
