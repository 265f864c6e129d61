//! New threads.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::sched::Policy;
use ferrix_abi::signal::SignalSet;

use super::kind::{THREADS, TIDS, Thread, work};
use super::{State, current};
use crate::arch::thread::{ArchThread, adopt};
use crate::arch::trace_point::trace_point;
use crate::arch::{TrapFrame, cpu};
use crate::futex::Key;
use crate::mm::{KernelStack, UtcbSlot, tlb};
use crate::object::Core;
use crate::process::{Process, by_pid};
use crate::sched::Parameters;
use crate::signal::queue::SignalQueue;
use crate::trace;

/// How a thread begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Its scheduling parameters.
    pub parameters: Parameters,
    /// CPUs on which it may run.
    pub affinity: u32,
    /// Its signal mask.
    pub mask: SignalSet,
}

/// Numbers that are tried for a thread before one is taken that a process has too.
const TRIES: usize = 64;

/// All CPUs.
pub const ANY_CPU: u32 = u32::MAX;

/// A stack for a thread, taken with interrupts on, which are off.
pub fn new_stack() -> Result<KernelStack> {
    cpu::enable_interrupts();
    let stack = KernelStack::new();
    cpu::disable_interrupts();
    stack
}

/// Makes a thread of a process that is alive; it is not ready yet. Its stack was taken before, with interrupts on.
pub fn create(
    core: &mut Core,
    process: &'static Process,
    frame: &TrapFrame,
    start: Start,
    stack: KernelStack,
) -> Result<&'static Thread> {
    super::reap(core);
    let space = process.space(core).ok_or(Error::NoSuchProcess)?;
    let slot = space.utcb_allocate()?;
    let root = space.root();
    let thread = THREADS
        .take(core)
        .inspect_err(|_| free_slot(core, process, slot))?;
    let arch = ArchThread::new(frame, root, slot.address, stack);
    let tid = allocate_tid(core, process, thread).inspect_err(|_| {
        THREADS.give(core, thread);
        free_slot(core, process, slot);
    })?;
    thread.set_arch(core, arch);
    thread.utcb.set(core, Some(slot));
    if let Some(personality) = process.personality.get(core) {
        thread.arch_mut(core).set_personality(&personality);
    }
    reset(core, thread, process, tid);
    thread.sched.start(core, start.parameters, start.affinity);
    thread.set_affinity(core, start.affinity);
    thread.mark_nice(core);
    thread
        .sender
        .set(core, (process.pid.get(core) as u64) << 32);
    thread.mask.set(core, start.mask);
    thread.prepare_utcb(core, slot.address, tid, process.pid.get(core));
    process.threads.push_back(core, thread);
    process.thread_count.add(core, 1);
    super::end::count(core, thread);
    trace_point(|| trace::begin(core, thread));
    Ok(thread)
}

/// A process's first thread gets the process's own number, as Linux programs expect (gettid(2)); the
/// others a number that no process has, so that a later process finds its own free. The two name spaces are
/// separate all the same: a number that is taken after all is no error.
fn allocate_tid(core: &Core, process: &Process, thread: &'static Thread) -> Result<u32> {
    let pid = process.pid.get(core);
    if process.thread_count.get(core) == 0 && TIDS.claim(core, thread, pid) {
        return Ok(pid);
    }
    for _ in 0..TRIES {
        let tid = TIDS.allocate(core, thread, |_| false)?;
        if by_pid(core, tid).is_none() {
            return Ok(tid);
        }
        TIDS.release(core, tid);
    }
    TIDS.allocate(core, thread, |_| false)
}

fn free_slot(core: &Core, process: &Process, slot: UtcbSlot) {
    if let Some(space) = process.space(core) {
        space.utcb_free(slot.number);
    }
}

/// Puts all that a thread's last user left into the initial state.
fn reset(core: &mut Core, thread: &'static Thread, process: &'static Process, tid: u32) {
    thread.set_process(process);
    thread.tid.set(core, tid);
    thread.state.set(core, State::Stopped);
    let stopped = process.stopped.get(core);
    thread.work.set(core, if stopped { work::STOP } else { 0 });
    thread.server.set(core, None);
    thread
        .token
        .set(core, tid as u64 | thread.token.get(core) & !0xffff_ffff);
    thread.endpoint.set(core, None);
    thread.own.set_server(core, thread);
    thread.timed_out.set(core, false);
    thread.futex.set(core, Key::NONE);
    thread.inherits_from.set(core, 0);
    thread.polls.set(core, None);
    thread.saved_mask.set(core, None);
    thread.awaited.set(core, 0);
    *thread.pending.get_mut(core) = SignalQueue::new();
    thread.clear_address.set(core, 0);
    thread.cycles.set(core, 0);
    thread.system_cycles.set(core, 0);
    thread.switches.set(core, 0);
    thread.preemptions.set(core, 0);
    thread.name.set(core, [0; 2]);
}

/// The child's copy of the calling thread, which returns 0 from the same system call.
pub fn fork_current(
    core: &mut Core,
    child: &'static Process,
    frame: &TrapFrame,
    stack: KernelStack,
) -> Result<&'static Thread> {
    let caller = current();
    let mut copy = *frame;
    copy.rax = 0;
    let start = Start {
        parameters: caller.sched.parameters(core).inherited(),
        affinity: caller.sched.affinity.get(core),
        mask: caller.mask.get(core),
    };
    let thread = create(core, child, &copy, start, stack)?;
    thread.copy_user_part(core, caller);
    match thread.arch_mut(core).inherit_current() {
        Ok(()) => Ok(thread),
        Err(error) => {
            super::dismiss(core, thread);
            Err(error)
        }
    }
}

/// The idle thread of this CPU, which is what the CPU has been running so far.
pub fn idle(core: &mut Core) -> &'static Thread {
    let Ok(thread) = THREADS.take(core) else {
        panic!("no memory for a CPU's idle thread: give the machine more")
    };
    thread.set_arch(core, ArchThread::idle(tlb::kernel_root()));
    let Some(lowest) = Parameters::new(Policy::Idle, 0) else {
        unreachable!("the lowest priority is one")
    };
    thread.sched.start(core, lowest, ANY_CPU);
    thread.state.set(core, State::Running);
    thread.sched.cpu.set(core, cpu::cpu_id() as u8);
    adopt(thread.arch());
    thread
}
