//! Memory that goes while a call uses it: another thread unmaps a page, or takes the right to it. The call succeeds
//! in part, or fails with `EFAULT`; nobody dies.

use crate::child::{self, End};
use crate::env::{Env, rewind};
use crate::places::MOVING;
use crate::raw::{PAGE, call, words};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Calls of one race for each round asked for.
const ROUNDS: usize = 20;

static STOP: AtomicBool = AtomicBool::new(false);

/// Two pages that are there, then not the second.
fn unmap() {
    let (both, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
    );
    // SAFETY: the pages are for the race alone.
    unsafe {
        libc::mmap(MOVING as *mut _, 2 * PAGE, both, flags, -1, 0);
        pause();
        libc::munmap((MOVING + PAGE) as *mut _, PAGE);
    }
}

fn protect() {
    for prot in [
        libc::PROT_NONE,
        libc::PROT_READ,
        libc::PROT_READ | libc::PROT_WRITE,
    ] {
        // SAFETY: the pages are for the race alone.
        unsafe { libc::mprotect((MOVING + PAGE) as *mut _, PAGE, prot) };
        pause();
    }
}

fn pause() {
    (0..500).for_each(|_| std::hint::spin_loop());
}

/// The calls, with a buffer across both pages.
fn calls(env: &Env) -> Result<(), String> {
    let across = MOVING + PAGE - 32;
    let list = env.scratch(&words([across as u64, 64]));
    let directory = env.directory;
    for (name, number, args) in [
        ("read", libc::SYS_read, [env.file, across, 64, 0, 0, 0]),
        (
            "large read",
            libc::SYS_read,
            [env.file, MOVING, 2 * PAGE, 0, 0, 0],
        ),
        ("write", libc::SYS_write, [env.other, across, 64, 0, 0, 0]),
        ("readv", libc::SYS_readv, [env.file, list, 1, 0, 0, 0]),
        ("list", libc::SYS_writev, [env.other, across, 2, 0, 0, 0]),
        ("fstat", libc::SYS_fstat, [env.file, across, 0, 0, 0, 0]),
        ("uname", libc::SYS_uname, [across, 0, 0, 0, 0, 0]),
        (
            "getdents64",
            libc::SYS_getdents64,
            [directory, across, 512, 0, 0, 0],
        ),
        ("access", libc::SYS_access, [across, 0, 0, 0, 0, 0]),
        ("poll", libc::SYS_poll, [across, 8, 0, 0, 0, 0]),
        ("futex", libc::SYS_futex, [MOVING + PAGE, 128, 1, 0, 0, 0]),
        (
            "sigaction",
            libc::SYS_rt_sigaction,
            [12, across, 0, 8, 0, 0],
        ),
        ("getrandom", libc::SYS_getrandom, [across, 64, 0, 0, 0, 0]),
    ] {
        [env.file, env.other, directory]
            .into_iter()
            .for_each(rewind);
        // SAFETY: nothing is expected of the memory.
        let result = unsafe { call(number, args) };
        let allowed = [
            libc::EFAULT,
            libc::ENOENT,
            libc::EAGAIN,
            libc::EINVAL,
            libc::ENAMETOOLONG,
        ];
        if result < 0 && !allowed.contains(&(-result as i32)) {
            return Err(format!("{name}: {result}"));
        }
    }
    Ok(())
}

fn race(env: &mut Env, rounds: usize, change: fn()) -> i32 {
    if env.begin().is_err() {
        return 2;
    }
    unmap();
    let other = std::thread::spawn(move || {
        while !STOP.load(SeqCst) {
            change();
        }
    });
    let result = (0..rounds * ROUNDS).try_for_each(|_| calls(env));
    STOP.store(true, SeqCst);
    let joined = other.join().is_ok();
    if let Err(why) = &result {
        println!("race: {why}");
    }
    i32::from(result.is_err() || !joined)
}

/// All races.
pub fn run(rounds: usize) -> io::Result<i32> {
    let mut env = Env::new()?;
    let mut status = 0;
    for (name, change) in [("unmap", unmap as fn()), ("protect", protect)] {
        let end = child::run(|| {
            unmap();
            race(&mut env, rounds, change)
        })?;
        println!("race with {name}: {end:?}");
        status |= i32::from(end != End::Exit(0));
    }
    env.clean_up();
    Ok(status)
}
