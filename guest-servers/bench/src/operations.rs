//! The operations, in the order of their milestones (`scripts/xtask/src/bench.rs` names them).

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, MapItem, MapMode, Tag, WaitItem, ready};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{WaitFor, wait};
use ferrix_abi::sched::{NORMAL, Policy, REALTIME};
use ferrix_abi::vm::Prot;
use ferrix_rt::clock;
use ferrix_rt::sys::memory::{Mapping, SELF, map_anywhere, unmap};
use ferrix_rt::sys::{ipc, process, system, thread, utcb};

/// What is measured: something prepared once, and the loop.
pub struct Operation {
    /// Makes what the loop needs.
    pub prepare: fn() -> State,
    /// Does the operation so many times.
    pub rounds: fn(&State, u64),
    /// How many.
    pub count: u64,
}

impl Operation {
    const fn new(prepare: fn() -> State, rounds: fn(&State, u64), count: u64) -> Operation {
        Operation {
            prepare,
            rounds,
            count,
        }
    }
}

/// What an operation works on.
#[derive(Default)]
pub struct State {
    port: Handle,
    address: u64,
}

const STACK: u64 = 64 * 1024;

/// How often an operation is done.
const MANY: u64 = 1000;
/// How many slices one takes that is counted in slices, and how long they are. (After 36 somebody takes over who has
/// the lowest priority.)
const TICKS: u64 = 30;
const SLICE_NS: u64 = 10_000_000;
/// How often one that takes long is.
const FEW: u64 = 8;

/// All operations.
pub const ALL: &[Operation] = &[
    Operation::new(State::default, null, MANY),
    Operation::new(State::default, yields, MANY),
    Operation::new(State::default, forks, MANY),
    Operation::new(four_mebibytes, forks, FEW),
    Operation::new(sixteen_mebibytes, forks, FEW),
    Operation::new(sixty_four_mebibytes, forks, FEW),
    Operation::new(State::default, writing_forks, FEW),
    Operation::new(server_process, calls, MANY),
    Operation::new(server_thread, calls, MANY),
    Operation::new(server_process, long_calls, MANY),
    Operation::new(State::default, maps, MANY),
    Operation::new(State::default, touched_maps, MANY),
    Operation::new(scattered, faults, MANY),
    Operation::new(shared_pages, faults, MANY),
    Operation::new(released_pages, faults, MANY),
    Operation::new(server_with_a_page, map_calls, FEW_MAPS),
    Operation::new(server_with_pages, many_map_calls, FEW_MAPS),
    Operation::new(signalled_thread, signals, MANY),
    Operation::new(futex_peer, futexes, MANY),
    Operation::new(yielding_thread, yields, MANY),
    Operation::new(yielding_process, yields, MANY),
    Operation::new(far_below, ticks, TICKS),
];

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

/// Whether the yielding partner should end.
static ENOUGH: AtomicU32 = AtomicU32::new(0);

extern "C" fn yielding_entry(_: u64) -> ! {
    while ENOUGH.load(Relaxed) == 0 {
        thread::yield_now();
    }
    // SAFETY: nothing is to be cleared.
    unsafe { thread::exit(0) }
}

/// A second thread that does nothing but yield: each yield switches to the other one.
fn yielding_thread() -> State {
    start_thread(yielding_entry, 0);
    State::default()
}

/// The same in a process of its own.
fn yielding_process() -> State {
    ENOUGH.store(1, Relaxed);
    thread::yield_now();
    // SAFETY: this program has no other thread that could hold a lock.
    let pid = expect(unsafe { process::fork() });
    if pid == 0 {
        loop {
            thread::yield_now();
        }
    }
    PARTNER.store(pid, Relaxed);
    State::default()
}

/// The process of [`yielding_process`].
static PARTNER: AtomicU32 = AtomicU32::new(0);

/// This thread goes to the top of the time-shared priorities, the yielding process to their bottom: the last operation, for
/// there is no way back.
fn far_below() -> State {
    let (top, bottom) = (*NORMAL.end(), *NORMAL.start());
    let partner = PARTNER.load(Relaxed);
    expect(thread::set_scheduling(
        partner,
        Policy::Other,
        bottom,
        Handle::NONE,
    ));
    expect(thread::set_scheduling(0, Policy::Other, top, Handle::NONE));
    // Who uses up slices sinks: what is measured begins when this process has, and with the other one at the bottom.
    let state = State::default();
    ticks(&state, 8);
    expect(thread::set_scheduling(
        partner,
        Policy::Other,
        bottom,
        Handle::NONE,
    ));
    state
}

