//! System calls: the dispatcher, and a file for each group of calls.
//!
//! A handler has one signature: it gets the caller's registers, puts the result into them, and
//! returns who runs next. It first decodes, which may fail and changes nothing, then does what was asked.
//!
//! Calls arrive with interrupts off and leave them off. Those that work on memory turn them on in
//! between ([`unlocked`]), so that they can be preempted.

mod dispatch;
mod handle;
mod identity;
mod inspect;
mod limit;
mod machine;
mod memory;
mod paging;
mod permission;
mod port;
mod process;
mod resident;
mod schedule;
mod signal;
mod table;
mod thread;
mod time;
mod wait;

pub use dispatch::Entry;
pub use table::TABLE;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::process::ARGUMENTS_MAX;

use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::mm::uaccess::UserSlice;
use crate::object::core_lock::lock;
use crate::sched::local;
use crate::thread::{current, work};

use arrayvec::ArrayVec;

/// Runs `f` with interrupts on: for work on memory. The core lock is not held. The time counts as
/// the kernel's.
pub fn unlocked<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let start = current().cycles_now(&lock());
    cpu::enable_interrupts();
    let result = f();
    cpu::disable_interrupts();
    let core = lock();
    // While another thread had the CPU this one did not work.
    let spent = current().cycles_now(&core).wrapping_sub(start);
    for cycles in [&current().system_cycles, &local().system_cycles] {
        cycles.set(&core, cycles.get(&core).wrapping_add(spent));
    }
    if current().work.get(&core) & work::NICE != 0 {
        let cycles = &local().nice_system_cycles;
        cycles.set(&core, cycles.get(&core).wrapping_add(spent));
    }
    result
}

/// Copies a process's arguments, cut to what is kept, from user memory.
fn read_arguments(address: u64, length: u64) -> Result<ArrayVec<u8, ARGUMENTS_MAX>> {
    let length = usize::try_from(length)
        .map_err(|_| Error::Invalid)?
        .min(ARGUMENTS_MAX);
    let mut text = [0; ARGUMENTS_MAX];
    UserSlice::<u8>::new(address, length).read(&mut text[..length])?;
    Ok(text[..length].iter().copied().collect())
}
