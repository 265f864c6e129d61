//! Numbers of processes, CPU time; limits of others and of those that come after.

use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::super::memcheck::{Check, Wrong, fails, same};
use super::{USER, apart};
use crate::sys::limit::{self, Limit, resource};
use crate::sys::memory::{self, in_child};
use crate::sys::process::{self, Change, Fork, Patience, Pid};
use crate::sys::signal;
use libc::{EAGAIN, EPERM, ESRCH, SIGKILL, SIGXCPU};

pub const CHECKS: &[(&str, Check)] = &[
    ("processes.number", number),
    ("processes.root", root),
    ("processes.inherit", inherit),
    ("processes.others", others),
    ("processes.others_feel_it", felt),
    ("processes.cpu", cpu),
];

/// A user whom nobody else is.
const LONER: u32 = 4321;
const PROCESSES: i32 = resource::NPROC;

/// A child that waits for its end.
fn sleeper() -> io::Result<Pid> {
    match process::fork()? {
        Fork::Child => loop {
            thread::sleep(Duration::from_secs(100));
        },
        Fork::Parent(pid) => Ok(pid),
    }
}

fn end(pid: Pid) -> io::Result<()> {
    process::kill(pid, SIGKILL)?;
    loop {
        match process::wait(Patience::Block)? {
            Some((ended, _)) if ended == pid => return Ok(()),
            _ => {}
        }
    }
}

fn number() -> Result<(), Wrong> {
    if !memory::is_root() {
        return Ok(());
    }
    apart(|| {
        limit::set(PROCESSES, Limit { soft: 3, hard: 5 })?;
        memory::become_user(LONER)?;
        let children = [sleeper()?, sleeper()?];
        fails("a fourth", sleeper(), EAGAIN)?;
        fails("a thread", thread::Builder::new().spawn(|| {}), EAGAIN)?;
        end(children[0])?;
        let third = sleeper()?;
        fails("a fourth", sleeper(), EAGAIN)?;
        limit::set_soft(PROCESSES, 4)?;
        let thread = thread::Builder::new().spawn(|| thread::sleep(Duration::from_millis(1)))?;
        thread
            .join()
            .map_err(|_| io::Error::other("a thread panicked"))?;
        // A joined thread may have a few steps to its end, here as on Linux.
        while threads()? > 1 {
            thread::yield_now();
        }
        let fourth = sleeper()?;
        fails("a fifth", sleeper(), EAGAIN)?;
        for child in [children[1], third, fourth] {
            end(child)?;
        }
        Ok(())
    })
}

/// Threads of this process, as the kernel counts them.
fn threads() -> Result<u64, Wrong> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let count = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    let count = count.and_then(|count| count.trim().parse().ok());
    count.ok_or_else(|| io::Error::other("/proc/self/status has no Threads").into())
}

/// User 0 is not bound.
fn root() -> Result<(), Wrong> {
    if !memory::is_root() {
        return Ok(());
    }
    apart(|| {
        limit::set_soft(PROCESSES, 1)?;
        Ok(end(sleeper()?)?)
    })
}

fn inherit() -> Result<(), Wrong> {
    apart(|| {
        let data = Limit {
            soft: 40 << 20,
            hard: 50 << 20,
        };
        limit::set(resource::DATA, data)?;
        let same_there = in_child(|| i32::from(limit::get(resource::DATA).ok() != Some(data)))?;
        same("by fork", same_there, Change::Exited(0))?;
        limit::set_soft(resource::NOFILE, 77)?;
        let script =
            "test $(ulimit -n) = 77 && test $(ulimit -d) = 40960 && test $(ulimit -Hd) = 51200";
        let status = Command::new("sh").args(["-c", script]).status()?;
        same("by exec", status.success(), true)
    })
}

fn others() -> Result<(), Wrong> {
    let child = sleeper()?;
    let files = resource::NOFILE;
    let own = limit::get(files)?;
    let result = (|| {
        same("as here", limit::exchange(child, files, None)?, own)?;
        let new = Limit { soft: 9, ..own };
        same(
            "the old one",
            limit::exchange(child, files, Some(new))?,
            own,
        )?;
        same("the new one", limit::exchange(child, files, None)?, new)?;
        same("not here", limit::get(files)?, own)?;
        fails("nobody", limit::exchange(999_999, files, None), ESRCH)?;
        if !memory::is_root() {
            return Ok(());
        }
        apart(|| {
            memory::become_user(USER)?;
            let strange = limit::exchange(child, files, None);
            fails("of another user", strange, EPERM)?;
            fails("to set", limit::exchange(child, files, Some(new)), EPERM)
        })
    })();
    end(child)?;
    result
}

/// A limit that another process sets holds at once.
fn felt() -> Result<(), Wrong> {
    let [told, tell] = memory::pipe()?;
    let [heard, ready] = memory::pipe()?;
    let child = match process::fork()? {
        Fork::Child => {
            let opened = || std::fs::File::open("/dev/null");
            let before = opened().is_ok();
            let asked = memory::append(ready, &[1]).and_then(|()| memory::read(told, &mut [0]));
            process::exit(i32::from(!before || asked.is_err() || opened().is_ok()));
        }
        Fork::Parent(pid) => pid,
    };
    let files = resource::NOFILE;
    memory::read(heard, &mut [0])?;
    let old = limit::exchange(child, files, None)?;
    limit::exchange(child, files, Some(Limit { soft: 3, ..old }))?;
    memory::append(tell, &[1])?;
    let ended = process::wait(Patience::Block)?;
    for end in [told, tell, heard, ready] {
        memory::close(end)?;
    }
    same("the child", ended, Some((child, Change::Exited(0))))
}

fn spin_until(end: impl Fn() -> bool) {
    while !end() {
        std::hint::black_box(0);
    }
}

fn cpu() -> Result<(), Wrong> {
    let begin = Instant::now();
    let ended = in_child(|| {
        let limits = Limit { soft: 1, hard: 2 };
        let ready = signal::catch(SIGXCPU).and_then(|()| limit::set(resource::CPU, limits));
        if ready.is_err() {
            return 1;
        }
        spin_until(|| signal::arrived(SIGXCPU));
        spin_until(|| false);
        0
    })?;
    same("beyond the hard limit", ended, Change::Killed(SIGKILL))?;
    same("in vain", begin.elapsed() >= Duration::from_secs(2), true)?;
    let ended = in_child(|| {
        signal::restore_default(SIGXCPU);
        let _ = limit::set_soft(resource::CPU, 1);
        spin_until(|| false);
        0
    })?;
    same("beyond the soft limit", ended, Change::Killed(SIGXCPU))
}
