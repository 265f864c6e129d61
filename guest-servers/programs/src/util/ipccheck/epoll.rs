//! Counters (`eventfd`) and lists of descriptors to wait for (`epoll`).

use std::os::fd::AsRawFd;

use super::interrupted;
use crate::sys::process::{self, Change, Patience, reap};
use crate::sys::socket::*;
use crate::util::lockcheck::start;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{
    EAGAIN, EBADF, EEXIST, EFD_NONBLOCK, EFD_SEMAPHORE, EINVAL, ELOOP, ENOENT, EPERM,
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT,
    EPOLLOUT, POLLIN, POLLOUT, SOCK_STREAM,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("event.counts", counts),
    ("event.semaphore", semaphore),
    ("event.waits", waits),
    ("event.patient_write", patient_write),
    ("epoll.level", level),
    ("epoll.edge", edge),
    ("epoll.edge_of_counter", edge_of_counter),
    ("epoll.one_shot", one_shot),
    ("epoll.changes", changes),
    ("epoll.errors", errors),
    ("epoll.closed", closed),
    ("epoll.nested", nested),
    ("epoll.pipes", pipes),
    ("epoll.added_while_waiting", added_while_waiting),
    ("epoll.closed_while_waiting", closed_while_waiting),
    ("epoll.child", child_writes),
    ("epoll.many", many),
];

const IN: u32 = EPOLLIN as u32;
const OUT: u32 = EPOLLOUT as u32;
const EDGE: u32 = EPOLLET as u32;
const ONCE: u32 = EPOLLONESHOT as u32;

fn add(fd: &Fd, value: u64) -> Result<(), Wrong> {
    write(fd, &value.to_le_bytes())?;
    Ok(())
}

