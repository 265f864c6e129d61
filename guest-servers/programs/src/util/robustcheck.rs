//! `robustcheck [NAME]...`: what POSIX and Linux say of robust locks whose owner ends, in whichever way. It runs on Linux
//! too, where every check must hold as well.

use std::ffi::OsStr;
use std::io;
use std::sync::atomic::Ordering::SeqCst;

use super::memcheck::{Check, Wrong, checks, same};
use crate::cx::{Cx, Outcome};
use crate::sys::memory::{self, PAGE, in_child, poke};
use crate::sys::process::{self, Change, Fork, Patience, Pid};
use crate::sys::robust::{Mutex, set_list, shared_memory, thread_id, until, wait, wide_word, word};
use libc::{EBUSY, EOWNERDEAD, SIGKILL, SIGSEGV};

const GROUPS: &[&[(&str, Check)]] = &[&[
    ("mutex.thread", thread),
    ("mutex.exit", exit),
    ("mutex.killed", killed),
    ("mutex.fault", fault),
    ("mutex.other_thread", other_thread),
    ("mutex.exec", exec),
    ("mutex.exec_thread", exec_thread),
    ("list.waiter", waiter),
    ("list.pending", pending),
    ("list.unlocking", unlocking),
    ("list.foreign", foreign),
    ("list.long", long),
    ("list.ring", ring),
    ("list.wrong", wrong),
]];

/// `robustcheck [NAME]...`: the checks whose names begin so; all without a name.
pub fn run(cx: &mut Cx) -> Outcome {
    checks(cx, GROUPS)
}

/// The lock's next owner learns what became of the last one, and can go on.
fn is_inherited(mutex: Mutex) -> Result<(), Wrong> {
    same("lock", mutex.lock(), EOWNERDEAD)?;
    same("consistent", mutex.make_consistent(), 0)?;
    same("unlock", mutex.unlock(), 0)?;
    same("again", mutex.lock(), 0)?;
    same("and again", mutex.unlock(), 0)
}

fn start(body: impl FnOnce() -> i32) -> io::Result<Pid> {
    match process::fork()? {
        Fork::Child => process::exit(body()),
        Fork::Parent(pid) => Ok(pid),
    }
}

/// A child, which has told by the function that it is given how far it is.
fn told(body: impl FnOnce(&dyn Fn()) -> i32) -> Result<Pid, Wrong> {
    let mark = shared_memory(1)?;
    let pid = start(|| body(&|| word(mark).store(1, SeqCst)))?;
    until(mark, |value| value != 0);
    Ok(pid)
}

fn kill(pid: Pid) -> Result<(), Wrong> {
    process::kill(pid, SIGKILL)?;
    same("the child", process::reap(pid)?, Change::Killed(SIGKILL))
}

/// Never returns.
fn sleep() -> ! {
    loop {
        std::thread::park();
    }
}

/// A child that has the lock, and waits for its end.
fn holder(mutex: Mutex) -> Result<Pid, Wrong> {
    let pid = told(|has| {
        mutex.lock();
        has();
        sleep()
    })?;
    same("it is locked", mutex.try_lock(), EBUSY)?;
    Ok(pid)
}

fn thread() -> Result<(), Wrong> {
    let mutex = Mutex::new()?;
    let ended = std::thread::spawn(move || mutex.lock()).join();
    same("the thread", ended.unwrap_or(-1), 0)?;
    is_inherited(mutex)
}

fn exit() -> Result<(), Wrong> {
    let mutex = Mutex::new()?;
    same("the child", in_child(|| mutex.lock())?, Change::Exited(0))?;
    is_inherited(mutex)
}

fn killed() -> Result<(), Wrong> {
    let mutex = Mutex::new()?;
    kill(holder(mutex)?)?;
    is_inherited(mutex)
}

fn fault() -> Result<(), Wrong> {
    let (mutex, nowhere) = (Mutex::new()?, memory::fresh(1)?);
    memory::protect(nowhere, PAGE, 0)?;
    let ended = in_child(|| {
        mutex.lock();
        poke(nowhere, 1);
        0
    })?;
    same("the child", ended, Change::Killed(SIGSEGV))?;
    is_inherited(mutex)
}

