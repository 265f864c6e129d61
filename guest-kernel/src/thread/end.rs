//! The end of threads. Every thread ends itself, on its own stack; whoever finds it dead later, with
//! the core lock held, frees the stack.

use super::kind::{InProcess, THREADS, TIDS, Thread, work};
use super::{State, current, unblock};
use crate::arch::cpu;
use crate::arch::trace_point::trace_point;
use crate::futex;
use crate::ipc;
use crate::mm::uaccess::UserPtr;
use crate::object::core_lock::lock;
use crate::object::list::List;
use crate::object::{Core, CoreCell};
use crate::process;
use crate::sched::queue::InQueue;
use crate::sched::{self, inherit};
use crate::time;
use crate::trace;

/// Threads that have ended. Their stacks are not in use any more: the switch away from them
/// released the core lock last.
static DEAD: List<Thread, InQueue> = List::new();
/// Live threads.
static LIVE: CoreCell<u32> = CoreCell::new(0);

/// Counts a thread.
pub(super) fn count(core: &Core, _: &Thread) {
    LIVE.add(core, 1);
}

/// Live threads.
pub fn live(core: &Core) -> u32 {
    LIVE.get(core)
}

/// Makes a thread end as soon as it would return to user mode.
pub fn kill(core: &mut Core, thread: &'static Thread) {
    thread.add_work(core, work::KILL);
    match thread.state.get(core) {
        State::Stopped => sched::place(core, thread),
        state if state.is_blocked() => {
            unblock(core, thread);
            sched::place(core, thread);
        }
        _ => {}
    }
}

/// Whether the current thread is to end: long work in the kernel stops. Interrupts may be on.
pub fn is_killed() -> bool {
    let state = cpu::interrupts_save_and_disable();
    let killed = current().work.get(&lock()) & work::KILL != 0;
    cpu::interrupts_restore(state);
    killed
}

/// Ends the current thread.
pub fn end_current() -> ! {
    let thread = current();
    futex::robust::release(thread);
    clear_and_wake(thread);
    let process = thread.process();
    let mut core = lock();
    process::runs_no_more(&mut core, thread);
    // Only how its last time counts matters from here on.
    thread.work.set(&core, thread.work.get(&core) & work::NICE);
    trace_point(|| trace::end(&core, thread));
    leave(&mut core, thread);
    if process.thread_count.get(&core) == 0 {
        core = process::finish(core, process, thread);
    } else if let (Some(space), Some(slot)) = (process.space(&core), thread.utcb_slot(&core)) {
        space.utcb_free(slot.number);
    }
    thread.state.set(&core, State::Dead);
    DEAD.push_back(&core, thread);
    let next = sched::next(&core);
    sched::resume(core, next)
}

/// Writes 0 to where the thread asked for it, and wakes who waits there.
fn clear_and_wake(thread: &Thread) {
    let core = lock();
    let address = thread.clear_address.take(&core);
    let alive = thread.process().is_alive(&core);
    drop(core);
    if address == 0 || !alive {
        return;
    }
    cpu::enable_interrupts();
    let written = UserPtr::<u32>::new(address).write(&0);
    let key = futex::key(address, 0);
    cpu::disable_interrupts();
    if let (Ok(()), Ok(key)) = (written, key) {
        futex::wake(&mut lock(), key, 1, u32::MAX);
    }
}

/// Takes a thread out of its process and out of sight.
fn leave(core: &mut Core, thread: &'static Thread) {
    let process = thread.process();
    let (all, system) = process.cycles.get(core);
    let ran = thread.cycles_now(core);
    process
        .cycles
        .set(core, (all + ran, system + thread.system_cycles.get(core)));
    List::<Thread, InProcess>::remove(&process.threads, core, thread);
    process.thread_count.decrement(core);
    process::thread_left(core, process);
    LIVE.decrement(core);
    TIDS.release(core, thread.tid.get(core));
    ipc::thread_ended(core, thread);
    futex::pi::owner_ended(core, thread);
    inherit::ended(core, thread);
}

/// Undoes `create` for a thread that never became ready.
pub fn dismiss(core: &mut Core, thread: &'static Thread) {
    leave(core, thread);
    if let (Some(space), Some(slot)) = (thread.process().space(core), thread.utcb_slot(core)) {
        space.utcb_free(slot.number);
    }
    thread.state.set(core, State::Dead);
    DEAD.push_back(core, thread);
}

/// Stacks that are freed in one section of the core lock.
const REAPED_AT_ONCE: usize = 4;

/// Frees the stacks of some threads that have ended; whether that may have been all.
pub fn reap(core: &mut Core) -> bool {
    for _ in 0..REAPED_AT_ONCE {
        let Some(thread) = DEAD.pop_front(core) else {
            return true;
        };
        drop(thread.take_arch(core));
        thread.pending.get_mut(core).clear();
        thread.state.set(core, State::Free);
        THREADS.give(core, thread);
    }
    false
}

impl Thread {
    /// Cycles that it has run, up to now.
    pub fn cycles_now(&self, core: &Core) -> u64 {
        let running = self.state.get(core) == State::Running;
        let since = || {
            cpu::cpu(self.sched.cpu.get(core) as usize)
                .sched
                .since
                .get(core)
        };
        let now = if running {
            time::cycles().saturating_sub(since())
        } else {
            0
        };
        self.cycles.get(core) + now
    }
}