/// Computes for so many slices: as another thread waits, the timer interrupts at the end of each, to no effect. Where
/// the host has other work, it does so less often.
fn ticks(_: &State, rounds: u64) {
    let end = clock::monotonic_ns() + rounds * SLICE_NS;
    while clock::monotonic_ns() < end {
        core::hint::spin_loop();
    }
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

/// How often pages are sent: the server keeps what it is sent.
const FEW_MAPS: u64 = 100;
/// Pages of one message that carries many.
const PAGES: u64 = 64;

fn server_with_a_page() -> State {
    server_with(1)
}

fn server_with_pages() -> State {
    server_with(PAGES)
}

/// A server in a process of its own, and so many touched pages to send.
fn server_with(pages: u64) -> State {
    let address = map_memory(pages * PAGE_SIZE);
    for page in (address..address + pages * PAGE_SIZE).step_by(PAGE_SIZE as usize) {
        // SAFETY: the page lies in the fresh mapping.
        unsafe { (page as *mut u64).write_volatile(1) };
    }
    State {
        address,
        ..server_process()
    }
}

fn map_calls(state: &State, rounds: u64) {
    send_pages(state, 1, rounds);
}

fn many_map_calls(state: &State, rounds: u64) {
    send_pages(state, PAGES, rounds);
}

fn send_pages(state: &State, pages: u64, rounds: u64) {
    let item = MapItem {
        address: state.address,
        length: pages * PAGE_SIZE,
        mode: MapMode::SHARE_READ.0,
        reserved: 0,
    };
    for round in 0..rounds {
        // SAFETY: the block is this thread's own.
        unsafe { (*utcb::utcb()).maps[0] = item };
        expect(ipc::call(state.port, Tag::new(0, 0, 1), [round, 0, 0, 0]));
    }
}

/// Badges of the sessions on which [`signals`] and its partner wait.
const HERE: u32 = 1;
const THERE: u32 = 2;
/// The partner's port and session.
static SIGNALLED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// A second thread, which waits for its session to be ready and then makes the first one's ready.
fn signalled_thread() -> State {
    let port = expect(ipc::port_create());
    let session = |badge| expect(ipc::session_create(port, badge, 0));
    let (here, there) = (session(HERE), session(THERE));
    SIGNALLED[0].store(port.0, Relaxed);
    SIGNALLED[1].store(there.0, Relaxed);
    start_thread(signalled_entry, 0);
    State {
        port,
        address: here.0.into(),
    }
}

extern "C" fn signalled_entry(_: u64) -> ! {
    let [port, session] = [0, 1].map(|index| Handle(SIGNALLED[index].load(Relaxed)));
    loop {
        await_signal(port, session, THERE);
        expect(ipc::session_signal(port, HERE, ready::READABLE, 0));
    }
}

/// Each side once tells the other, waits, and takes its own signal back.
fn signals(state: &State, rounds: u64) {
    for _ in 0..rounds {
        expect(ipc::session_signal(state.port, THERE, ready::READABLE, 0));
        await_signal(state.port, Handle(state.address as u32), HERE);
    }
}

fn await_signal(port: Handle, session: Handle, badge: u32) {
    let mut item = WaitItem {
        handle: session.0,
        want: ready::READABLE,
        ..WaitItem::default()
    };
    expect(ipc::wait_many(core::slice::from_mut(&mut item), FOREVER));
    expect(ipc::session_signal(port, badge, 0, ready::READABLE));
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
    let stack = map_memory(STACK);
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
        let address = map_memory(PAGE_SIZE);
        // SAFETY: nothing uses the fresh page.
        expect(unsafe { unmap(SELF, address, PAGE_SIZE) });
    }
}

fn touched_maps(_: &State, rounds: u64) {
    for _ in 0..rounds {
        let address = map_memory(PAGE_SIZE);
        // SAFETY: as in `faults`; nothing uses the page afterwards.
        unsafe {
            (address as *mut u64).write_volatile(1);
            expect(unmap(SELF, address, PAGE_SIZE));
        }
    }
}

