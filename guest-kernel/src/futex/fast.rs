//! The fast path: waking one thread that may wait its turn here, and waiting while another thread is ready here.
//!
//! As for messages (`ipc::fast`), each function first checks that the case is the usual one: a private word, no
//! deadline, nothing unusual about the threads, one CPU, a slice that is timed already. If not, it returns and has
//! changed nothing.

use ferrix_abi::futex::PRIVATE;
use ferrix_abi::ipc::FOREVER;

use super::Key;
use super::operations::bucket;
use crate::arch::TrapFrame;
use crate::arch::cpu::{self, PerCpu};
use crate::mm::uaccess::UserPtr;
use crate::object::Core;
use crate::object::core_lock::try_lock;
use crate::process::with_space_of;
use crate::sched;
use crate::thread::{State, Thread, current};

/// The key of a private word; nothing if the address is wrong or the word may be shared.
#[inline(always)]
fn private_key(caller: &Thread, address: u64, how: u64) -> Option<Key> {
    let usual = address.is_multiple_of(4) && how & PRIVATE != 0;
    usual.then(|| with_space_of(caller, |space| Key::private(space.id(), address)))
}

/// `FutexWake` of one thread at most; whether it is done.
#[inline(always)]
pub fn try_wake(frame: &mut TrapFrame) -> bool {
    let [address, count, how, ..] = frame.arguments();
    let (cpu, caller) = (cpu::this_cpu(), current());
    let Some(key) = private_key(caller, address, how).filter(|_| count == 1) else {
        return false;
    };
    let Some(core) = try_lock() else {
        return false;
    };
    let Some(waiter) = bucket(key).first(&core) else {
        frame.rax = 0;
        return true;
    };
    let found = waiter.futex.get(&core) == key && waiter.futex_bits.get(&core) & how as u32 != 0;
    if !found || !may_queue(&core, cpu, caller, waiter) {
        return false;
    }
    let _ = bucket(key).pop_front(&core);
    waiter.state.set(&core, State::Ready);
    let priority = waiter.sched.priority.get(&core);
    cpu.sched.queue.push_back(&core, waiter, priority);
    frame.rax = 1;
    true
}

/// Whether a thread that wakes up only has to be put into this CPU's run queue.
#[inline(always)]
fn may_queue(core: &Core, cpu: &PerCpu, waker: &Thread, waiter: &Thread) -> bool {
    waiter.work.get(core) == 0
        && cpu::cpu_count() == 1
        && !waiter.sched.rises(core)
        && waiter.sched.priority.get(core) <= waker.sched.priority.get(core)
        && sched::is_timed(core, cpu)
}

/// `FutexWait` without a deadline, if the word has not changed and another thread is ready here: then it does not return.
#[inline(always)]
pub fn try_wait(frame: &mut TrapFrame) {
    let [address, expected, deadline, how, ..] = frame.arguments();
    let (cpu, caller) = (cpu::this_cpu(), current());
    let Some(key) = private_key(caller, address, how).filter(|_| deadline == FOREVER) else {
        return;
    };
    let Some(core) = try_lock() else {
        return;
    };
    let unchanged = UserPtr::<u32>::new(address).peek(&core) == Some(expected as u32);
    if !unchanged || how as u32 == 0 || caller.work.get(&core) != 0 {
        return;
    }
    let Some(next) = sched::only_next(&core, cpu) else {
        return;
    };
    frame.rax = 0;
    caller.futex.set(&core, key);
    caller.futex_bits.set(&core, how as u32);
    bucket(key).push_back(&core, caller);
    caller.state.set(&core, State::Futex);
    sched::hand_over(core, cpu, caller, next)
}