/// A thread that has the lock when another one does something to the process.
fn beside(mutex: Mutex, then: impl FnOnce() -> i32) -> i32 {
    let (tell, told) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        mutex.lock();
        let _ = tell.send(());
        sleep()
    });
    let _ = told.recv();
    let status = then();
    drop(other);
    status
}

fn other_thread() -> Result<(), Wrong> {
    let mutex = Mutex::new()?;
    let ended = in_child(|| beside(mutex, || 0))?;
    same("the child", ended, Change::Exited(0))?;
    is_inherited(mutex)?;
    kill(told(|has| {
        beside(mutex, || {
            has();
            sleep()
        })
    })?)?;
    is_inherited(mutex)
}

/// Becomes a program that outlives the check.
fn become_sleep() -> i32 {
    let _ = process::exec(
        OsStr::new("/bin/sleep"),
        &["sleep".into(), "1000".into()],
        &[],
    );
    1
}

/// The old program's locks do not survive it, though the process does.
fn exec() -> Result<(), Wrong> {
    let mutex = Mutex::new()?;
    let pid = told(|has| {
        mutex.lock();
        has();
        become_sleep()
    })?;
    is_inherited(mutex)?;
    kill(pid)
}

fn exec_thread() -> Result<(), Wrong> {
    let mutex = Mutex::new()?;
    let pid = told(|has| {
        beside(mutex, || {
            has();
            become_sleep()
        })
    })?;
    is_inherited(mutex)?;
    kill(pid)
}

// Lists made by hand: the head at the start of the memory, behind it entries of 16 bytes: the next one, the futex.

const ENTRY: usize = 16;
const WORD: usize = 8;
const WAITERS: u32 = 0x8000_0000;
const DIED: u32 = 0x4000_0000;

/// The address of the n-th entry, from 1 on; 0: the head.
const fn entry(list: usize, number: usize) -> usize {
    match number {
        0 => list,
        _ => list + PAGE + number * ENTRY,
    }
}

/// The n-th entry's futex.
const fn futex(list: usize, number: usize) -> usize {
    entry(list, number) + WORD
}

/// Makes the head: the first entry, and the one that is being locked or unlocked, or 0.
fn set_head(list: usize, first: usize, pending: usize) {
    for (index, value) in [first, WORD, pending].into_iter().enumerate() {
        wide_word(list + 8 * index).store(value as u64, SeqCst);
    }
}

/// A list of entries that the calling thread owns.
fn fill(list: usize, count: usize) {
    for number in 1..=count {
        let next = entry(list, (number + 1) % (count + 1));
        wide_word(entry(list, number)).store(next as u64, SeqCst);
        word(futex(list, number)).store(thread_id(), SeqCst);
    }
    set_head(list, entry(list, 1), 0);
}

fn value(list: usize, number: usize) -> u32 {
    word(futex(list, number)).load(SeqCst)
}

/// How many of the first entries tell of their owner's death.
fn died(list: usize, count: usize) -> usize {
    (1..=count)
        .filter(|&number| value(list, number) == DIED)
        .count()
}

/// A child that sets up a list in shared memory, and ends by SIGKILL.
fn with_list(pages: usize, set_up: impl FnOnce(usize)) -> Result<usize, Wrong> {
    let list = shared_memory(pages)?;
    let ended = in_child(|| {
        set_up(list);
        if set_list(list).is_err() {
            return 1;
        }
        let _ = process::kill(std::process::id() as Pid, SIGKILL);
        sleep()
    })?;
    same("the child", ended, Change::Killed(SIGKILL))?;
    Ok(list)
}

