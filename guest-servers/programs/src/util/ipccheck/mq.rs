//! POSIX message queues.

use std::io;
use std::time::Duration;

use crate::sys::lock::alarm_every;
use crate::sys::memory::{Limit, set_limit};
use crate::sys::mq::{self, Queue, Shape, State, Timeout};
use crate::sys::process::{Change, Patience, kill, reap, wait};
use crate::sys::signal;
use crate::util::lockcheck::{errno_in_child, start};
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{
    EACCES, EAGAIN, EBADF, EEXIST, EINTR, EINVAL, EMSGSIZE, ENAMETOOLONG, ENOENT, ENOMEM,
    ETIMEDOUT, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, SIGALRM, SIGKILL,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("mq.names", names),
    ("mq.attributes", state),
    ("mq.priorities", priorities),
    ("mq.sizes", sizes),
    ("mq.full_and_empty", full_and_empty),
    ("mq.timeouts", timeouts),
    ("mq.access", access),
    ("mq.permissions", permissions),
    ("mq.unlinked", unlinked),
    ("mq.waits_to_receive", waits_to_receive),
    ("mq.waits_to_send", waits_to_send),
    ("mq.interrupted", interrupted),
    ("mq.killed", killed),
    ("mq.fork", fork_shares),
    ("mq.existing", existing),
    ("mq.large_in_line", large_in_line),
    ("mq.not_fetched", not_fetched),
];

const NEW: i32 = O_CREAT | O_RDWR;
const SMALL: Shape = Shape {
    messages: 4,
    size: 16,
};
const SOON: Timeout = Timeout::In(Duration::from_millis(30));
const LATE: Timeout = Timeout::In(Duration::from_secs(60));

/// Does a check with a queue of its own.
pub fn with_queue(
    shape: Shape,
    check: impl FnOnce(&str, &Queue) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    let name = format!("/ipccheck-{}", std::process::id());
    let _ = mq::unlink(&name);
    let queue = Queue::open(&name, NEW | O_EXCL, Some(shape))?;
    let result = check(&name, &queue);
    let _ = mq::unlink(&name);
    result
}

fn text(queue: &Queue) -> io::Result<String> {
    let mut bytes = [0; 16];
    let (_, length) = queue.receive(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn names() -> Result<(), Wrong> {
    with_queue(SMALL, |name, _| {
        fails("a second", Queue::open(name, NEW | O_EXCL, None), EEXIST)?;
        Queue::open(name, NEW, None)?;
        let missing = format!("{name}-missing");
        fails("no such", Queue::open(&missing, O_RDWR, None), ENOENT)?;
        fails("nothing to remove", mq::unlink(&missing), ENOENT)?;
        let long = format!("/{}", "x".repeat(256));
        fails("too long", Queue::open(&long, NEW, None), ENAMETOOLONG)?;
        fails("too long to remove", mq::unlink(&long), ENAMETOOLONG)?;
        fails("a path", Queue::open("/a/b", NEW, None), EACCES)
    })
}

fn state() -> Result<(), Wrong> {
    with_queue(SMALL, |name, queue| {
        queue.send(b"one", 1)?;
        let expected = State {
            flags: 0,
            shape: SMALL,
            now: 1,
        };
        same("as made", queue.state()?, expected)?;
        same("flags before", queue.set_flags(O_NONBLOCK.into())?, 0)?;
        let now = State {
            flags: O_NONBLOCK.into(),
            ..expected
        };
        same("only the flags change", queue.state()?, now)?;
        fails("other flags", queue.set_flags(O_RDWR.into()), EINVAL)?;
        same(
            "another description",
            Queue::open(name, O_RDONLY, None)?.state()?,
            expected,
        )?;
        for (messages, size) in [(0, 1), (1, 0), (-1, 1), (1, -1)] {
            let shape = Some(Shape { messages, size });
            fails("no shape", Queue::open("/ipccheck-bad", NEW, shape), EINVAL)?;
        }
        let usual = Queue::open("/ipccheck-usual", NEW, None)?;
        mq::unlink("/ipccheck-usual")?;
        let shape = Shape {
            messages: 10,
            size: 8192,
        };
        same("without attributes", usual.state()?.shape, shape)
    })
}

fn priorities() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        for (text, priority) in [("a1", 1), ("b32767", 32767), ("c1", 1), ("d0", 0)] {
            queue.send(text.as_bytes(), priority)?;
        }
        fails("too urgent", queue.send(b"x", 32768), EINVAL)?;
        let mut order = Vec::new();
        for _ in 0..4 {
            let mut bytes = [0; 16];
            let (priority, length) = queue.receive(&mut bytes)?;
            order.push(format!(
                "{}/{priority}",
                String::from_utf8_lossy(&bytes[..length])
            ));
        }
        same(
            "order",
            order.join(" "),
            "b32767/32767 a1/1 c1/1 d0/0".into(),
        )
    })
}

