//! Faults on purpose, so that tests see them found.

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
        _ => {}
    }
}