/// A process waits for a lock of another one, which is killed.
fn waiter() -> Result<(), Wrong> {
    let list = shared_memory(2)?;
    let owner = start(|| {
        fill(list, 1);
        let _ = set_list(list);
        sleep()
    })?;
    until(futex(list, 1), |value| value != 0);
    let waits = start(|| {
        let owned = word(futex(list, 1)).fetch_or(WAITERS, SeqCst) | WAITERS;
        while word(futex(list, 1)).load(SeqCst) == owned {
            wait(futex(list, 1), owned);
        }
        0
    })?;
    until(futex(list, 1), |value| value & WAITERS != 0);
    process::kill(owner, SIGKILL)?;
    // Both end, in either order.
    let mut ends = Vec::new();
    while ends.len() < 2 {
        ends.extend(process::wait(Patience::Block)?);
    }
    same(
        "the waiter",
        ends.contains(&(waits, Change::Exited(0))),
        true,
    )?;
    same("the word", value(list, 1), DIED | WAITERS)
}

/// Locked, but not in the list yet.
fn pending() -> Result<(), Wrong> {
    let list = with_list(2, |list| {
        word(futex(list, 5)).store(thread_id(), SeqCst);
        set_head(list, list, entry(list, 5));
    })?;
    same("the word", value(list, 5), DIED)
}

/// Unlocked, but the waiter is not woken yet.
fn unlocking() -> Result<(), Wrong> {
    let list = shared_memory(2)?;
    let waits = start(|| {
        word(futex(list, 2)).store(1, SeqCst);
        wait(futex(list, 1), 0);
        0
    })?;
    until(futex(list, 2), |value| value != 0);
    // It may not wait yet: so often until it has ended.
    loop {
        let owner = start(|| {
            set_head(list, list, entry(list, 1));
            let _ = set_list(list);
            0
        })?;
        let mut ended = [None, None];
        while !ended.contains(&Some((owner, Change::Exited(0)))) {
            ended.rotate_left(1);
            ended[1] = process::wait(Patience::Block)?;
        }
        let is_waiter = |(pid, _): (Pid, Change)| pid == waits;
        if ended.into_iter().flatten().any(is_waiter) || has_ended(waits)? {
            return Ok(());
        }
    }
}

fn has_ended(pid: Pid) -> io::Result<bool> {
    let change = process::wait(Patience::Poll)?;
    Ok(change.is_some_and(|(ended, _)| ended == pid))
}

/// Locks of others in the list are left alone.
fn foreign() -> Result<(), Wrong> {
    let list = with_list(2, |list| {
        fill(list, 3);
        word(futex(list, 2)).store(1 | WAITERS, SeqCst);
    })?;
    let values = [1, 2, 3].map(|number| value(list, number));
    same("the words", values, [DIED, 1 | WAITERS, DIED])
}

/// No more than so many entries are looked at.
fn long() -> Result<(), Wrong> {
    let list = with_list(14, |list| fill(list, 3000))?;
    same("told", died(list, 3000), 2048)?;
    same("the last one told", value(list, 2048), DIED)
}

/// A list without an end.
fn ring() -> Result<(), Wrong> {
    let list = with_list(2, |list| {
        fill(list, 3);
        wide_word(entry(list, 3)).store(entry(list, 1) as u64, SeqCst);
    })?;
    same("told", died(list, 3), 3)
}

/// What cannot be read, or is no address at all, ends the walk and nothing else.
fn wrong() -> Result<(), Wrong> {
    for place in [8, usize::MAX & !7, 0xffff_8000_0000_0000, 0x7fff_ffff_fff8] {
        let head = in_child(|| i32::from(set_list(place).is_err()))?;
        same("a head", head, Change::Exited(0))?;
        let list = with_list(2, |list| {
            fill(list, 3);
            wide_word(entry(list, 2)).store(place as u64, SeqCst);
        })?;
        same("an entry", (value(list, 1), value(list, 2)), (DIED, DIED))?;
        same("no more", died(list, 3), 2)?;
    }
    let list = with_list(2, |list| {
        fill(list, 3);
        wide_word(list + 8).store(9, SeqCst);
    })?;
    same("a distance", died(list, 3), 0)?;
    let list = with_list(2, |list| {
        fill(list, 3);
        // The list itself lies in the first page.
        let _ = memory::protect(list + PAGE, PAGE, libc::PROT_READ as usize);
    })?;
    same("read only", died(list, 3), 0)
}
