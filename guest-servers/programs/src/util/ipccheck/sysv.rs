//! System V message queues and semaphores.

use std::io;
use std::time::Duration;

use crate::sys::lock::alarm_every;
use crate::sys::memory::{Limit, become_user, set_limit};
use crate::sys::process::{Change, kill, reap};
use crate::sys::signal;
use crate::sys::sysv::*;
use crate::util::lockcheck::{errno_in_child, start};
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{
    E2BIG, EACCES, EAGAIN, EEXIST, EFBIG, EIDRM, EINTR, EINVAL, ENOENT, ENOMEM, ENOMSG, EPERM,
    ERANGE, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_PRIVATE,
    IPC_RMID, MSG_NOERROR, SEM_UNDO, SETVAL, SIGALRM, SIGKILL,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("msg.keys", queue_keys),
    ("msg.types", types),
    ("msg.sizes", sizes),
    ("msg.waits", queue_waits),
    ("msg.removed", queue_removed),
    ("msg.state", queue_state_is),
    ("msg.permissions", queue_permissions),
    ("msg.not_fetched", not_fetched),
    ("sem.keys", set_keys),
    ("sem.operations", operations),
    ("sem.waits", set_waits),
    ("sem.times_out", times_out),
    ("sem.undo", undo),
    ("sem.removed", set_removed),
    ("sem.values", all_values),
    ("sem.named", named),
];

fn key() -> i32 {
    0x4650_0000 | (std::process::id() as i32 & 0xffff)
}

/// Does a check with a queue that is removed afterwards.
fn with_queue(check: impl FnOnce(i32) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let id = queue(IPC_PRIVATE, 0o600)?;
    let result = check(id);
    let _ = remove_queue(id);
    result
}

fn with_set(count: i32, check: impl FnOnce(i32) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let id = set(IPC_PRIVATE, count, 0o600)?;
    let result = check(id);
    let _ = control(id, 0, IPC_RMID, 0);
    result
}

fn queue_keys() -> Result<(), Wrong> {
    fails("no such", queue(key(), 0), ENOENT)?;
    let id = queue(key(), IPC_CREAT | IPC_EXCL | 0o600)?;
    same("the same", queue(key(), IPC_CREAT | 0o600)?, id)?;
    fails("a second", queue(key(), IPC_CREAT | IPC_EXCL), EEXIST)?;
    remove_queue(id)?;
    fails("removed", queue(key(), 0), ENOENT)?;
    fails("removed", send(id, 1, b"x", 0), EINVAL)
}

fn types() -> Result<(), Wrong> {
    with_queue(|id| {
        for (kind, text) in [(3, "c"), (1, "a"), (2, "b"), (1, "d"), (9, "e")] {
            send(id, kind, text.as_bytes(), 0)?;
        }
        fails("no type", send(id, 0, b"x", 0), EINVAL)?;
        let take = |kind| receive(id, 9, kind, IPC_NOWAIT).map(|got| got.1);
        same("its type", take(2)?, b"b".to_vec())?;
        same("lowest up to 3", take(-3)?, b"a".to_vec())?;
        fails("none of it", take(7), ENOMSG)?;
        same("the first", take(0)?, b"c".to_vec())?;
        same("lowest up to 8", receive(id, 9, -8, 0)?, (1, b"d".to_vec()))?;
        fails("none so low", take(-8), ENOMSG)?;
        same("the last", take(0)?, b"e".to_vec())
    })
}

fn sizes() -> Result<(), Wrong> {
    with_queue(|id| {
        fails("too large", send(id, 1, &[0; 8193], IPC_NOWAIT), EINVAL)?;
        send(id, 1, &[7; 8192], 0)?;
        send(id, 2, b"", 0)?;
        fails("little room", receive(id, 100, 1, 0), E2BIG)?;
        same("cut", receive(id, 100, 1, MSG_NOERROR)?, (1, vec![7; 100]))?;
        same("empty", receive(id, 0, 0, 0)?, (2, vec![]))?;
        send(id, 1, &[1; 8192], 0)?;
        send(id, 1, &[2; 8000], 0)?;
        fails("full", send(id, 1, &[3; 500], IPC_NOWAIT), EAGAIN)?;
        same("whole", receive(id, 8192, 0, 0)?.1 == [1; 8192], true)
    })
}

