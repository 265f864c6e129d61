//! Priority inheritance: through futexes and through calls to servers, chained, and undone.
//!
//! Everything runs on one CPU, under a controller that is more urgent than all others: what these do while it
//! sleeps is a matter of their priorities alone. With `inheritance=off` on the command line the textbook cases must go wrong.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::futex::{OWNER_DIED, PRIVATE, TID_MASK, TRY, WAITERS};
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, Tag};
use ferrix_abi::sched::Policy;
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::thread::Activity;
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, thread, utcb};

use crate::options;
use crate::support::*;

mod moving;

pub const TESTS: &[Test] = &[
    ("futex_inversion", futex_inversion),
    ("call_inversion", call_inversion),
    ("waiting_sender", waiting_sender),
    ("chain", chain),
    ("most_urgent_waiter_first", most_urgent_waiter_first),
    ("killed_waiter", killed_waiter),
    ("dead_owner", dead_owner),
    ("dead_heir", dead_heir),
    ("wrong_uses", wrong_uses),
    ("deadlock", deadlock),
    ("a_waiter_that_rises", a_waiter_that_rises),
    ("moved_waiters", moving::moved_waiters),
    ("moving_to_an_owner", moving::moving_to_an_owner),
    ("wrong_moves", moving::wrong_moves),
];

const LOW: u8 = 90;
const MIDDLE: u8 = 95;
const HIGH: u8 = 100;
const CONTROLLER: u8 = 110;

/// Most waits of a millisecond for something that comes.
const PATIENCE: u32 = 3000;

/// Makes the caller the controller.
fn control() -> Outcome {
    thread::set_affinity(0, 1)?;
    Ok(thread::set_scheduling(
        0,
        Policy::Fifo,
        CONTROLLER,
        resource(),
    )?)
}

/// A thread that does something at a priority.
fn at(priority: u8, body: impl FnOnce() -> Outcome + 'static) -> Result<Thread, Failure> {
    start_thread(move || {
        thread::set_scheduling(0, Policy::Fifo, priority, resource())?;
        body()
    })
}

/// Lets the others run until something is so.
#[track_caller]
fn until(mut what: impl FnMut() -> Result<bool, Error>) -> Outcome {
    for _ in 0..PATIENCE {
        if what()? {
            return Ok(());
        }
        sleep_ms(1);
    }
    holds(false, "it comes to that")
}

/// Lets the others run until a thread waits for this.
#[track_caller]
fn until_waiting(thread: &Thread, activity: Activity) -> Outcome {
    let tid = thread.tid;
    until(|| Ok(thread::next(0, tid - 1)?.activity == activity as u8))
}

/// Waits until it is opened.
fn pass(gate: &AtomicU32) {
    while gate.load(SeqCst) == 0 {
        wait_while(gate, 0);
    }
}

fn open(gate: &AtomicU32) -> Outcome {
    gate.store(1, SeqCst);
    wake_all(gate)?;
    Ok(())
}

fn address(word: &AtomicU32) -> u64 {
    word.as_ptr() as u64
}

fn lock(word: &AtomicU32) -> Result<(), Error> {
    lock_until(word, FOREVER)
}

fn lock_until(word: &AtomicU32, deadline: u64) -> Result<(), Error> {
    let free = word.compare_exchange(0, utcb::tid(), SeqCst, SeqCst);
    free.map(drop)
        .or_else(|_| thread::futex_lock_pi(address(word), deadline, PRIVATE))
}

fn unlock(word: &AtomicU32) -> Result<(), Error> {
    let alone = word.compare_exchange(utcb::tid(), 0, SeqCst, SeqCst);
    alone
        .map(drop)
        .or_else(|_| thread::futex_unlock_pi(address(word), PRIVATE))
}

/// A thread that holds a futex until the gate opens.
fn holder(
    priority: u8,
    word: &'static AtomicU32,
    gate: &'static AtomicU32,
) -> Result<Thread, Failure> {
    let thread = at(priority, move || {
        lock(word)?;
        pass(gate);
        Ok(unlock(word)?)
    })?;
    until(|| Ok(word.load(SeqCst) & TID_MASK == thread.tid))?;
    Ok(thread)
}

/// A thread that takes a futex, which somebody else has; it waits already.
fn waiter(priority: u8, word: &'static AtomicU32, then: fn()) -> Result<Thread, Failure> {
    let thread = at(priority, move || {
        lock(word)?;
        then();
        Ok(unlock(word)?)
    })?;
    until_waiting(&thread, Activity::FutexPi)?;
    Ok(thread)
}

/// The thread has this priority, if priorities are inherited; else its own.
#[track_caller]
fn has(thread: &Thread, priority: u8, own: u8) -> Outcome {
    let expected = if options::inherits() { priority } else { own };
    equal(thread::effective_priority(thread.tid)?, expected)
}

