//! What happens when deadlines pass; programming the CPU's timer.

use ferrix_machine::trace::TIMER;

use super::queue;
use crate::arch::trace_point::count_interrupt;
use crate::arch::{apic, cpu};
use crate::ipc::{self, PortTimer};
use crate::object::Core;
use crate::object::core_lock::try_lock;
use crate::process::{self, Process};
use crate::sched::{self, CpuSched, Work};
use crate::thread::Thread;
use crate::{signal, thread, time};

/// Whose deadline it is.
#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// A thread's wait.
    Thread(&'static Thread),
    /// A port's timer.
    Port(&'static PortTimer),
    /// A process's alarm.
    Alarm(&'static Process),
    /// A look at a process's CPU time.
    CpuLimit(&'static Process),
}

/// A timer of the kernel's.
pub type Timer = queue::Timer<Owner>;

/// How often the loads are looked at, in nanoseconds.
const REFRESH_NS: u64 = 500_000_000;

/// Arms a timer on this CPU; a new deadline replaces the old one.
pub fn set(core: &Core, timer: &'static Timer, deadline: u64, owner: Owner) {
    timer.cancel(core);
    let sched = sched::local();
    sched.timers.insert(core, timer, deadline, owner);
    arm(core, sched, time::tsc_at(deadline));
}

/// Makes sure that this CPU's timer interrupts at a time stamp or before.
///
/// A timer that is set earlier stays: its interrupt finds nothing due and sets it anew.
#[inline(always)]
pub fn arm(core: &Core, sched: &CpuSched, deadline: u64) {
    let armed = sched.armed.get(core);
    if armed == 0 || deadline < armed {
        sched.armed.set(core, deadline);
        apic::set_timer(deadline.max(1));
    }
}

/// The timer interrupt.
pub fn interrupt() {
    count_interrupt(TIMER);
    sched::defer(Work::Timer, expired);
}

/// The timer interrupt of a program, if all there is to it is that a slice is over and nobody takes over, which is what
/// a busy CPU has most. Not 0: [`interrupt_after_all`] is to see what there is.
pub extern "C" fn interrupt_of_program() -> u32 {
    apic::eoi();
    count_interrupt(TIMER);
    let Some(core) = try_lock() else {
        return 1;
    };
    let cpu = cpu::this_cpu();
    let sched = &cpu.sched;
    let now = time::cycles();
    let end = sched.slice_end.get(&core);
    if end == 0 || end > now || !sched.timers.is_empty(&core) {
        return 1;
    }
    let Some(end) = sched::slice_expired_below_top(&core, sched, now) else {
        return 1;
    };
    sched.armed.set(&core, end);
    if end == 0 {
        return cpu.work();
    }
    if now >= sched.look.get(&core) {
        return look_too(&core, now, end);
    }
    drop(core);
    apic::set_timer(end);
    cpu::this_cpu().work()
}

/// The end of [`interrupt_of_program`] if it is time to look at the loads.
#[cold]
#[inline(never)]
fn look_too(core: &Core, now: u64, end: u64) -> u32 {
    apic::set_timer(end);
    let cpu = cpu::this_cpu();
    look(core, &cpu.sched, now);
    cpu.work()
}

/// Looks at the loads.
fn look(core: &Core, sched: &CpuSched, now: u64) {
    sched.look.set(core, now + time::ns_to_cycles(REFRESH_NS));
    sched::refresh_hint(core);
    sched::sample_load(core, time::ns_at(now));
}

/// What [`interrupt_of_program`] has left.
pub fn interrupt_after_all() {
    sched::defer(Work::Timer, expired);
}

/// Handles all that is due, and sets the timer for what is not.
pub fn expired(core: &mut Core) {
    let sched = sched::local();
    let now = time::cycles();
    let now_ns = time::ns_at(now);
    if sched.timers.earliest(core).is_some_and(|due| due <= now_ns) {
        pop_due(core, sched, now_ns);
    }
    let end = sched.slice_end.get(core);
    if end != 0 && end <= now {
        sched::slice_expired(core, sched, now);
    }
    if now >= sched.look.get(core) {
        look(core, sched, now);
    }
    let next = sched.timers.earliest(core).map_or(u64::MAX, time::tsc_at);
    let end = sched.slice_end.get(core);
    let next = if end != 0 { next.min(end) } else { next };
    if next != u64::MAX {
        sched.armed.set(core, next);
        apic::set_timer(next.max(1));
    } else {
        sched.armed.set(core, 0);
    }
}

#[inline(never)]
fn pop_due(core: &mut Core, sched: &'static CpuSched, now: u64) {
    // What is armed meanwhile is looked at afterwards.
    sched.armed.set(core, 1);
    while let Some(owner) = sched.timers.pop_due(core, now) {
        match owner {
            Owner::Thread(thread) => thread::expired(core, thread),
            Owner::Port(timer) => ipc::port_timer_expired(core, timer),
            Owner::Alarm(process) => signal::alarm_expired(core, process, now),
            Owner::CpuLimit(process) => process::cpu_watched(core, process),
        }
    }
}