fn map_memory(length: u64) -> u64 {
    expect(map_anywhere(&Mapping::anonymous(
        length,
        Prot::READ | Prot::WRITE,
    )))
}

/// From one page that [`faults`] touches to the next.
const APART: u64 = 32 * PAGE_SIZE;

/// Memory for [`faults`]: what is touched lies so far apart that each touch is a fault of its own.
fn scattered() -> State {
    State {
        port: Handle::NONE,
        address: map_memory((MANY + 1) * APART),
    }
}

/// The same, all touched and then shared with a child: each write copies a page.
fn shared_pages() -> State {
    let state = scattered();
    faults(&state, 1);
    faults(&state, MANY);
    let port = expect(ipc::port_create());
    // SAFETY: this program has no other thread that could hold a lock.
    if expect(unsafe { process::fork() }) == 0 {
        // Nobody sends: the child only keeps the pages.
        expect(ipc::receive(port, Tag::SHORT));
    }
    state
}

/// The same, but the child has ended: each write finds that the page has no other owner.
fn released_pages() -> State {
    let state = scattered();
    faults(&state, 1);
    faults(&state, MANY);
    forks(&state, 1);
    state
}

fn four_mebibytes() -> State {
    touch_more(4)
}

fn sixteen_mebibytes() -> State {
    touch_more(16 - 4)
}

fn sixty_four_mebibytes() -> State {
    touch_more(64 - 16)
}

/// What [`touch_more`] mapped last.
static TOUCHED: AtomicU64 = AtomicU64::new(0);

/// Maps and touches so many MiB, which stay.
fn touch_more(mebibytes: u64) -> State {
    let address = map_memory(mebibytes << 20);
    TOUCHED.store(address, Relaxed);
    for page in (address..address + (mebibytes << 20)).step_by(PAGE_SIZE as usize) {
        // SAFETY: the page lies in the fresh mapping.
        unsafe { (page as *mut u64).write_volatile(1) };
    }
    State::default()
}

fn faults(state: &State, rounds: u64) {
    // The unmeasured round takes the first page, the measured ones those behind it. Far apart, so that no
    // fault maps a neighbour.
    let skip = u64::from(rounds > 1);
    for round in 0..rounds {
        let page = state.address + (round + skip) * APART;
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

/// As [`forks`], but the child writes one page in the middle of what was touched.
fn writing_forks(_: &State, rounds: u64) {
    let page = TOUCHED.load(Relaxed) + (8 << 20);
    for _ in 0..rounds {
        // SAFETY: the child ends at once.
        if expect(unsafe { process::fork() }) == 0 {
            // SAFETY: the page was touched, and nothing uses it.
            unsafe { (page as *mut u64).write_volatile(2) };
            process::exit(0);
        }
        expect(process::wait(WaitFor::Any, 0, wait::EXITED));
    }
}

/// Whoever waits, in this process: as programs' mutexes do.
const ANY: u64 = u32::MAX as u64 | ferrix_abi::futex::PRIVATE;

/// A word that a second thread waits on, and one that tells of its turn.
static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// From here on in SCHED_FIFO, so that the ends of slices are not counted with what is measured.
fn futex_peer() -> State {
    // SAFETY: this program runs in init's place, so the page is there.
    let resource = Handle(unsafe { system::boot_info() }.resource);
    expect(thread::set_scheduling(
        0,
        Policy::Fifo,
        *REALTIME.start(),
        resource,
    ));
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
    for _ in 0..rounds {
        let turn = WORDS[0].load(Relaxed) + 1;
        tell(0, turn);
        wait_for(1, turn);
    }
}

fn tell(word: usize, value: u32) {
    WORDS[word].store(value, Release);
    expect(thread::futex_wake_with(
        (&raw const WORDS[word]) as u64,
        1,
        ANY,
    ));
}

fn wait_for(word: usize, value: u32) {
    loop {
        let now = WORDS[word].load(Acquire);
        if now == value {
            return;
        }
        // A changed word or a signal: look again.
        let _ = thread::futex_wait_with(
            (&raw const WORDS[word]) as u64,
            now,
            ferrix_abi::ipc::FOREVER,
            ANY,
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