/// Who came first, of the urgent thread and the middle one: 1 and 2 in their places.
fn check_order(urgent: &AtomicU32, middle: &AtomicU32) -> Outcome {
    let expected = if options::inherits() { (1, 2) } else { (2, 1) };
    equal((urgent.load(SeqCst), middle.load(SeqCst)), expected)
}

/// A thread that is ready as soon as the gate opens, and notes when it ran.
fn in_between(
    gate: &'static AtomicU32,
    count: &'static AtomicU32,
    place: &'static AtomicU32,
) -> Result<Thread, Failure> {
    let thread = at(MIDDLE, move || {
        pass(gate);
        place.store(count.fetch_add(1, SeqCst) + 1, SeqCst);
        Ok(())
    })?;
    until_waiting(&thread, Activity::Futex)?;
    Ok(thread)
}

/// The urgent one waits for what the low one has; nobody in between may come before it.
fn futex_inversion() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static GATE: AtomicU32 = AtomicU32::new(0);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static URGENT: AtomicU32 = AtomicU32::new(0);
    static BETWEEN: AtomicU32 = AtomicU32::new(0);
    control()?;
    let low = holder(LOW, &WORD, &GATE)?;
    let note = || URGENT.store(COUNT.fetch_add(1, SeqCst) + 1, SeqCst);
    let urgent = waiter(HIGH, &WORD, note)?;
    let middle = in_between(&GATE, &COUNT, &BETWEEN)?;
    has(&low, HIGH, LOW)?;
    open(&GATE)?;
    for thread in [low, urgent, middle] {
        thread.join()?;
    }
    equal(WORD.load(SeqCst), 0)?;
    check_order(&URGENT, &BETWEEN)
}

/// The same, where the low one is a server that the urgent one has called.
fn call_inversion() -> Outcome {
    static GATE: AtomicU32 = AtomicU32::new(0);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static URGENT: AtomicU32 = AtomicU32::new(0);
    static BETWEEN: AtomicU32 = AtomicU32::new(0);
    static CALLED: AtomicU32 = AtomicU32::new(0);
    control()?;
    let server = at(LOW, || {
        let call = ipc::receive(Handle::NONE, Tag::SHORT)?;
        CALLED.store(1, SeqCst);
        pass(&GATE);
        ipc::reply(call.token, Tag::SHORT, [0; 4])?;
        equal(thread::effective_priority(0)?, LOW)
    })?;
    let tid = server.tid;
    let urgent = at(HIGH, move || {
        ipc::call_thread(tid, Tag::SHORT, [0; 4])?;
        URGENT.store(COUNT.fetch_add(1, SeqCst) + 1, SeqCst);
        Ok(())
    })?;
    until(|| Ok(CALLED.load(SeqCst) == 1))?;
    has(&server, HIGH, LOW)?;
    let middle = in_between(&GATE, &COUNT, &BETWEEN)?;
    open(&GATE)?;
    for thread in [server, urgent, middle] {
        thread.join()?;
    }
    check_order(&URGENT, &BETWEEN)
}

/// A server that works for somebody else does so at the priority of whoever waits to send, until that is killed.
fn waiting_sender() -> Outcome {
    static GATE: AtomicU32 = AtomicU32::new(0);
    static CALLED: AtomicU32 = AtomicU32::new(0);
    control()?;
    let server = at(LOW, || {
        for _ in 0..2 {
            let call = ipc::receive(Handle::NONE, Tag::SHORT)?;
            CALLED.fetch_add(1, SeqCst);
            pass(&GATE);
            ipc::reply(call.token, Tag::SHORT, [0; 4])?;
        }
        equal(thread::effective_priority(0)?, LOW)
    })?;
    let tid = server.tid;
    let call = move || Ok(ipc::call_thread(tid, Tag::SHORT, [0; 4]).map(drop)?);
    let first = at(LOW, call)?;
    until(|| Ok(CALLED.load(SeqCst) == 1))?;
    let impatient = spawn(move || {
        thread::set_scheduling(0, Policy::Fifo, HIGH, resource())?;
        Ok(ipc::call_thread(tid, Tag::SHORT, [0; 4]).map(drop)?)
    })?;
    let patient = at(MIDDLE, call)?;
    until_asleep(impatient)?;
    until_waiting(&patient, Activity::Send)?;
    has(&server, HIGH, LOW)?;
    let most = if options::inherits() { MIDDLE } else { LOW };
    kill(impatient as i32, SIGKILL)?;
    equal(status_of(impatient)?, SIGKILL)?;
    equal(thread::effective_priority(tid)?, most)?;
    open(&GATE)?;
    for thread in [first, patient, server] {
        thread.join()?;
    }
    Ok(())
}

