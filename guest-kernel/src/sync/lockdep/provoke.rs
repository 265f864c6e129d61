//! Faults on purpose, so that tests see them found.

use alloc::vec::Vec;
use core::hint::black_box;

use ferrix_abi::layout::PAGE_SIZE;

use crate::arch::cpu;
use crate::object::core_lock;
use crate::sync::SpinLock;

static FIRST: SpinLock<()> = SpinLock::new(());
static SECOND: SpinLock<()> = SpinLock::new(());
static ALIKE: [SpinLock<()>; 2] = [const { SpinLock::new(()) }; 2];

/// Does what the word `lockdep=FAULT` of the command line asks for, while booting.
pub fn provoke(fault: &str) {
    match fault {
        "order" => {
            let first = FIRST.lock();
            drop(SECOND.lock());
            drop(first);
            let _second = SECOND.lock();
            drop(FIRST.lock());
        }
        "class" => {
            let _one = ALIKE[0].lock();
            drop(ALIKE[1].lock());
        }
        "switch" => {
            let _held = FIRST.lock();
            cpu::disable_interrupts();
            core_lock::lock().leave();
        }
        "block" => core_lock::with_lock(|_| {
            drop(black_box(Vec::<u8>::with_capacity(2 * PAGE_SIZE as usize)));
        }),
        _ => {}
    }
}
