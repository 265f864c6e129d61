//! `ipccheck [NAME]...`: what POSIX and Linux say of message queues, semaphores, sockets, events and pipes. It runs on
//! Linux too, where every check must hold as well.

mod epoll;
mod mq;
mod mq_notify;
mod socket;
mod sysv;

use super::memcheck::{Check, checks};
use crate::cx::{Cx, Outcome};

const GROUPS: &[&[(&str, Check)]] = &[
    mq::CHECKS,
    mq_notify::CHECKS,
    epoll::CHECKS,
    socket::CHECKS,
    sysv::CHECKS,
];

/// `ipccheck [NAME]...`: the checks whose names begin so; all without a name.
pub fn run(cx: &mut Cx) -> Outcome {
    checks(cx, GROUPS)
}
