//! Threads of Rust's standard library, unmodified; `rust_threads [ROUNDS]` repeats the tests. It runs on Linux too.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, TrySendError, channel, sync_channel};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, TryLockError};
use std::thread::{self, Builder, scope, spawn};
use std::time::Duration;

const THREADS: usize = 4;
const STEPS: usize = 60;
/// Longer than anything here takes; a wait that reaches it has lost a wake-up.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

macro_rules! tests {
    ($($name:ident)*) => { &[$((stringify!($name), $name)),*] };
}

const TESTS: &[(&str, fn())] = tests! {
    join mutex condvar rwlock barrier thread_locals scopes park names mpsc panics once detach stack
};

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .map_or(1, |text| text.parse().expect("a number of rounds"));
    // What panics on purpose need not be heard.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>().copied().unwrap_or("");
        if !["meant", "a scoped thread panicked"].contains(&text) {
            usual(info);
        }
    }));
    for (name, test) in TESTS {
        (0..rounds).for_each(|_| test());
        println!("{name} ok");
    }
}

fn join() {
    let threads: Vec<_> = (0..THREADS)
        .map(|number| spawn(move || number * 2))
        .collect();
    let results: Vec<usize> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(results, [0, 2, 4, 6]);
    let done = Arc::new(AtomicBool::new(false));
    let thread = spawn({
        let done = done.clone();
        move || {
            while !done.load(SeqCst) {
                thread::yield_now()
            }
        }
    });
    assert!(!thread.is_finished());
    done.store(true, SeqCst);
    thread.join().unwrap();
}

fn mutex() {
    let count = Mutex::new(0);
    scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                (0..STEPS).for_each(|_| {
                    let mut count = count.lock().unwrap();
                    let seen = *count;
                    if seen % 64 == 0 {
                        thread::yield_now()
                    }
                    *count = seen + 1;
                })
            });
        }
    });
    let held = count.lock().unwrap();
    assert_eq!(*held, THREADS * STEPS);
    scope(|scope| {
        let try_it = || matches!(count.try_lock(), Err(TryLockError::WouldBlock));
        assert!(scope.spawn(try_it).join().unwrap());
    });
}

fn condvar() {
    // The threads take turns.
    let (turn, changed) = (Mutex::new(0), Condvar::new());
    scope(|scope| {
        for number in 0..THREADS {
            let (turn, changed) = (&turn, &changed);
            scope.spawn(move || {
                for step in 0..STEPS / 10 {
                    let mine = |turn: &mut usize| *turn != step * THREADS + number;
                    let mut turn = changed.wait_while(turn.lock().unwrap(), mine).unwrap();
                    *turn += 1;
                    changed.notify_all();
                }
            });
        }
    });
    let turn = turn.lock().unwrap();
    assert_eq!(*turn, THREADS * (STEPS / 10));
    let (_turn, late) = changed.wait_timeout_while(turn, SHORT, |_| true).unwrap();
    assert!(late.timed_out());
    // One is woken for each notification.
    let (tickets, there) = (Mutex::new(0), Condvar::new());
    scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let waits = there
                    .wait_timeout_while(tickets.lock().unwrap(), LONG, |tickets| *tickets == 0);
                let (mut tickets, late) = waits.unwrap();
                assert!(!late.timed_out());
                *tickets -= 1;
            });
        }
        for _ in 0..THREADS {
            *tickets.lock().unwrap() += 1;
            there.notify_one();
        }
    });
    assert_eq!(*tickets.lock().unwrap(), 0);
}

fn rwlock() {
    let pair = RwLock::new((0, 0));
    let both = Barrier::new(2);
    scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                (0..STEPS).for_each(|_| {
                    let mut pair = pair.write().unwrap();
                    pair.0 += 1;
                    pair.1 += 1;
                })
            });
            scope.spawn(|| {
                (0..STEPS).for_each(|_| {
                    let pair = pair.read().unwrap();
                    assert_eq!(pair.0, pair.1);
                })
            });
        }
    });
    assert_eq!(*pair.read().unwrap(), (2 * STEPS, 2 * STEPS));
    // Two read at once: each waits for the other while it has the lock.
    scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _pair = pair.read().unwrap();
                both.wait();
                assert!(matches!(pair.try_write(), Err(TryLockError::WouldBlock)));
                both.wait();
            });
        }
    });
}

fn barrier() {
    let (barrier, arrived, leaders) = (
        Barrier::new(THREADS),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 1..=STEPS / 20 {
                    arrived.fetch_add(1, SeqCst);
                    let leads = barrier.wait().is_leader();
                    leaders.fetch_add(usize::from(leads), SeqCst);
                    assert_eq!(arrived.load(SeqCst), round * THREADS);
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(leaders.load(SeqCst), STEPS / 20);
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Noted(usize);

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.fetch_add(self.0, SeqCst);
    }
}

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(7) };
    static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
    static LATE: RefCell<Vec<usize>> = RefCell::new(vec![NUMBER.get()]);
}