fn sizes() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        fails("too large", queue.send(&[0; 17], 0), EMSGSIZE)?;
        fails("far too large", queue.send(&[0; 300], 0), EMSGSIZE)?;
        fails("huge", queue.send(&vec![0; 1 << 20], 0), EMSGSIZE)?;
        queue.send(b"", 0)?;
        fails("small buffer", queue.receive(&mut [0; 15]), EMSGSIZE)?;
        same("empty message", queue.receive(&mut [0; 16])?, (0, 0))
    })?;
    let large = Shape {
        messages: 10,
        size: 8192,
    };
    with_queue(large, |_, queue| {
        for round in 0..10u8 {
            let length = [8192, 257, 256, 4097][usize::from(round) % 4];
            queue.send(&vec![round; length], 0)?;
        }
        for round in 0..10u8 {
            let length = [8192, 257, 256, 4097][usize::from(round) % 4];
            let mut bytes = vec![0xff; 8192];
            same("bytes", queue.receive(&mut bytes)?, (0, length))?;
            let whole = bytes[..length].iter().all(|&byte| byte == round);
            same("content", whole, true)?;
        }
        Ok(())
    })
}

fn full_and_empty() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        queue.set_flags(O_NONBLOCK.into())?;
        fails("empty", queue.receive(&mut [0; 16]), EAGAIN)?;
        for _ in 0..4 {
            queue.send(b"x", 0)?;
        }
        fails("full", queue.send(b"x", 0), EAGAIN)?;
        queue.receive(&mut [0; 16])?;
        Ok(queue.send(b"x", 0)?)
    })
}

fn timeouts() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        let mut bytes = [0; 16];
        let receive = |bytes: &mut [u8], until| queue.receive_until(bytes, until);
        fails("past", receive(&mut bytes, Timeout::Past), ETIMEDOUT)?;
        fails("soon", receive(&mut bytes, SOON), ETIMEDOUT)?;
        fails("no time", receive(&mut bytes, Timeout::Nonsense), EINVAL)?;
        for _ in 0..4 {
            queue.send_until(b"x", 0, Timeout::Past)?;
        }
        fails(
            "full, past",
            queue.send_until(b"x", 0, Timeout::Past),
            ETIMEDOUT,
        )?;
        fails("full, soon", queue.send_until(b"x", 0, SOON), ETIMEDOUT)?;
        fails(
            "full, no time",
            queue.send_until(b"x", 0, Timeout::Nonsense),
            EINVAL,
        )?;
        same(
            "a message is there",
            receive(&mut bytes, Timeout::Past)?,
            (0, 1),
        )?;
        queue.set_flags(O_NONBLOCK.into())?;
        queue.send(b"x", 0)?;
        fails("does not wait", queue.send_until(b"x", 0, LATE), EAGAIN)
    })
}