fn take(fd: &Fd) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    read(fd, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn counts() -> Result<(), Wrong> {
    let counter = counter(3, EFD_NONBLOCK)?;
    add(&counter, 4)?;
    same(
        "readiness",
        poll(&counter, POLLIN | POLLOUT, 0)?,
        POLLIN | POLLOUT,
    )?;
    same("all", take(&counter)?, 7)?;
    fails("nothing", take(&counter), EAGAIN)?;
    same("readiness", poll(&counter, POLLIN | POLLOUT, 0)?, POLLOUT)?;
    fails("short", read(&counter, &mut [0; 4]), EINVAL)?;
    fails("short", write(&counter, &[0; 4]), EINVAL)?;
    fails("too much", write(&counter, &u64::MAX.to_le_bytes()), EINVAL)?;
    match write(&counter, &[1; 16]) {
        // Linux since 6.10.
        Err(error) if error.raw_os_error() == Some(EINVAL) => {}
        written => {
            same("of two numbers", written?, 8)?;
            same("the first", take(&counter)?, u64::from_le_bytes([1; 8]))?;
        }
    }
    add(&counter, u64::MAX - 1)?;
    fails("full", write(&counter, &1u64.to_le_bytes()), EAGAIN)?;
    same("readiness", poll(&counter, POLLIN | POLLOUT, 0)?, POLLIN)
}

fn semaphore() -> Result<(), Wrong> {
    let counter = counter(2, EFD_NONBLOCK | EFD_SEMAPHORE)?;
    same("one", take(&counter)?, 1)?;
    same("another", take(&counter)?, 1)?;
    fails("nothing", take(&counter), EAGAIN)
}

fn waits() -> Result<(), Wrong> {
    let (up, down) = (counter(0, 0)?, counter(0, 0)?);
    let child = start(|| {
        for _ in 0..20 {
            let value = take(&up)?;
            write(&down, &value.to_le_bytes())?;
        }
        Ok(())
    })?;
    for value in 1..=20 {
        add(&up, value)?;
        same("back", take(&down)?, value)?;
    }
    same("the child", reap(child)?, Change::Exited(0))
}

/// Who writes more than there is room for waits, and `poll` speaks of the least number.
fn patient_write() -> Result<(), Wrong> {
    const MUCH: u64 = u64::MAX - 1;
    let counter = counter(5, 0)?;
    interrupted(|| write(&counter, &MUCH.to_le_bytes()).map(drop))?;
    same("one has room", poll(&counter, POLLOUT, 0)?, POLLOUT)?;
    for _ in 0..5 {
        let writers = [MUCH, MUCH - 5].map(|much| {
            let counter = &counter;
            start(move || write(counter, &much.to_le_bytes()).map(drop))
        });
        let ready = poll(&counter, POLLIN, 0)?;
        same("readable", ready, POLLIN)?;
        let taken = [take(&counter)?, take(&counter)?];
        let mut taken = [taken[0], taken[1], 0];
        if taken[0] != MUCH {
            taken[2] = take(&counter)?;
        }
        let sum = taken.iter().fold(0u64, |sum, more| sum.wrapping_add(*more));
        same("sum", sum, MUCH.wrapping_add(MUCH))?;
        for writer in writers {
            writer?;
            let ended = process::wait(Patience::Block)?;
            same(
                "a writer",
                ended.map(|(_, how)| how),
                Some(Change::Exited(0)),
            )?;
        }
        add(&counter, 5)?;
    }
    Ok(())
}

fn level() -> Result<(), Wrong> {
    let (list, (a, b)) = (list()?, pair(SOCK_STREAM)?);
    control(&list, EPOLL_CTL_ADD, a.as_raw_fd(), IN | OUT, 1)?;
    control(&list, EPOLL_CTL_ADD, b.as_raw_fd(), IN, 2)?;
    same("writable", wait(&list, 8, 0)?, vec![(OUT, 1)])?;
    write(&a, b"xy")?;
    for _ in 0..2 {
        let mut ready = wait(&list, 8, 0)?;
        ready.sort_unstable();
        same("both", ready, vec![(IN, 2), (OUT, 1)])?;
    }
    read(&b, &mut [0; 8])?;
    same("read", wait(&list, 8, 0)?, vec![(OUT, 1)])?;
    drop(b);
    let hung_up = wait(&list, 8, 0)?;
    same("hung up", hung_up[0].0 & EPOLLHUP as u32, EPOLLHUP as u32)
}

fn edge() -> Result<(), Wrong> {
    let (list, (a, b)) = (list()?, pair(SOCK_STREAM)?);
    write(&a, b"1")?;
    control(&list, EPOLL_CTL_ADD, b.as_raw_fd(), IN | EDGE, 7)?;
    same("what is there", wait(&list, 8, 0)?, vec![(IN, 7)])?;
    same("is told once", wait(&list, 8, 0)?, vec![])?;
    write(&a, b"2")?;
    same("more", wait(&list, 8, 0)?, vec![(IN, 7)])?;
    same("is told once", wait(&list, 8, 10)?, vec![])?;
    read(&b, &mut [0; 1])?;
    same("reading tells nothing", wait(&list, 8, 0)?, vec![])?;
    control(&list, EPOLL_CTL_MOD, b.as_raw_fd(), IN | EDGE, 8)?;
    same("changed", wait(&list, 8, 0)?, vec![(IN, 8)])
}

fn edge_of_counter() -> Result<(), Wrong> {
    let (list, counter) = (list()?, counter(0, EFD_NONBLOCK)?);
    control(&list, EPOLL_CTL_ADD, counter.as_raw_fd(), IN | EDGE, 7)?;
    same("nothing", wait(&list, 8, 0)?, vec![])?;
    for _ in 0..3 {
        add(&counter, 1)?;
        same("added", wait(&list, 8, 0)?, vec![(IN, 7)])?;
        same("once", wait(&list, 8, 0)?, vec![])?;
    }
    Ok(())
}

fn one_shot() -> Result<(), Wrong> {
    let (list, counter) = (list()?, counter(1, 0)?);
    control(&list, EPOLL_CTL_ADD, counter.as_raw_fd(), IN | ONCE, 7)?;
    same("once", wait(&list, 8, 0)?, vec![(IN, 7)])?;
    same("no more", wait(&list, 8, 10)?, vec![])?;
    control(&list, EPOLL_CTL_MOD, counter.as_raw_fd(), IN | ONCE, 8)?;
    same("armed", wait(&list, 8, 0)?, vec![(IN, 8)])
}

fn changes() -> Result<(), Wrong> {
    let (list, counter) = (list()?, counter(1, 0)?);
    let fd = counter.as_raw_fd();
    control(&list, EPOLL_CTL_ADD, fd, OUT, 1)?;
    control(&list, EPOLL_CTL_MOD, fd, IN, 2)?;
    same("changed", wait(&list, 8, 0)?, vec![(IN, 2)])?;
    let copy = counter.try_clone()?;
    control(&list, EPOLL_CTL_ADD, copy.as_raw_fd(), IN, 3)?;
    same("a copy", wait(&list, 8, 0)?.len(), 2)?;
    same("at most", wait(&list, 1, 0)?.len(), 1)?;
    control(&list, EPOLL_CTL_DEL, fd, 0, 0)?;
    same("left", wait(&list, 8, 0)?, vec![(IN, 3)])
}

fn errors() -> Result<(), Wrong> {
    let (list, counter) = (list()?, counter(1, 0)?);
    let fd = counter.as_raw_fd();
    fails(
        "not there",
        control(&list, EPOLL_CTL_MOD, fd, IN, 0),
        ENOENT,
    )?;
    fails("not there", control(&list, EPOLL_CTL_DEL, fd, 0, 0), ENOENT)?;
    control(&list, EPOLL_CTL_ADD, fd, IN, 0)?;
    fails("twice", control(&list, EPOLL_CTL_ADD, fd, IN, 0), EEXIST)?;
    fails(
        "no descriptor",
        control(&list, EPOLL_CTL_ADD, 999, IN, 0),
        EBADF,
    )?;
    fails(
        "no list",
        control(&counter, EPOLL_CTL_ADD, fd, IN, 0),
        EINVAL,
    )?;
    fails(
        "itself",
        control(&list, EPOLL_CTL_ADD, list.as_raw_fd(), IN, 0),
        EINVAL,
    )?;
    let path = format!("/tmp/ipccheck-{}.file", std::process::id());
    let file = std::fs::File::create(&path)?;
    std::fs::remove_file(&path)?;
    fails(
        "a file",
        control(&list, EPOLL_CTL_ADD, file.as_raw_fd(), IN, 0),
        EPERM,
    )?;
    fails("none at most", wait(&list, 0, 0), EINVAL)?;
    fails("a read", read(&list, &mut [0; 8]), EINVAL)
}

/// An entry goes with the last descriptor of what it waits for.
fn closed() -> Result<(), Wrong> {
    let (list, counter) = (list()?, counter(1, 0)?);
    control(&list, EPOLL_CTL_ADD, counter.as_raw_fd(), IN, 7)?;
    let copy = counter.try_clone()?;
    drop(counter);
    same("a copy is left", wait(&list, 8, 0)?, vec![(IN, 7)])?;
    drop(copy);
    same("none is left", wait(&list, 8, 0)?, vec![])
}

fn nested() -> Result<(), Wrong> {
    let (inner, outer, counter) = (list()?, list()?, counter(0, 0)?);
    control(&inner, EPOLL_CTL_ADD, counter.as_raw_fd(), IN, 1)?;
    control(&outer, EPOLL_CTL_ADD, inner.as_raw_fd(), IN, 2)?;
    let around = control(&inner, EPOLL_CTL_ADD, outer.as_raw_fd(), IN, 3);
    fails("a circle", around, ELOOP)?;
    same("nothing", wait(&outer, 8, 0)?, vec![])?;
    same("nothing to poll", poll(&outer, POLLIN, 0)?, 0)?;
    let child = start(|| write(&counter, &1u64.to_le_bytes()).map(drop))?;
    same("through both", wait(&outer, 8, 60_000)?, vec![(IN, 2)])?;
    same("to poll", poll(&outer, POLLIN, 0)?, POLLIN)?;
    same("inside", wait(&inner, 8, 0)?, vec![(IN, 1)])?;
    same("the child", reap(child)?, Change::Exited(0))
}

fn pipes() -> Result<(), Wrong> {
    let (list, (read_end, write_end)) = (list()?, crate::sys::fd::pipe()?);
    control(&list, EPOLL_CTL_ADD, read_end.as_raw_fd(), IN | EDGE, 1)?;
    control(&list, EPOLL_CTL_ADD, write_end.as_raw_fd(), OUT | EDGE, 2)?;
    same("writable", wait(&list, 8, 0)?, vec![(OUT, 2)])?;
    write(&write_end, b"x")?;
    let ready = wait(&list, 8, 0)?;
    same("readable", ready.contains(&(IN, 1)), true)?;
    read(&read_end, &mut [0; 4])?;
    write(&write_end, b"y")?;
    same("again", wait(&list, 8, 0)?.contains(&(IN, 1)), true)?;
    drop(write_end);
    let hang_up = (EPOLLIN | EPOLLHUP) as u32;
    same("hung up", wait(&list, 8, 60_000)?, vec![(hang_up, 1)])
}

/// What one thread adds, another one that waits already sees.
fn added_while_waiting() -> Result<(), Wrong> {
    let (list, counter) = (list()?, counter(1, 0)?);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&list, 8, 60_000));
        control(&list, EPOLL_CTL_ADD, counter.as_raw_fd(), IN, 7)?;
        let ready = waiter.join().map_err(|_| std::io::ErrorKind::Other);
        same(
            "ready",
            ready.map_err(std::io::Error::from)??,
            vec![(IN, 7)],
        )
    })
}

