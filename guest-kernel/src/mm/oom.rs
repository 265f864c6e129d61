//! When no page can be had: servers give pages back, or one process is killed; who needs the page waits.
//!
//! Servers that keep pages which they could give back are asked first (see [`shortage`]). When none of them has
//! any, this rule follows: of all processes but init and the servers (those that have ever received a call), the one with
//! the most pages present; of several, the youngest. The first program, whose end is the end of the machine, comes
//! last: when there is no other. The victim is killed with a line in the log. There is one at a time; if its memory is not enough, the next one follows. A thread that waits holds no lock
//! and tries again when a process has given its memory back, so the system goes on with whoever is
//! left. When nobody can be killed the touch fails: the process that made it is killed, or its system call
//! gets `NoMemory`.

use core::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;
use ferrix_abi::signal::number::SIGKILL;

use super::frame;
use crate::arch::cpu;
use crate::ipc::shortage;
use crate::object::core_lock::{CoreGuard, lock};
use crate::object::list::List;
use crate::object::{Core, CoreCell};
use crate::process::{self, InitPid, Life, NAME, PIDS, Process};
use crate::sched;
use crate::sched::queue::InQueue;
use crate::thread::{self, State, Thread, current, work};
use crate::time;

/// What became of a wish for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// Some may be free now.
    TryAgain,
    /// There is none to be had, or the thread itself is to end.
    None,
}

/// Threads that wait for memory.
static WAITERS: List<Thread, InQueue> = List::new();
/// The process killed last: its id, and when it started.
static VICTIM: CoreCell<(u32, u64)> = CoreCell::new((0, 0));

/// When that was, in monotonic nanoseconds.
static KILLED_NS: CoreCell<u64> = CoreCell::new(0);

/// Frames beyond what the thread has to leave that are enough to go on.
const ENOUGH: u64 = 16;
/// So long after a kill the first program is safe: what servers keep for a victim comes back a little later.
const GRACE_NS: u64 = 3_000_000_000;
/// A victim's memory that goes elsewhere is noticed after this time, in nanoseconds.
const PATIENCE_NS: u64 = 20_000_000;
/// So often is waited for pages that others may take.
const ROUNDS: u32 = 500;

/// The running thread, which holds no lock, needs a page and there is none: waits for one.
pub fn wait_for_memory() -> Relief {
    let state = cpu::interrupts_save_and_disable();
    let relief = relieve();
    cpu::interrupts_restore(state);
    relief
}

fn relieve() -> Relief {
    let mut core = lock();
    let caller = current();
    if frame::has_room_for(ENOUGH) {
        return Relief::TryAgain;
    }
    if !is_dying(&core) && !shortage::may_give(&mut core, caller.process()) {
        let Some(victim) = choose(&core) else {
            return Relief::None;
        };
        if !is_safe(&core, victim) {
            let killed = kill(&mut core, victim);
            drop(core);
            killed.log();
            return Relief::TryAgain;
        }
    }
    if caller.work.get(&core) & work::KILL != 0 {
        return Relief::None;
    }
    if wait(core, caller) {
        Relief::TryAgain
    } else {
        Relief::None
    }
}

/// Waits until memory was given back, or for a while. Whether the thread may go on, and is not killed.
fn wait(core: CoreGuard, caller: &'static Thread) -> bool {
    WAITERS.push_back(&core, caller);
    thread::bound(&core, caller, time::now_ns() + PATIENCE_NS);
    sched::block_inside(core, caller, State::Memory);
    current().work.get(&lock()) & work::KILL == 0
}

/// The running thread, which holds no lock, waits until so many pages are free, or no server can give any
/// back, or others take all that is given. Nobody is killed. How many are free then.
pub fn wait_for_pages(wanted: u64) -> u64 {
    let state = cpu::interrupts_save_and_disable();
    for _ in 0..ROUNDS {
        let mut core = lock();
        let caller = current();
        let goes_on = frame::statistics().0 < wanted
            && caller.work.get(&core) & work::KILL == 0
            && shortage::may_give(&mut core, caller.process());
        if !goes_on || !wait(core, caller) {
            break;
        }
    }
    cpu::interrupts_restore(state);
    frame::statistics().0
}

/// Whether the last victim still has its memory.
fn is_dying(core: &Core) -> bool {
    let (pid, start_ns) = VICTIM.get(core);
    PIDS.get(core, pid).is_some_and(|process| {
        process.start_ns.get(core) == start_ns && process.life.get(core) == Life::Ending
    })
}

/// Whether it is the first program, and somebody else has just been killed.
fn is_safe(core: &Core, victim: &Process) -> bool {
    let killed = KILLED_NS.get(core);
    victim.is_first.get(core) && killed != 0 && time::now_ns() < killed + GRACE_NS
}

/// The victim by the rule.
fn choose(core: &Core) -> Option<&'static Process> {
    let mut previous = 0;
    let mut most = (false, 0, 0);
    let mut victim = None;
    while let Some((pid, process)) = PIDS.next_used(core, previous) {
        previous = pid;
        let exempt = pid == InitPid::PID
            || process.serves.load(Relaxed)
            || process.life.get(core) != Life::Alive;
        let Some(space) = process.space(core).filter(|_| !exempt) else {
            continue;
        };
        let pages = space.usage().resident_pages;
        // The younger of equals has started later.
        let forked = !process.is_first.get(core);
        let weight = (forked, pages, process.start_ns.get(core));
        if pages != 0 && weight > most {
            (most, victim) = (weight, Some(process));
        }
    }
    victim
}

/// What is said of a victim.
struct Killed {
    pid: u32,
    pages: u64,
    name: ArrayVec<u8, NAME>,
}

fn kill(core: &mut Core, victim: &'static Process) -> Killed {
    let pid = victim.pid.get(core);
    let pages = victim
        .space(core)
        .map_or(0, |space| space.usage().resident_pages);
    let name = victim.name(core);
    VICTIM.set(core, (pid, victim.start_ns.get(core)));
    KILLED_NS.set(core, time::now_ns());
    process::kill(core, victim, SIGKILL);
    Killed { pid, pages, name }
}

impl Killed {
    /// A line takes long: not under the core lock.
    fn log(&self) {
        log!(
            "out of memory: killed pid {} ({}), which has {} pages",
            self.pid,
            core::str::from_utf8(&self.name).unwrap_or("?"),
            self.pages
        );
    }
}

/// A process or a server has given memory back.
pub fn memory_freed(core: &Core) {
    if shortage::is_watched(core) {
        frame::watch_low_water();
    }
    while let Some(thread) = WAITERS.first(core) {
        look_again(core, thread);
    }
}

/// A thread that waits for memory tries again.
pub fn look_again(core: &Core, thread: &'static Thread) {
    withdraw(core, thread);
    thread.disarm(core);
    sched::wake(core, thread);
}

/// A thread waits for memory no longer.
pub fn withdraw(core: &Core, thread: &'static Thread) {
    WAITERS.remove(core, thread);
}
