//! Futexes.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::ipc::FOREVER;
use ferrix_abi::signal::Disposition;
use ferrix_abi::signal::number::SIGUSR1;
use ferrix_rt::clock;
use ferrix_rt::sys::{signal, thread, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("value_differs", value_differs),
    ("timeout", timeout),
    ("wrong_arguments", wrong_arguments),
    ("wakes_as_many_as_asked", wakes_as_many_as_asked),
    ("bits_pick_the_waiter", bits_pick_the_waiter),
    ("requeue", requeue),
    ("across_processes", across_processes),
    ("private_to_a_process", private_to_a_process),
    ("mutex", mutex),
    ("signal_interrupts", signal_interrupts),
];

fn address(word: &AtomicU32) -> u64 {
    word.as_ptr() as u64
}

/// Wakes until so many were woken: the waiters may still be on their way.
fn wake_exactly(word: &AtomicU32, count: u64, bits: u32) -> Outcome {
    let mut left = count;
    while left != 0 {
        left -= thread::futex_wake(address(word), left, bits)?;
        thread::yield_now();
    }
    Ok(())
}

fn value_differs() -> Outcome {
    let word = AtomicU32::new(5);
    fails(
        thread::futex_wait(address(&word), 4, FOREVER, 1),
        Error::WouldBlock,
    )?;
    equal(wake_all(&word)?, 0)
}

fn timeout() -> Outcome {
    let word = AtomicU32::new(5);
    for wait_ms in [0, 5] {
        let deadline = after_ms(wait_ms);
        fails(
            thread::futex_wait(address(&word), 5, deadline, 1),
            Error::TimedOut,
        )?;
        holds(clock::monotonic_ns() >= deadline, "the time has passed")?;
    }
    equal(wake_all(&word)?, 0)
}

fn wrong_arguments() -> Outcome {
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let odd = address(&words[0]) + 2;
    fails(thread::futex_wait(odd, 0, FOREVER, 1), Error::Invalid)?;
    fails(thread::futex_wake(odd, 1, 1), Error::Invalid)?;
    fails(
        thread::futex_wait(address(&words[0]), 0, FOREVER, 0),
        Error::Invalid,
    )
}

fn wakes_as_many_as_asked() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    let waiters: [_; 4] = core::array::from_fn(|_| {
        start_thread(|| {
            thread::futex_wait(address(&WORD), 0, FOREVER, u32::MAX)?;
            WOKEN.fetch_add(1, SeqCst);
            Ok(())
        })
    });
    wake_exactly(&WORD, 1, u32::MAX)?;
    sleep_ms(5);
    equal(WOKEN.load(SeqCst), 1)?;
    wake_exactly(&WORD, 3, u32::MAX)?;
    for waiter in waiters {
        waiter?.join()?;
    }
    equal(wake_all(&WORD)?, 0)
}

fn bits_pick_the_waiter() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    let waiter = |bits| {
        start_thread(move || {
            thread::futex_wait(address(&WORD), 0, FOREVER, bits)?;
            WOKEN.fetch_or(bits, SeqCst);
            Ok(())
        })
    };
    let (first, second) = (waiter(1)?, waiter(2)?);
    wake_exactly(&WORD, 1, 2)?;
    second.join()?;
    equal(WOKEN.load(SeqCst), 2)?;
    equal(thread::futex_wake(address(&WORD), 9, 4)?, 0)?;
    wake_exactly(&WORD, 1, 1 | 4)?;
    first.join()
}

fn requeue() -> Outcome {
    static FROM: AtomicU32 = AtomicU32::new(0);
    static TO: AtomicU32 = AtomicU32::new(0);
    let waiters: [_; 3] = core::array::from_fn(|_| {
        start_thread(|| Ok(thread::futex_wait(address(&FROM), 0, FOREVER, u32::MAX)?))
    });
    let (from, to) = (address(&FROM), address(&TO));
    fails(
        thread::futex_requeue(from, 1, 1, to, Some(1)),
        Error::WouldBlock,
    )?;
    let mut moved = 0;
    while moved < 3 {
        moved += thread::futex_requeue(from, 0, 3, to, Some(0))?;
        thread::yield_now();
    }
    equal(wake_all(&FROM)?, 0)?;
    equal(wake_all(&TO)?, 3)?;
    for waiter in waiters {
        waiter?.join()?;
    }
    Ok(())
}

fn across_processes() -> Outcome {
    let shared = Pages::shared(1)?;
    let word = shared.futex();
    let pid = spawn(|| {
        while word.load(SeqCst) == 0 {
            wait_while(word, 0);
        }
        Ok(())
    })?;
    until_asleep(pid)?;
    word.store(1, SeqCst);
    equal(wake_all(word)?, 1)?;
    succeeded(pid)
}

/// The same address in a child that got a copy is another futex.
fn private_to_a_process() -> Outcome {
    let pages = Pages::new(1)?;
    let word = pages.futex();
    word.store(0, SeqCst);
    let pid = spawn(|| {
        let deadline = after_ms(40);
        fails(
            thread::futex_wait(address(word), 0, deadline, 1),
            Error::TimedOut,
        )
    })?;
    until_asleep(pid)?;
    equal(wake_all(word)?, 0)?;
    succeeded(pid)
}

static LOCK: AtomicU32 = AtomicU32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Drepper's second mutex ("Futexes Are Tricky").
fn lock() {
    if LOCK.compare_exchange(0, 1, SeqCst, SeqCst).is_err() {
        while LOCK.swap(2, SeqCst) != 0 {
            wait_while(&LOCK, 2);
        }
    }
}

fn unlock() -> Outcome {
    if LOCK.swap(0, SeqCst) == 2 {
        thread::futex_wake(address(&LOCK), 1, u32::MAX)?;
    }
    Ok(())
}

fn mutex() -> Outcome {
    let threads: [_; 4] = core::array::from_fn(|_| {
        start_thread(|| {
            for _ in 0..500 {
                lock();
                let count = COUNT.load(SeqCst);
                if count.is_multiple_of(16) {
                    thread::yield_now();
                }
                COUNT.store(count + 1, SeqCst);
                unlock()?;
            }
            Ok(())
        })
    });
    for thread in threads {
        thread?.join()?;
    }
    equal(COUNT.load(SeqCst), 2000)
}

fn signal_interrupts() -> Outcome {
    let pid = spawn(|| {
        signal::set_action(SIGUSR1, Disposition::Catch)?;
        let word = AtomicU32::new(utcb::pid());
        let wait = thread::futex_wait(address(&word), utcb::pid(), FOREVER, 1);
        fails(wait, Error::Interrupted)
    })?;
    until_asleep(pid)?;
    kill(pid as i32, SIGUSR1)?;
    succeeded(pid)
}