/// What one thread closes, another one that waits does not see any more.
fn closed_while_waiting() -> Result<(), Wrong> {
    for _ in 0..20 {
        let (list, gone, counter) = (list()?, counter(0, 0)?, counter(0, 0)?);
        control(&list, EPOLL_CTL_ADD, gone.as_raw_fd(), IN, 1)?;
        control(&list, EPOLL_CTL_ADD, counter.as_raw_fd(), IN, 2)?;
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(&list, 8, 60_000));
            std::thread::yield_now();
            drop(gone);
            add(&counter, 1)?;
            let ready = waiter.join().map_err(|_| std::io::ErrorKind::Other);
            let ready = ready.map_err(std::io::Error::from)??;
            same("ready", ready, vec![(IN, 2)])
        })?;
    }
    Ok(())
}

fn child_writes() -> Result<(), Wrong> {
    let (list, (a, b)) = (list()?, pair(SOCK_STREAM)?);
    control(&list, EPOLL_CTL_ADD, b.as_raw_fd(), IN, 7)?;
    let child = start(|| write(&a, b"x").map(drop))?;
    same("ready", wait(&list, 8, 60_000)?, vec![(IN, 7)])?;
    same("the child", reap(child)?, Change::Exited(0))
}

/// More than fit on a small stack, by all three ways to wait.
fn many() -> Result<(), Wrong> {
    const COUNT: usize = 400;
    let list = list()?;
    let counters = (0..COUNT).map(|_| counter(0, 0));
    let counters = counters.collect::<Result<Vec<Fd>, _>>()?;
    for (at, counter) in counters.iter().enumerate() {
        control(&list, EPOLL_CTL_ADD, counter.as_raw_fd(), IN, at as u64)?;
    }
    same("none", wait(&list, 1000, 0)?.len(), 0)?;
    add(&counters[COUNT - 1], 1)?;
    let last = (IN, COUNT as u64 - 1);
    same("one", wait(&list, 1000, 60_000)?, vec![last])?;
    same("polled", poll(&list, POLLIN, 0)?, POLLIN)?;
    counters.iter().try_for_each(|counter| add(counter, 1))?;
    same("all", wait(&list, 1000, 0)?.len(), COUNT)?;
    same("at most", wait(&list, 300, 0)?.len(), 300)?;
    let ready = poll_all(&counters, POLLIN)?;
    same("poll", ready.iter().all(|&bits| bits == POLLIN), true)?;
    same("select", select_readable(&counters)?, COUNT as i32)
}