/// The urgent one waits for a futex whose owner waits for another, whose owner has called a server. When the wait ends by its
/// deadline, all are what they were.
fn chain() -> Outcome {
    static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    static GATE: AtomicU32 = AtomicU32::new(0);
    static CALLED: AtomicU32 = AtomicU32::new(0);
    control()?;
    let server = at(MIDDLE, || {
        let call = ipc::receive(Handle::NONE, Tag::SHORT)?;
        CALLED.store(1, SeqCst);
        pass(&GATE);
        Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?)
    })?;
    let tid = server.tid;
    let second = at(LOW, move || {
        lock(&WORDS[1])?;
        ipc::call_thread(tid, Tag::SHORT, [0; 4])?;
        Ok(unlock(&WORDS[1])?)
    })?;
    until(|| Ok(CALLED.load(SeqCst) == 1))?;
    let first = at(LOW - 1, || {
        lock(&WORDS[0])?;
        lock(&WORDS[1])?;
        unlock(&WORDS[1])?;
        Ok(unlock(&WORDS[0])?)
    })?;
    until(|| Ok(WORDS[1].load(SeqCst) & WAITERS != 0))?;
    let all = [(&first, LOW - 1), (&second, LOW), (&server, MIDDLE)];
    for (thread, own) in all {
        equal(thread::effective_priority(thread.tid)?, own)?;
    }
    let soon = after_ms(100);
    let urgent = at(HIGH, move || {
        fails(lock_until(&WORDS[0], soon), Error::TimedOut)
    })?;
    until_waiting(&urgent, Activity::FutexPi).or_else(|late| {
        let passed = clock::monotonic_ns() >= soon;
        if passed { Ok(()) } else { Err(late) }
    })?;
    let seen = [&first, &second, &server].map(|thread| thread::effective_priority(thread.tid));
    if clock::monotonic_ns() < soon && options::inherits() {
        equal(seen, [Ok(HIGH); 3])?;
    }
    urgent.join()?;
    for (thread, own) in all {
        equal(thread::effective_priority(thread.tid)?, own)?;
    }
    open(&GATE)?;
    for thread in [first, second, server] {
        thread.join()?;
    }
    Ok(())
}

fn most_urgent_waiter_first() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static GATE: AtomicU32 = AtomicU32::new(0);
    static ORDER: AtomicU32 = AtomicU32::new(0);
    control()?;
    let low = holder(LOW, &WORD, &GATE)?;
    let digit = |digit: u32| ORDER.store(ORDER.load(SeqCst) * 10 + digit, SeqCst);
    let waiters = [
        waiter(MIDDLE, &WORD, || note(&ORDER, 3))?,
        waiter(HIGH, &WORD, || note(&ORDER, 1))?,
        waiter(HIGH, &WORD, || note(&ORDER, 2))?,
    ];
    open(&GATE)?;
    for waiter in waiters {
        waiter.join()?;
    }
    low.join()?;
    digit(0);
    equal(ORDER.load(SeqCst), 1230)
}

fn note(order: &AtomicU32, digit: u32) {
    order.store(order.load(SeqCst) * 10 + digit, SeqCst);
}

/// A waiter of another process is killed.
fn killed_waiter() -> Outcome {
    control()?;
    let word = Pages::shared(1)?.futex();
    word.store(utcb::tid(), SeqCst);
    thread::set_scheduling(0, Policy::Fifo, LOW, resource())?;
    let child = spawn(|| {
        thread::set_scheduling(0, Policy::Fifo, HIGH, resource())?;
        Ok(thread::futex_lock_pi(address(word), FOREVER, 0)?)
    })?;
    until(|| Ok(word.load(SeqCst) & WAITERS != 0))?;
    let inherited = if options::inherits() { HIGH } else { LOW };
    equal(thread::effective_priority(0)?, inherited)?;
    kill(child as i32, SIGKILL)?;
    equal(status_of(child)?, SIGKILL)?;
    equal(thread::effective_priority(0)?, LOW)?;
    thread::futex_unlock_pi(address(word), 0)?;
    equal(word.load(SeqCst), 0)
}

/// An owner that ends leaves the futex to the most urgent waiter, who is told.
fn dead_owner() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static GATE: AtomicU32 = AtomicU32::new(0);
    static SEEN: AtomicU32 = AtomicU32::new(0);
    control()?;
    let owner = at(LOW, || {
        lock(&WORD)?;
        pass(&GATE);
        Ok(())
    })?;
    until(|| Ok(WORD.load(SeqCst) != 0))?;
    let see = || {
        let word = WORD.fetch_and(!OWNER_DIED, SeqCst);
        if word & TID_MASK == utcb::tid() {
            note(&SEEN, 1 + u32::from(word & OWNER_DIED != 0));
        }
    };
    let other = waiter(MIDDLE, &WORD, see)?;
    let heir = waiter(HIGH, &WORD, see)?;
    until(|| Ok(!options::inherits() || thread::effective_priority(owner.tid)? == HIGH))?;
    open(&GATE)?;
    for thread in [owner, heir, other] {
        thread.join()?;
    }
    equal((SEEN.load(SeqCst), WORD.load(SeqCst)), (21, 0))
}