fn access() -> Result<(), Wrong> {
    with_queue(SMALL, |name, _| {
        let (reads, writes) = (
            Queue::open(name, O_RDONLY, None)?,
            Queue::open(name, O_WRONLY, None)?,
        );
        fails("reads only", reads.send(b"x", 0), EBADF)?;
        fails("writes only", writes.receive(&mut [0; 16]), EBADF)?;
        writes.send(b"x", 0)?;
        same("text", text(&reads)?, "x".into())?;
        let (read, _write) = crate::sys::fd::pipe()?;
        let pipe = std::mem::ManuallyDrop::new(Queue(std::os::fd::AsRawFd::as_raw_fd(&read)));
        fails("a pipe", pipe.send(b"x", 0), EBADF)?;
        fails("a pipe's state", pipe.state(), EBADF)?;
        let none = std::mem::ManuallyDrop::new(Queue(-1));
        fails("no descriptor", none.send(b"x", 0), EBADF)
    })
}

fn permissions() -> Result<(), Wrong> {
    let name = format!("/ipccheck-mode-{}", std::process::id());
    let queue = Queue::open_with(&name, NEW, 0o640, None)?;
    let as_other = |flags| {
        errno_in_child(|| {
            crate::sys::memory::become_user(4711)?;
            Queue::open(&name, flags, None).map(drop)
        })
    };
    let read = as_other(O_RDONLY);
    let remove = errno_in_child(|| {
        crate::sys::memory::become_user(4711)?;
        mq::unlink(&name)
    });
    mq::unlink(&name)?;
    drop(queue);
    same("another user", read?, EACCES)?;
    let removed = remove?;
    same(
        "refused to remove",
        removed == EACCES || removed == libc::EPERM,
        true,
    )
}

fn unlinked() -> Result<(), Wrong> {
    with_queue(SMALL, |name, queue| {
        mq::unlink(name)?;
        let second = Queue::open(name, NEW | O_EXCL, Some(SMALL))?;
        queue.send(b"old", 0)?;
        second.send(b"new", 0)?;
        same("the first", text(queue)?, "old".into())?;
        same("the second", text(&second)?, "new".into())
    })
}

fn waits_to_receive() -> Result<(), Wrong> {
    let shape = Shape {
        messages: 4,
        size: 4096,
    };
    with_queue(shape, |_, queue| {
        for length in [5, 4000] {
            let child = start(|| {
                let mut bytes = [0; 4096];
                let (priority, got) = queue.receive(&mut bytes)?;
                let right = got == length && priority == 7 && bytes[..got].iter().all(|&b| b == 3);
                right.then_some(()).ok_or(io::Error::from_raw_os_error(254))
            })?;
            queue.send(&vec![3; length], 7)?;
            same("the child", reap(child)?, Change::Exited(0))?;
        }
        Ok(())
    })
}

fn waits_to_send() -> Result<(), Wrong> {
    let shape = Shape {
        messages: 1,
        size: 4096,
    };
    with_queue(shape, |_, queue| {
        for length in [5, 4000] {
            queue.send(b"first", 0)?;
            let child = start(|| queue.send(&vec![9; length], 1))?;
            let mut bytes = [0; 4096];
            let mut got = [queue.receive(&mut bytes)?.1, queue.receive(&mut bytes)?.1];
            got.sort_unstable();
            same("both", got, [5, length])?;
            same("the child", reap(child)?, Change::Exited(0))?;
        }
        Ok(())
    })
}

fn interrupted() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        signal::catch(SIGALRM)?;
        alarm_every(Duration::from_millis(5))?;
        let received = queue.receive(&mut [0; 16]);
        let timed = queue.receive_until(&mut [0; 16], LATE);
        for _ in 0..4 {
            // May be interrupted too, but does not wait.
            while queue.send(b"x", 0).is_err() {}
        }
        let sent = queue.send(b"x", 0);
        alarm_every(Duration::ZERO)?;
        fails("receiving", received, EINTR)?;
        fails("receiving for a time", timed, EINTR)?;
        fails("sending", sent, EINTR)?;
        same("messages", queue.state()?.now, 4)
    })
}