fn thread_locals() {
    DROPPED.store(0, SeqCst);
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            spawn(move || {
                assert_eq!(NUMBER.get(), 7);
                NUMBER.set(number);
                NOTED.set(Some(Noted(number + 1)));
                thread::yield_now();
                assert_eq!(NUMBER.get(), number);
                LATE.with_borrow(|late| assert_eq!(*late, [number]));
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(DROPPED.load(SeqCst), 1 + 2 + 3 + 4);
    assert_eq!(NUMBER.get(), 7);
}

fn scopes() {
    let mut numbers: Vec<usize> = (0..64).collect();
    let sum: usize = scope(|scope| {
        let parts = numbers.chunks_mut(16);
        let threads: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || {
                    part.iter_mut().for_each(|number| *number += 1);
                    scope.spawn(|| part.iter().sum::<usize>()).join().unwrap()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(sum, (1..=64).sum());
    // A scope ends when all its threads have ended, also those that nobody joins.
    let ended = AtomicUsize::new(0);
    scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                thread::sleep(SHORT);
                ended.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!(ended.load(SeqCst), THREADS);
}

fn park() {
    let turn = Arc::new(AtomicUsize::new(0));
    let other = {
        let (turn, main) = (turn.clone(), thread::current());
        spawn(move || {
            for step in 0..STEPS / 10 {
                while turn.load(SeqCst) != 2 * step + 1 {
                    thread::park()
                }
                turn.fetch_add(1, SeqCst);
                main.unpark();
            }
        })
    };
    for step in 0..STEPS / 10 {
        turn.fetch_add(1, SeqCst);
        other.thread().unpark();
        while turn.load(SeqCst) != 2 * step + 2 {
            thread::park()
        }
    }
    other.join().unwrap();
    // A token that came before is not lost, and there is one at most.
    thread::current().unpark();
    thread::current().unpark();
    thread::park();
    thread::park_timeout(SHORT);
}

fn names() {
    let named = Builder::new().name("worker".into()).spawn(|| {
        assert_eq!(thread::current().name(), Some("worker"));
        // The system calls one of the process's threads so, too.
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut names =
            tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
        assert!(names.any(|name| name.is_ok_and(|name| name == "worker\n")));
    });
    named.unwrap().join().unwrap();
    assert_eq!(thread::current().name(), Some("main"));
    let long = Builder::new().name("a name of more than fifteen bytes".into());
    let thread = long.spawn(|| assert!(thread::current().name().unwrap().len() > 15));
    thread.unwrap().join().unwrap();
}

fn mpsc() {
    let (sender, receiver) = channel();
    let senders: Vec<_> = (0..THREADS)
        .map(|number| {
            let sender = sender.clone();
            spawn(move || (0..STEPS).for_each(|step| sender.send((number, step)).unwrap()))
        })
        .collect();
    drop(sender);
    let mut next = [0; THREADS];
    for (number, step) in &receiver {
        assert_eq!(step, next[number]);
        next[number] += 1;
    }
    assert_eq!(next, [STEPS; THREADS]);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    senders
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    // One place: the sender waits for the receiver. No place: each waits for the other.
    for places in [1, 0] {
        let (sender, receiver) = sync_channel(places);
        let thread = spawn(move || (0..STEPS).for_each(|step| sender.send(step).unwrap()));
        assert!(receiver.iter().eq(0..STEPS));
        thread.join().unwrap();
    }
    let (sender, receiver) = sync_channel(1);
    assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    sender.send(1).unwrap();
    assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
    drop(receiver);
    assert!(sender.send(3).is_err());
}

fn panics() {
    let result = spawn(|| -> () { panic!("meant") }).join();
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"meant"));
    let shared = Arc::new(Mutex::new(1));
    let holder = shared.clone();
    let panicked = spawn(move || {
        let _held = holder.lock();
        panic!("meant")
    })
    .join();
    assert!(panicked.is_err() && shared.is_poisoned());
    assert_eq!(*shared.lock().unwrap_err().into_inner(), 1);
    let caught = std::panic::catch_unwind(|| {
        scope(|scope| {
            scope.spawn(|| panic!("meant"));
        })
    });
    assert!(caught.is_err());
}

fn once() {
    static ONCE: Once = Once::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<usize> = LazyLock::new(|| {
        thread::sleep(SHORT);
        COUNT.fetch_add(1, SeqCst) + 10
    });
    let cell = OnceLock::new();
    let values = scope(|scope| {
        let init = || {
            ONCE.call_once(|| thread::sleep(SHORT));
            assert!(ONCE.is_completed());
            (
                *LAZY,
                *cell.get_or_init(|| {
                    thread::sleep(SHORT);
                    5
                }),
            )
        };
        let threads = [(); THREADS].map(|()| scope.spawn(init));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(values, [(10, 5); THREADS]);
    assert_eq!(COUNT.load(SeqCst), 1);
}

fn detach() {
    let (sender, receiver) = channel();
    for _ in 0..THREADS * 4 {
        let sender = sender.clone();
        drop(spawn(move || sender.send(()).unwrap()));
    }
    drop(sender);
    assert_eq!(receiver.iter().count(), THREADS * 4);
}

fn stack() {
    fn deep(depth: usize) -> usize {
        let page = std::hint::black_box([depth as u8; 4096]);
        if depth == 0 {
            0
        } else {
            1 + deep(depth - 1) + usize::from(page[7] != depth as u8)
        }
    }
    let thread = Builder::new().stack_size(4 << 20).spawn(|| deep(900));
    assert_eq!(thread.unwrap().join().unwrap(), 900);
}
