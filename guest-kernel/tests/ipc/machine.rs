//! Runs system calls on the CPUs, and what the kernel does before it returns from them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use ferrix_abi::error::Result;
use ferrix_abi::ipc::{FOREVER, WaitItem};

use crate::arch::TrapFrame;
use crate::arch::cpu::{self, CPUS};
use crate::arch::thread::{Switched, find_lock};
use crate::object::core_lock::lock;
use crate::process::Process;
use crate::sched::{self, Next, Parameters};
use crate::thread::{self, ANY_CPU, Start, State, Thread, current};
use crate::{ipc, time, timer};

/// Where programs make their system calls, and go on behind them.
pub const PROGRAM: u64 = 0x40_0000;

/// What has happened to threads on their way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It has ended.
    Ended(u32),
    /// It has taken its signal.
    Signalled(u32),
}

static NOTES: Mutex<Vec<Note>> = Mutex::new(Vec::new());

/// From the stand-ins that the kernel calls then.
pub fn note(note: Note) {
    NOTES.lock().expect("one thread").push(note);
}

/// What has happened since the last time.
pub fn notes() -> Vec<Note> {
    core::mem::take(&mut NOTES.lock().expect("one thread"))
}

/// Starts the CPUs.
pub fn start() {
    core::mem::forget(ferrix_kernel::mm::host::memory());
    find_lock();
    for id in 0..CPUS {
        cpu::go_to(id);
        let mut core = lock();
        let idle = thread::idle(&mut core);
        idle.sched.cpu.set(&core, id as u8);
        sched::local().idle.set(&core, Some(idle));
    }
}

/// A thread of a process, ready to run.
pub fn spawn(process: &'static Process, priority: u8) -> u32 {
    let mut core = lock();
    let start = Start {
        parameters: Parameters::from_priority(priority).expect("a priority"),
        affinity: ANY_CPU,
        mask: 0,
    };
    let frame = TrapFrame::user(PROGRAM, 0, 0);
    drop(core);
    let stack = thread::new_stack().expect("there is memory");
    core = lock();
    let thread = thread::create(&mut core, process, &frame, start, stack);
    let thread = thread.expect("there is memory");
    sched::place(&core, thread);
    thread.tid.get(&core)
}

/// Does something that may end in a switch.
fn run(work: impl FnOnce()) {
    if let Err(end) = catch_unwind(AssertUnwindSafe(work))
        && !end.is::<Switched>()
    {
        resume_unwind(end);
    }
}

/// The frame of the thread that runs here, as the kernel's entry finds it.
#[expect(unsafe_code, reason = "as the kernel's")]
fn current_frame<'a>() -> &'a mut TrapFrame {
    // SAFETY: as in the kernel: the running thread's frame, which only it and its system call use.
    unsafe { (*current().arch()).frame() }
}

/// The thread that runs here makes a system call.
pub fn system_call(registers: [u64; 7], call: impl FnOnce(&mut TrapFrame) -> Next) {
    let frame = current_frame();
    [
        frame.rax, frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ] = registers;
    run(|| {
        if let Next::Switch(core, next) = call(frame) {
            sched::resume(core, next);
        }
    });
}

/// Whether this CPU has nothing to run.
pub fn is_idle() -> bool {
    current().is_idle()
}

/// Returns to user mode here, with all that comes first. There may be nothing to return to.
pub fn settle() {
    loop {
        if !is_idle() {
            if cpu::this_cpu().work() == 0 {
                return;
            }
            run(|| sched::user_return_work(current_frame()));
            continue;
        }
        let mut core = lock();
        cpu::this_cpu().clear_need_resched();
        let Some(next) = sched::local().queue.pop(&core) else {
            thread::reap(&mut core);
            return;
        };
        current().state.set(&core, State::Ready);
        run(|| sched::resume(core, next));
    }
}

/// The slice of the thread that runs here is over.
pub fn end_slice() {
    let core = lock();
    sched::local().slice_over.set(&core, true);
    cpu::this_cpu().set_need_resched();
    drop(core);
    settle();
}

/// This CPU's timer interrupts.
pub fn expire() {
    timer::expired(&mut lock());
}

/// `WaitMany`, on items of the test's.
pub fn wait_many(frame: &mut TrapFrame, items: &mut [WaitItem], deadline: u64) -> Next {
    let expired = deadline != FOREVER && time::now_ns() >= deadline;
    let mut core = lock();
    let caller = current();
    let waits = !expired && !thread::is_interrupted(&core, caller, true);
    let process = caller.process();
    let found: Result<u64> = ipc::poll(&mut core, process, items, waits.then_some(caller));
    if found == Ok(0) && !expired {
        return thread::wait(core, caller, frame, State::Poll, deadline);
    }
    drop(core);
    Next::result(frame, found)
}

/// The thread that runs here.
pub fn running() -> &'static Thread {
    current()
}

/// [`end_slice`], where somebody has one.
pub fn end_slice_unless_idle() {
    if !is_idle() {
        end_slice();
    }
}
