//! Being told of messages: `mq_notify`.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use super::mq::with_queue;
use crate::sys::mq::{Queue, Shape, Told, block, told};
use crate::sys::process::Change;
use crate::sys::process::reap;
use crate::sys::{fd, process};
use crate::util::lockcheck::{errno_in_child, start};
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{EAGAIN, EBUSY, EINVAL, SIGUSR1, SIGUSR2};

pub const CHECKS: &[(&str, Check)] = &[
    ("mq_notify.signal", signal),
    ("mq_notify.once", once),
    ("mq_notify.busy", busy),
    ("mq_notify.closed", closed),
    ("mq_notify.receiver_first", receiver_first),
];

/// `SI_MESGQ`.
const BY_QUEUE: i32 = -3;
const SMALL: Shape = Shape {
    messages: 4,
    size: 16,
};
const LONG: Duration = Duration::from_secs(60);

fn receive(queue: &Queue) -> Result<(), Wrong> {
    queue.receive(&mut [0; 16])?;
    Ok(())
}

fn signal() -> Result<(), Wrong> {
    block(SIGUSR1)?;
    with_queue(SMALL, |_, queue| {
        queue.notify(Some(SIGUSR1), 0x1234_5678_9abc)?;
        let child = start(|| queue.send(b"x", 0))?;
        let expected = Told {
            signal: SIGUSR1,
            code: BY_QUEUE,
            pid: child,
            value: 0x1234_5678_9abc,
        };
        let is = told(SIGUSR1, LONG)?;
        same("the child", reap(child)?, Change::Exited(0))?;
        same("told", is, expected)?;
        fails("no signal", queue.notify(Some(65), 0), EINVAL)
    })
}

/// One message, one signal; and only when it comes into the empty queue.
fn once() -> Result<(), Wrong> {
    block(SIGUSR1)?;
    with_queue(SMALL, |_, queue| {
        queue.send(b"x", 0)?;
        queue.notify(Some(SIGUSR1), 1)?;
        queue.send(b"x", 0)?;
        fails("it was not empty", told(SIGUSR1, Duration::ZERO), EAGAIN)?;
        receive(queue)?;
        receive(queue)?;
        queue.send(b"x", 0)?;
        same("value", told(SIGUSR1, Duration::ZERO)?.value, 1)?;
        receive(queue)?;
        queue.send(b"x", 0)?;
        fails("only once", told(SIGUSR1, Duration::ZERO), EAGAIN)
    })
}

fn busy() -> Result<(), Wrong> {
    block(SIGUSR2)?;
    with_queue(SMALL, |_, queue| {
        queue.notify(Some(SIGUSR2), 0)?;
        fails("again", queue.notify(None, 0), EBUSY)?;
        let child = || errno_in_child(|| queue.notify(None, 0));
        same("a child", child()?, EBUSY)?;
        same(
            "a child removes nothing",
            errno_in_child(|| queue.forget())?,
            0,
        )?;
        same("still", child()?, EBUSY)?;
        queue.forget()?;
        same("removed", child()?, 0)?;
        // The child that asked has ended.
        queue.notify(None, 0)?;
        queue.forget()?;
        queue.send(b"x", 0)?;
        fails("told", told(SIGUSR2, Duration::ZERO), EAGAIN)
    })
}

/// Whoever closes a descriptor of the queue is not told.
fn closed() -> Result<(), Wrong> {
    block(SIGUSR1)?;
    with_queue(SMALL, |name, queue| {
        let second = Queue::open(name, libc::O_RDWR, None)?;
        queue.notify(Some(SIGUSR1), 0)?;
        drop(second);
        queue.send(b"x", 0)?;
        fails("told", told(SIGUSR1, Duration::ZERO), EAGAIN)?;
        queue.notify(None, 0)?;
        queue.forget()?;
        Ok(())
    })
}

/// A receiver that waits gets the message, and nobody is told.
fn receiver_first() -> Result<(), Wrong> {
    block(SIGUSR1)?;
    with_queue(SMALL, |_, queue| {
        let (read, write) = fd::pipe()?;
        let child = start(|| {
            File::from(write).write_all(b"!")?;
            queue.receive(&mut [0; 16]).map(drop)
        })?;
        File::from(read).read_exact(&mut [0])?;
        // It says so just before it waits: until it does, messages are taken back.
        while !is_waiting(child)? {
            std::thread::yield_now();
        }
        queue.notify(Some(SIGUSR1), 0)?;
        queue.send(b"x", 0)?;
        same("the child", reap(child)?, Change::Exited(0))?;
        fails("told", told(SIGUSR1, Duration::ZERO), EAGAIN)
    })
}

/// Whether a process sleeps, as `/proc` has it.
fn is_waiting(pid: process::Pid) -> Result<bool, Wrong> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.contains(") S "))
}
