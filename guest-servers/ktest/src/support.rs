//! What tests are made of: failures, children, threads, pages.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::panic::Location;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{FOREVER, MAPS_MAX, MapItem};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{WaitFor, state, wait};
use ferrix_abi::signal::{SignalInfo, SignalSet};
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::memory::{Mapping, SELF, map_anywhere, unmap};
use ferrix_rt::sys::{ipc, process, signal, system, thread, utcb};
use ferrix_rt::{clock, log};

/// A test: its name and what it does.
pub type Test = (&'static str, fn() -> Outcome);
/// How a test, or a part of it, ended.
pub type Outcome = Result<(), Failure>;

/// Why a test failed: where, and what was found instead of what.
#[derive(Debug)]
pub struct Failure(pub String);

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Failure {
        Failure(format!("{}: {error:?}", place(Location::caller())))
    }
}

fn place(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}

/// Fails unless both are equal.
#[track_caller]
pub fn equal<T: PartialEq + core::fmt::Debug>(found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let at = place(Location::caller());
    Err(Failure(format!("{at}: {found:?} instead of {expected:?}")))
}

/// Fails unless the call failed with this error.
#[track_caller]
pub fn fails<T>(result: Result<T, Error>, expected: Error) -> Outcome {
    equal(result.err(), Some(expected))
}

/// Fails unless it holds.
#[track_caller]
pub fn holds(condition: bool, what: &str) -> Outcome {
    let at = place(Location::caller());
    condition
        .then_some(())
        .ok_or_else(|| Failure(format!("{at}: not so: {what}")))
}

/// Fails on `None`.
#[track_caller]
pub fn some<T>(value: Option<T>) -> Result<T, Failure> {
    let at = place(Location::caller());
    value.ok_or_else(|| Failure(format!("{at}: nothing there")))
}

static RESOURCE: AtomicU32 = AtomicU32::new(0);

/// Makes a copy of init's resource that children inherit.
pub fn share_resource() -> Result<(), Error> {
    // SAFETY: called by the process in init's place, which has the page.
    let own = Handle(unsafe { system::boot_info() }.resource);
    let copy = ipc::duplicate(own, Rights::all() - Rights::NO_INHERIT)?;
    RESOURCE.store(copy.0, SeqCst);
    Ok(())
}

/// The handle that allows everything.
pub fn resource() -> Handle {
    Handle(RESOURCE.load(SeqCst))
}

/// Ends the machine.
pub fn power_off(status: u32) -> ! {
    let _ = system::power_off(status, resource());
    process::exit(status << 8)
}

/// Runs `body` in a child: status 0, or `1 << 8` if it fails; its pid.
#[track_caller]
pub fn spawn(body: impl FnOnce() -> Outcome) -> Result<u32, Failure> {
    // SAFETY: tests fork only while their other threads, if any, hold no lock.
    let pid = unsafe { process::fork() }?;
    if pid == 0 {
        let outcome = body();
        process::exit(report(outcome) << 8);
    }
    Ok(pid)
}

fn report(outcome: Outcome) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(Failure(why)) => {
            log!("ktest", "pid {}: {why}", utcb::pid());
            1
        }
    }
}

/// Waits for a child's end; its status.
#[track_caller]
pub fn status_of(pid: u32) -> Result<u32, Failure> {
    let ended = some(process::wait(WaitFor::Pid, pid, wait::EXITED)?)?;
    equal(ended.pid, pid)?;
    Ok(ended.status)
}

/// Waits for a child, which must have succeeded.
#[track_caller]
pub fn succeeded(pid: u32) -> Outcome {
    equal(status_of(pid)?, 0)
}

/// Sends a signal to a process (or, negative, a group).
#[track_caller]
pub fn kill(pid: i32, signo: u32) -> Outcome {
    let info = SignalInfo {
        signo,
        ..Default::default()
    };
    Ok(signal::send(signal::Target::Process, pid, &info)?)
}

/// The set of one signal.
pub fn set_of(signal: u32) -> SignalSet {
    1 << (signal - 1)
}

/// Sleeps; a signal ends it early.
pub fn sleep_ms(milliseconds: u64) {
    let _ = thread::sleep_until(after_ms(milliseconds));
}

/// Succeeds, later.
pub fn after_a_while(milliseconds: u64) -> Outcome {
    sleep_ms(milliseconds);
    Ok(())
}

/// A deadline.
pub fn after_ms(milliseconds: u64) -> u64 {
    clock::monotonic_ns() + milliseconds * 1_000_000
}

/// Waits until every thread of a process waits for something.
pub fn until_asleep(pid: u32) -> Outcome {
    for _ in 0..2000 {
        let info = process::next(pid - 1)?;
        equal(info.pid, pid)?;
        if info.state == state::SLEEPING {
            return Ok(());
        }
        sleep_ms(1);
    }
    Err(Failure(format!("process {pid} does not come to wait")))
}

/// A thread of this process.
pub struct Thread {
    /// Its id.
    pub tid: u32,
    status: &'static Status,
}

struct Status {
    /// 1 until the kernel clears it at the end.
    lives: AtomicU32,
    failed: AtomicU32,
}

struct Start {
    body: Box<dyn FnOnce() -> Outcome>,
    status: &'static Status,
}

const STACK: u64 = 64 * 1024;