/// A receiver and a sender that are killed while they wait take nothing, and leave nothing.
fn killed() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        let child = start(|| queue.receive(&mut [0; 16]).map(drop))?;
        kill(child, SIGKILL)?;
        same("the receiver", reap(child)?, Change::Killed(SIGKILL))?;
        for text in ["a", "b", "c", "d"] {
            queue.send(text.as_bytes(), 0)?;
        }
        let child = start(|| queue.send(b"late", 9))?;
        kill(child, SIGKILL)?;
        same("the sender", reap(child)?, Change::Killed(SIGKILL))?;
        let mut all = String::new();
        for _ in 0..4 {
            all += &text(queue)?;
        }
        same("messages", all, "abcd".into())?;
        same("left", queue.state()?.now, 0)
    })
}

fn fork_shares() -> Result<(), Wrong> {
    with_queue(SMALL, |_, queue| {
        let child = start(|| queue.set_flags(O_NONBLOCK.into()).map(drop))?;
        same("the child", reap(child)?, Change::Exited(0))?;
        fails("does not wait", queue.receive(&mut [0; 16]), EAGAIN)
    })
}

/// What a new queue would be refused for does not matter for one that is there.
fn existing() -> Result<(), Wrong> {
    with_queue(SMALL, |name, _| {
        for (messages, size) in [(0, 1), (1, 0), (-1, 1), (1, -1), (1 << 40, 1 << 40)] {
            let shape = Some(Shape { messages, size });
            same(
                "shape",
                Queue::open(name, NEW, shape)?.state()?.shape,
                SMALL,
            )?;
            fails("new", Queue::open(name, NEW | O_EXCL, shape), EEXIST)?;
        }
        Ok(())
    })
}

/// Who sends a large message gets in line like everybody: with others that never leave the queue any room, it gets its turn.
fn large_in_line() -> Result<(), Wrong> {
    const ENOUGH: usize = 20_000;
    let shape = Shape {
        messages: 1,
        size: 4096,
    };
    with_queue(shape, |_, queue| {
        queue.send(b"full", 0)?;
        let mut small = Vec::new();
        for _ in 0..3 {
            small.push(start(|| {
                loop {
                    queue.send(b"small", 0)?;
                }
            })?);
        }
        let large = start(|| queue.send(&[9; 4000], 0))?;
        let mut bytes = [0; 4096];
        let mut turns = 0;
        while turns < ENOUGH && queue.receive(&mut bytes)?.1 != 4000 {
            turns += 1;
        }
        for &child in &small {
            kill(child, SIGKILL)?;
        }
        if turns == ENOUGH {
            kill(large, SIGKILL)?;
        }
        let mut ended = Vec::new();
        for _ in 0..=small.len() {
            ended.extend(wait(Patience::Block)?);
        }
        let sent = ended.contains(&(large, Change::Exited(0)));
        same("the large one is sent", sent, true)
    })
}

/// A receiver that ends before it could fetch its message leaves it to others. Where it needs memory to fetch it, it gets
/// none; where it does not, it gets the message.
fn not_fetched() -> Result<(), Wrong> {
    let shape = Shape {
        messages: 2,
        size: 4096,
    };
    with_queue(shape, |_, queue| {
        for waits in [false, true] {
            let receiver = || {
                start(|| {
                    set_limit(Limit::Space, 1)?;
                    queue.receive(&mut [0; 4096]).map(drop)
                })
            };
            let early = (!waits).then(|| queue.send(&[5; 4000], 3));
            let child = receiver()?;
            early.unwrap_or_else(|| queue.send(&[5; 4000], 3))?;
            if reap(child)? != Change::Exited(ENOMEM) {
                continue;
            }
            let mut bytes = [0; 4096];
            let until = Timeout::In(Duration::from_secs(60));
            same(
                "the message",
                queue.receive_until(&mut bytes, until)?,
                (3, 4000),
            )?;
            same("its bytes", bytes[..4000] == [5; 4000], true)?;
        }
        Ok(())
    })
}
