//! `ipccheck [NAME]...`: what POSIX and Linux say of message queues, semaphores, sockets, events and pipes. It runs on
//! Linux too, where every check must hold as well.

mod epoll;
mod mq;
mod mq_notify;
mod socket;
mod socket_ends;
mod socket_limits;
mod sysv;

use super::lockcheck::start;
use super::memcheck::{Check, Wrong, checks, same};
use crate::cx::{Cx, Outcome};
use crate::sys::process::{Change, Patience, kill, wait};
use crate::sys::socket::{poll, read, write};
use crate::sys::{fd, signal};
use libc::{EINTR, POLLIN, SIGUSR1};
use std::io;

const GROUPS: &[&[(&str, Check)]] = &[
    mq::CHECKS,
    mq_notify::CHECKS,
    epoll::CHECKS,
    socket::CHECKS,
    socket_ends::CHECKS,
    socket_limits::CHECKS,
    sysv::CHECKS,
];

/// `ipccheck [NAME]...`: the checks whose names begin so; all without a name.
pub fn run(cx: &mut Cx) -> Outcome {
    checks(cx, GROUPS)
}

/// A signal ends the call of a child process, which otherwise would wait for ever.
fn interrupted(call: impl FnOnce() -> io::Result<()>) -> Result<(), Wrong> {
    let (read_end, write_end) = fd::pipe()?;
    let child = start(|| {
        signal::catch(SIGUSR1)?;
        write(&write_end, b"x")?;
        call()
    })?;
    read(&read_end, &mut [0])?;
    let ended = loop {
        // The first one may come before the call.
        kill(child, SIGUSR1)?;
        if let Some((_, change)) = wait(Patience::Poll)? {
            break change;
        }
        poll(&read_end, POLLIN, 1)?;
    };
    same("the call", ended, Change::Exited(EINTR))
}