fn queue_waits() -> Result<(), Wrong> {
    with_queue(|id| {
        for length in [3, 5000] {
            let child = start(|| {
                let (kind, bytes) = receive(id, 8192, 5, 0)?;
                (kind == 5 && bytes == vec![9; length])
                    .then_some(())
                    .ok_or(io::Error::from_raw_os_error(254))
            })?;
            send(id, 4, b"not for it", 0)?;
            send(id, 5, &vec![9; length], 0)?;
            same("the child", reap(child)?, Change::Exited(0))?;
            receive(id, 99, 4, IPC_NOWAIT)?;
        }
        let child = start(|| (0..40).try_for_each(|_| send(id, 1, &[4; 1000], 0)))?;
        for _ in 0..40 {
            same("all", receive(id, 1000, 0, 0)?.1.len(), 1000)?;
        }
        same("the sender", reap(child)?, Change::Exited(0))?;
        let child = start(|| receive(id, 9, 0, 0).map(drop))?;
        kill(child, SIGKILL)?;
        reap(child)?;
        send(id, 1, b"kept", 0)?;
        same("kept", receive(id, 9, 0, 0)?.1, b"kept".to_vec())?;
        signal::catch(SIGALRM)?;
        alarm_every(Duration::from_millis(5))?;
        let interrupted = receive(id, 9, 0, 0);
        alarm_every(Duration::ZERO)?;
        fails("interrupted", interrupted, EINTR)
    })
}

fn queue_removed() -> Result<(), Wrong> {
    let id = queue(IPC_PRIVATE, 0o600)?;
    let child = start(|| match receive(id, 9, 0, 0) {
        // It came after the removal.
        Err(error) if error.raw_os_error() == Some(EINVAL) => {
            Err(io::Error::from_raw_os_error(EIDRM))
        }
        other => other.map(drop),
    })?;
    remove_queue(id)?;
    same("the receiver", reap(child)?, Change::Exited(EIDRM))
}

fn queue_state_is() -> Result<(), Wrong> {
    with_queue(|id| {
        send(id, 1, b"abc", 0)?;
        send(id, 1, b"de", 0)?;
        receive(id, 9, 0, 0)?;
        let state = queue_state(id)?;
        same("messages", state.msg_qnum, 1)?;
        same("bytes", state.__msg_cbytes, 2)?;
        same("limit", state.msg_qbytes, 16384)?;
        let own = std::process::id() as i32;
        same("processes", (state.msg_lspid, state.msg_lrpid), (own, own))?;
        same("mode", state.msg_perm.mode & 0o777, 0o600)?;
        let mut smaller = state;
        smaller.msg_qbytes = 4;
        smaller.msg_perm.mode = 0o640;
        set_queue(id, smaller)?;
        fails("full", send(id, 1, b"xyz", IPC_NOWAIT), EAGAIN)?;
        same("mode", queue_state(id)?.msg_perm.mode & 0o777, 0o640)
    })
}

fn queue_permissions() -> Result<(), Wrong> {
    with_queue(|id| {
        let as_other = |what: &dyn Fn() -> io::Result<()>| {
            errno_in_child(|| {
                become_user(4711)?;
                what()
            })
        };
        same("send", as_other(&|| send(id, 1, b"x", 0))?, EACCES)?;
        same("look", as_other(&|| queue_state(id).map(drop))?, EACCES)?;
        same("remove", as_other(&|| remove_queue(id))?, EPERM)
    })
}

/// As of POSIX's queues: a receiver that ends before it could fetch its message leaves it to others.
fn not_fetched() -> Result<(), Wrong> {
    with_queue(|id| {
        for _ in 0..2 {
            let child = start(|| {
                let mut buffer = [0; 8200];
                set_limit(Limit::Space, 1)?;
                receive_into(id, &mut buffer, 5, 0).map(drop)
            })?;
            send(id, 4, b"another", 0)?;
            send(id, 5, &[7; 5000], 0)?;
            if reap(child)? == Change::Exited(ENOMEM) {
                same("the message", receive(id, 8192, 5, 0)?, (5, vec![7; 5000]))?;
            }
            same("another", receive(id, 99, 0, IPC_NOWAIT)?.0, 4)?;
        }
        Ok(())
    })
}

fn set_keys() -> Result<(), Wrong> {
    fails("no such", set(key(), 1, 0), ENOENT)?;
    fails("none", set(key(), 0, IPC_CREAT | 0o600), EINVAL)?;
    let id = set(key(), 3, IPC_CREAT | IPC_EXCL | 0o600)?;
    same("the same", set(key(), 0, 0)?, id)?;
    let more = set(key(), 4, 0);
    let second = set(key(), 3, IPC_CREAT | IPC_EXCL);
    let count = set_count(id)?;
    control(id, 0, IPC_RMID, 0)?;
    fails("more than it has", more, EINVAL)?;
    fails("a second", second, EEXIST)?;
    same("semaphores", count, 3)
}

fn operations() -> Result<(), Wrong> {
    with_set(2, |id| {
        operate(id, &[(0, 5, 0), (1, 1, 0)])?;
        let both = [(0, -1, IPC_NOWAIT), (1, -2, IPC_NOWAIT)];
        fails("not both", operate(id, &both), EAGAIN)?;
        same("neither", values(id, 2)?, vec![5, 1])?;
        operate(id, &[(0, -5, 0), (0, 0, 0), (1, -1, 0)])?;
        same("all", values(id, 2)?, vec![0, 0])?;
        fails(
            "too large",
            operate(id, &[(0, 32767, 0), (0, 1, 0)]),
            ERANGE,
        )?;
        fails("no such", operate(id, &[(2, 1, 0)]), EFBIG)?;
        fails("nothing", operate(id, &[]), EINVAL)?;
        same(
            "last",
            control(id, 1, GETPID, 0)?,
            std::process::id() as i32,
        )
    })
}

