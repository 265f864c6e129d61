//! The operations, in the order of their milestones (`scripts/xtask/src/bench.rs` names them).

use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{WaitFor, wait};
use ferrix_abi::vm::Prot;
use ferrix_rt::sys::memory::{Mapping, SELF, map_anywhere, unmap};
use ferrix_rt::sys::{ipc, process, system, thread};

/// What is measured: something prepared once, and the loop.
pub struct Operation {
    /// Makes what the loop needs.
    pub prepare: fn() -> State,
    /// Does the operation so many times.
    pub rounds: fn(&State, u64),
}

/// What an operation works on.
#[derive(Default)]
pub struct State {
    port: Handle,
    address: u64,
}

const STACK: u64 = 64 * 1024;

/// All operations.
pub fn all() -> [Operation; 9] {
    [
        Operation {
            prepare: State::default,
            rounds: null,
        },
        Operation {
            prepare: State::default,
            rounds: yields,
        },
        Operation {
            prepare: State::default,
            rounds: forks,
        },
        Operation {
            prepare: server_process,
            rounds: calls,
        },
        Operation {
            prepare: server_thread,
            rounds: calls,
        },
        Operation {
            prepare: server_process,
            rounds: long_calls,
        },
        Operation {
            prepare: futex_peer,
            rounds: futexes,
        },
        Operation {
            prepare: State::default,
            rounds: maps,
        },
        Operation {
            prepare: big_mapping,
            rounds: faults,
        },
    ]
}

fn expect<T, E: core::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("a measured operation failed: {error:?}"),
    }
}

fn null(_: &State, rounds: u64) {
    for _ in 0..rounds {
        expect(system::null());
    }
}

fn yields(_: &State, rounds: u64) {
    (0..rounds).for_each(|_| thread::yield_now());
}

fn calls(state: &State, rounds: u64) {
    for round in 0..rounds {
        let reply = expect(ipc::call(state.port, Tag::SHORT, [round, 1, 2, 3]));
        assert!(reply.words[0] == round + 1, "the server answers");
    }
}

fn long_calls(state: &State, rounds: u64) {
    for round in 0..rounds {
        expect(ipc::call(state.port, Tag::new(256, 0, 0), [round, 0, 0, 0]));
    }
}

/// A server in a process of its own.
fn server_process() -> State {
    let port = expect(ipc::port_create());
    // SAFETY: this program has no other thread that could hold a lock.
    if expect(unsafe { process::fork() }) == 0 {
        serve(port);
    }
    State { port, address: 0 }
}

/// A server in this process.
fn server_thread() -> State {
    let port = expect(ipc::port_create());
    start_thread(server_entry, u64::from(port.0));
    State { port, address: 0 }
}

fn start_thread(entry: extern "C" fn(u64) -> !, argument: u64) {
    let stack = expect(map_anywhere(&Mapping::anonymous(
        STACK,
        Prot::READ | Prot::WRITE,
    )));
    // SAFETY: the stack is fresh and this thread's alone; the entry expects its argument.
    expect(unsafe { thread::create(entry as *const () as u64, stack + STACK - 8, argument, 0) });
}

extern "C" fn server_entry(port: u64) -> ! {
    serve(Handle(port as u32))
}

fn serve(port: Handle) -> ! {
    let mut received = expect(ipc::receive(port, Tag::SHORT));
    loop {
        let [first, ..] = received.words;
        received = expect(ipc::reply_receive(
            port,
            received.token,
            Tag::SHORT,
            [first + 1, 0, 0, 0],
        ));
    }
}

fn maps(_: &State, rounds: u64) {
    for _ in 0..rounds {
        let address = expect(map_anywhere(&Mapping::anonymous(
            PAGE_SIZE,
            Prot::READ | Prot::WRITE,
        )));
        // SAFETY: nothing uses the fresh page.
        expect(unsafe { unmap(SELF, address, PAGE_SIZE) });
    }
}

/// Every second page is touched later, so that each touch is a fault of its own.
fn big_mapping() -> State {
    let length = 4 * 1001 * 32 * PAGE_SIZE;
    let address = expect(map_anywhere(&Mapping::anonymous(
        length,
        Prot::READ | Prot::WRITE,
    )));
    State {
        port: Handle::NONE,
        address,
    }
}

fn faults(state: &State, rounds: u64) {
    // The unmeasured round takes the first page, the measured ones those behind it. Far apart, so that no
    // fault maps a neighbour.
    let skip = u64::from(rounds > 1);
    for round in 0..rounds {
        let page = state.address + (round + skip) * 32 * PAGE_SIZE;
        // SAFETY: the page lies in the mapping, which this program alone uses.
        unsafe { (page as *mut u64).write_volatile(1) };
    }
}

fn forks(_: &State, rounds: u64) {
    for _ in 0..rounds {
        // SAFETY: the child ends at once.
        if expect(unsafe { process::fork() }) == 0 {
            process::exit(0);
        }
        expect(process::wait(WaitFor::Any, 0, wait::EXITED));
    }
}

/// A word that a second thread waits on, and one that tells of its turn.
static WORDS: [core::sync::atomic::AtomicU32; 2] =
    [const { core::sync::atomic::AtomicU32::new(0) }; 2];

fn futex_peer() -> State {
    start_thread(futex_entry, 0);
    State::default()
}

extern "C" fn futex_entry(_: u64) -> ! {
    let mut turn = 0;
    loop {
        wait_for(0, turn + 1);
        turn += 1;
        tell(1, turn);
    }
}

/// One wake and one wait on each side a round.
fn futexes(_: &State, rounds: u64) {
    use core::sync::atomic::Ordering::Relaxed;
    for _ in 0..rounds {
        let turn = WORDS[0].load(Relaxed) + 1;
        tell(0, turn);
        wait_for(1, turn);
    }
}

fn tell(word: usize, value: u32) {
    WORDS[word].store(value, core::sync::atomic::Ordering::Release);
    expect(thread::futex_wake(
        (&raw const WORDS[word]) as u64,
        1,
        u32::MAX,
    ));
}

fn wait_for(word: usize, value: u32) {
    loop {
        let now = WORDS[word].load(core::sync::atomic::Ordering::Acquire);
        if now == value {
            return;
        }
        // A changed word or a signal: look again.
        let _ = thread::futex_wait(
            (&raw const WORDS[word]) as u64,
            now,
            ferrix_abi::ipc::FOREVER,
            u32::MAX,
        );
    }
}

/// Ends the machine with status 0.
pub fn end_machine() -> ! {
    // SAFETY: this program runs in init's place, so the page is there.
    let resource = Handle(unsafe { system::boot_info() }.resource);
    let _ = system::power_off(0, resource);
    process::exit(0)
}
