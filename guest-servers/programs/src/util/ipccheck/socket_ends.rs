//! What is left of calls on sockets that were refused, interrupted or broken: nothing.

use std::os::fd::AsRawFd;

use super::interrupted;
use super::socket::abstract_name;
use crate::sys::socket::*;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{AF_UNIX, EAGAIN, ECONNRESET, MSG_DONTWAIT, POLLERR, POLLHUP, SO_ERROR, SOCK_STREAM};

pub const CHECKS: &[(&str, Check)] = &[
    ("socket.patient_connect", patient_connect),
    ("socket.refused_are_closed", refused_are_closed),
    ("socket.error_is_told_once", error_is_told_once),
];

/// Who waits for room at a listener can be interrupted.
fn patient_connect() -> Result<(), Wrong> {
    let path = abstract_name("patient");
    let listener = socket(AF_UNIX, SOCK_STREAM, 0)?;
    bind(&listener, &path)?;
    listen(&listener, 0)?;
    let first = socket(AF_UNIX, SOCK_STREAM, 0)?;
    connect(&first, &path)?;
    interrupted(|| connect(&socket(AF_UNIX, SOCK_STREAM, 0)?, &path))
}

/// What a full socket refuses is closed too, also when a signal ends the wait for room.
fn refused_are_closed() -> Result<(), Wrong> {
    for waits in [false, true] {
        let (a, _b) = pair(SOCK_STREAM)?;
        while send(&a, &[0; 4096], MSG_DONTWAIT).is_ok() {}
        let (read_end, write_end) = crate::sys::fd::pipe()?;
        let files = [write_end.as_raw_fd()];
        if waits {
            interrupted(|| send_files(&a, b"x", &files, 0).map(drop))?;
        } else {
            fails("full", send_files(&a, b"x", &files, MSG_DONTWAIT), EAGAIN)?;
        }
        drop(write_end);
        same("end of the pipe", read(&read_end, &mut [0; 4])?, 0)?;
    }
    Ok(())
}

fn error_is_told_once() -> Result<(), Wrong> {
    let (a, b) = pair(SOCK_STREAM)?;
    write(&a, b"unread")?;
    drop(b);
    same("error", poll(&a, 0, 0)?, POLLERR | POLLHUP)?;
    same("which", option(&a, SO_ERROR)?, ECONNRESET)?;
    same("told", poll(&a, 0, 0)?, POLLHUP)?;
    same("which", option(&a, SO_ERROR)?, 0)
}