fn set_waits() -> Result<(), Wrong> {
    with_set(2, |id| {
        let child = start(|| {
            operate(id, &[(0, -2, 0)])?;
            operate(id, &[(1, 0, 0)])
        })?;
        control(id, 1, SETVAL, 1)?;
        while control(id, 0, GETNCNT, 0)? != 1 {
            std::thread::yield_now();
        }
        operate(id, &[(0, 1, 0)])?;
        same("not enough", control(id, 0, GETNCNT, 0)?, 1)?;
        operate(id, &[(0, 1, 0)])?;
        while control(id, 1, GETZCNT, 0)? != 1 {
            std::thread::yield_now();
        }
        same("taken", control(id, 0, GETVAL, 0)?, 0)?;
        operate(id, &[(1, -1, 0)])?;
        same("the child", reap(child)?, Change::Exited(0))
    })
}

fn times_out() -> Result<(), Wrong> {
    with_set(1, |id| {
        fails("soon", operate_for(id, &[(0, -1, 0)], 20), EAGAIN)?;
        operate_for(id, &[(0, 1, 0)], 0)?;
        operate_for(id, &[(0, -1, 0)], 60_000)?;
        signal::catch(SIGALRM)?;
        alarm_every(Duration::from_millis(5))?;
        let interrupted = operate(id, &[(0, -1, 0)]);
        alarm_every(Duration::ZERO)?;
        fails("interrupted", interrupted, EINTR)
    })
}

/// What a process did goes with it, however it ends.
fn undo() -> Result<(), Wrong> {
    with_set(1, |id| {
        control(id, 0, SETVAL, 2)?;
        let child = start(|| {
            operate(id, &[(0, -1, SEM_UNDO)])?;
            operate(id, &[(0, -1, SEM_UNDO)])?;
            operate(id, &[(0, -1, 0)])
        })?;
        while control(id, 0, GETNCNT, 0)? != 1 {
            std::thread::yield_now();
        }
        same("taken", control(id, 0, GETVAL, 0)?, 0)?;
        kill(child, SIGKILL)?;
        same("killed", reap(child)?, Change::Killed(SIGKILL))?;
        operate_for(id, &[(0, -2, 0)], 60_000)?;
        let child = start(|| operate(id, &[(0, 3, SEM_UNDO)]))?;
        same("ended", reap(child)?, Change::Exited(0))?;
        while control(id, 0, GETVAL, 0)? != 0 {
            std::thread::yield_now();
        }
        Ok(())
    })
}

fn set_removed() -> Result<(), Wrong> {
    let id = set(IPC_PRIVATE, 1, 0o600)?;
    let child = start(|| operate(id, &[(0, -1, 0)]))?;
    while control(id, 0, GETNCNT, 0)? != 1 {
        std::thread::yield_now();
    }
    control(id, 0, IPC_RMID, 0)?;
    same("who waited", reap(child)?, Change::Exited(EIDRM))?;
    fails("removed", operate(id, &[(0, 1, 0)]), EINVAL)
}

fn all_values() -> Result<(), Wrong> {
    with_set(300, |id| {
        let new: Vec<u16> = (0..300).collect();
        set_values(id, &new)?;
        same("all", values(id, 300)?, new)?;
        let mut large = vec![0; 300];
        large[7] = 40_000;
        fails("too large", set_values(id, &large), ERANGE)?;
        fails("too large", control(id, 0, SETVAL, 32768), ERANGE)?;
        fails("negative", control(id, 0, SETVAL, -1), ERANGE)?;
        fails("no such", control(id, 300, GETVAL, 0), EINVAL)
    })
}

/// POSIX's named semaphores, which the C library makes of files and futexes.
fn named() -> Result<(), Wrong> {
    use crate::sys::semaphore::{Semaphore, unlink};
    let name = format!("/ipccheck-{}", std::process::id());
    let semaphore = Semaphore::create(&name, 1)?;
    fails("a second", Semaphore::create(&name, 1), EEXIST)?;
    same("value", semaphore.value()?, 1)?;
    semaphore.wait()?;
    fails("taken", semaphore.try_wait(), EAGAIN)?;
    let child = start(|| {
        let own = Semaphore::open(&name)?;
        own.post()
    })?;
    semaphore.wait()?;
    same("the child", reap(child)?, Change::Exited(0))?;
    unlink(&name)?;
    fails("gone", Semaphore::open(&name), ENOENT)
}