/// The waiter to whom a dead owner leaves the futex is killed before it runs: the next one gets it.
fn dead_heir() -> Outcome {
    control()?;
    let pages = Pages::shared(1)?;
    let word = pages.futex();
    let attempt = |priority| {
        let word = pages.futex();
        spawn(move || {
            thread::set_scheduling(0, Policy::Fifo, priority, resource())?;
            thread::futex_lock_pi(address(word), FOREVER, 0)?;
            equal(word.load(SeqCst), utcb::tid() | OWNER_DIED)?;
            word.fetch_and(!OWNER_DIED, SeqCst);
            Ok(thread::futex_unlock_pi(address(word), 0)?)
        })
    };
    let owner = spawn(|| {
        word.store(utcb::tid(), SeqCst);
        pass(&AtomicU32::new(0));
        Ok(())
    })?;
    until(|| Ok(word.load(SeqCst) == owner))?;
    let next = attempt(MIDDLE)?;
    until(|| Ok(word.load(SeqCst) & WAITERS != 0))?;
    until_asleep(next)?;
    let heir = attempt(HIGH)?;
    until_asleep(heir)?;
    // It has ended before the heir, which is less urgent than the controller, can run: so has the heir.
    kill(owner as i32, SIGKILL)?;
    equal(status_of(owner)?, SIGKILL)?;
    kill(heir as i32, SIGKILL)?;
    let ended = status_of(heir)?;
    holds(ended == SIGKILL || ended == 0, "killed, or done before")?;
    succeeded(next)?;
    equal(word.load(SeqCst), 0)
}

fn wrong_uses() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let word = address(&WORD);
    fails(thread::futex_unlock_pi(word, PRIVATE), Error::NotPermitted)?;
    thread::futex_lock_pi(word, FOREVER, PRIVATE)?;
    equal(WORD.load(SeqCst), utcb::tid())?;
    for flags in [PRIVATE, PRIVATE | TRY] {
        fails(thread::futex_lock_pi(word, FOREVER, flags), Error::Deadlock)?;
    }
    start_thread(move || {
        fails(
            thread::futex_lock_pi(word, FOREVER, PRIVATE | TRY),
            Error::WouldBlock,
        )?;
        fails(
            thread::futex_lock_pi(word, after_ms(2), PRIVATE),
            Error::TimedOut,
        )?;
        fails(thread::futex_unlock_pi(word, PRIVATE), Error::NotPermitted)
    })?
    .join()?;
    // The waiter that gave up left its mark, which the owner's call clears.
    equal(WORD.load(SeqCst), utcb::tid() | WAITERS)?;
    thread::futex_unlock_pi(word, PRIVATE)?;
    equal(WORD.load(SeqCst), 0)?;
    WORD.store(TID_MASK, SeqCst);
    fails(
        thread::futex_lock_pi(word, FOREVER, PRIVATE),
        Error::NoSuchProcess,
    )?;
    for address in [word + 1, word + 2] {
        fails(thread::futex_lock_pi(address, FOREVER, 0), Error::Invalid)?;
        fails(thread::futex_unlock_pi(address, 0), Error::Invalid)?;
    }
    fails(thread::futex_lock_pi(8, FOREVER, PRIVATE), Error::Fault)?;
    fails(thread::futex_unlock_pi(8, PRIVATE), Error::Fault)
}

/// Each of two has what the other wants: the second one is told.
fn deadlock() -> Outcome {
    static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    control()?;
    let other = at(LOW, || {
        lock(&WORDS[0])?;
        lock(&WORDS[1])?;
        unlock(&WORDS[1])?;
        Ok(unlock(&WORDS[0])?)
    });
    lock(&WORDS[1])?;
    until(|| Ok(WORDS[1].load(SeqCst) & WAITERS != 0))?;
    fails(lock(&WORDS[0]), Error::Deadlock)?;
    unlock(&WORDS[1])?;
    other?.join()
}

/// What changes a waiter's priority changes the owner's.
fn a_waiter_that_rises() -> Outcome {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static GATE: AtomicU32 = AtomicU32::new(0);
    control()?;
    let low = holder(LOW, &WORD, &GATE)?;
    let other = waiter(LOW - 1, &WORD, || {})?;
    has(&low, LOW, LOW)?;
    for (priority, expected) in [(HIGH, HIGH), (MIDDLE, MIDDLE), (LOW - 2, LOW)] {
        thread::set_scheduling(other.tid, Policy::Fifo, priority, resource())?;
        has(&low, expected, LOW)?;
    }
    open(&GATE)?;
    low.join()?;
    other.join()
}