/// Starts a thread; its memory goes with the process.
pub fn start_thread(body: impl FnOnce() -> Outcome + 'static) -> Result<Thread, Failure> {
    let status = Box::leak(Box::new(Status {
        lives: AtomicU32::new(1),
        failed: AtomicU32::new(0),
    }));
    let stack = Pages::new(STACK / PAGE_SIZE)?.address;
    let body = Box::new(body);
    let start = Box::into_raw(Box::new(Start { body, status }));
    let entry = thread_main as *const () as u64;
    // SAFETY: the stack is fresh and this thread's alone; the entry expects a `Start`.
    let tid = unsafe { thread::create(entry, stack + STACK - 8, start as u64, 0) }?;
    Ok(Thread { tid, status })
}

extern "C" fn thread_main(start: u64) -> ! {
    // SAFETY: `start_thread` gave the box away to this thread.
    let Start { body, status } = *unsafe { Box::from_raw(start as *mut Start) };
    status.failed.store(report(body()), SeqCst);
    // SAFETY: the status is never freed.
    unsafe { thread::exit(status.lives.as_ptr() as u64) }
}

impl Thread {
    /// Waits for its end; it must have succeeded.
    #[track_caller]
    pub fn join(self) -> Outcome {
        while self.status.lives.load(SeqCst) != 0 {
            wait_while(&self.status.lives, 1);
        }
        equal(self.status.failed.load(SeqCst), 0)
    }
}

/// Waits on a futex once, while it has this value.
pub fn wait_while(word: &AtomicU32, value: u32) {
    // A changed value or a signal: the caller looks again.
    let _ = thread::futex_wait(word.as_ptr() as u64, value, FOREVER, u32::MAX);
}

/// Wakes all who wait on a futex; how many.
pub fn wake_all(word: &AtomicU32) -> Result<u64, Error> {
    thread::futex_wake(word.as_ptr() as u64, u64::from(u32::MAX), u32::MAX)
}

/// Memory of a test; stays mapped until it is unmapped or the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

impl Pages {
    /// Fresh private memory.
    pub fn new(count: u64) -> Result<Pages, Failure> {
        let length = count * PAGE_SIZE;
        let address = map_anywhere(&Mapping::anonymous(length, Prot::READ | Prot::WRITE))?;
        Ok(Pages { address, length })
    }

    /// Fresh private memory whose pages are present.
    pub fn present(count: u64) -> Result<Pages, Failure> {
        let length = count * PAGE_SIZE;
        let mut mapping = Mapping::anonymous(length, Prot::READ | Prot::WRITE);
        mapping.flags |= MapFlags::POPULATE;
        let address = map_anywhere(&mapping)?;
        Ok(Pages { address, length })
    }

    /// Memory that `fork` shares.
    pub fn shared(count: u64) -> Result<Pages, Failure> {
        let length = count * PAGE_SIZE;
        let object = ferrix_rt::sys::memory::object_create(length)?;
        let whole = Mapping::shared(object, length, Prot::READ | Prot::WRITE);
        let address = map_anywhere(&whole)?;
        ipc::close(object)?;
        Ok(Pages { address, length })
    }

    /// The word at the begin of a page.
    pub fn read(&self, page: u64) -> u64 {
        assert!(page * PAGE_SIZE < self.length);
        // SAFETY: the page is this test's; if it is not mapped, the test's process ends.
        unsafe { ((self.address + page * PAGE_SIZE) as *const u64).read_volatile() }
    }

    /// Writes the word at the begin of a page.
    pub fn write(&self, page: u64, value: u64) {
        assert!(page * PAGE_SIZE < self.length);
        // SAFETY: as in `read`; no Rust reference into the page exists.
        unsafe { ((self.address + page * PAGE_SIZE) as *mut u64).write_volatile(value) }
    }

    /// The futex at the begin of the memory.
    pub fn futex(&self) -> &'static AtomicU32 {
        // SAFETY: aligned, mapped as long as the test uses it, and used atomically only.
        unsafe { &*(self.address as *const AtomicU32) }
    }

    /// Unmaps it.
    pub fn unmap(self) -> Outcome {
        // SAFETY: only raw accesses use the pages.
        Ok(unsafe { unmap(SELF, self.address, self.length) }?)
    }

    /// Changes what may be done with it.
    pub fn protect(&self, prot: Prot) -> Result<(), Error> {
        // SAFETY: only raw accesses use the pages.
        unsafe { ferrix_rt::sys::memory::protect(SELF, self.address, self.length, prot) }
    }

    /// As an item of a message.
    pub fn item(&self, mode: ferrix_abi::ipc::MapMode) -> MapItem {
        MapItem {
            address: self.address,
            length: self.length,
            mode: mode.0,
            reserved: 0,
        }
    }
}

/// Puts a page range into the message.
pub fn put_map(index: usize, item: MapItem) {
    // SAFETY: the UTCB is this thread's own and always there.
    unsafe { (*utcb::utcb()).maps[index % MAPS_MAX] = item };
}

/// The received page range.
pub fn received_map(index: usize) -> Pages {
    // SAFETY: as in `put_map`.
    let item = unsafe { (*utcb::utcb()).maps[index % MAPS_MAX] };
    Pages {
        address: item.address,
        length: item.length,
    }
}
