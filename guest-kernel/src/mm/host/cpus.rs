//! Several CPUs, each a thread of the test, with the little of them that shoot-downs need.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence};
use std::collections::BTreeMap;

use super::MAX_CPUS;
use crate::mm::phys::PhysAddr;

static COUNT: AtomicUsize = AtomicUsize::new(1);
static PENDING: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// What an interrupt does, in tests that have some.
#[cfg(test)]
pub type Handler = fn();

std::thread_local! {
    static MASKED: Cell<bool> = const { Cell::new(false) };
    #[cfg(test)]
    static HANDLER: Cell<Option<Handler>> = const { Cell::new(None) };
    static ID: Cell<usize> = const { Cell::new(0) };
    static TRANSLATIONS: RefCell<BTreeMap<u64, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// One, unless a test says otherwise.
pub fn cpu_count() -> usize {
    COUNT.load(Relaxed)
}

/// From now on there are so many.
#[cfg(test)]
pub fn set_count(cpus: usize) {
    COUNT.store(cpus, Relaxed);
}

/// Number 0, unless a test says otherwise.
pub fn cpu_id() -> usize {
    ID.get()
}

/// From now on this thread stands for another CPU.
#[cfg(test)]
pub fn run_on(cpu: usize) {
    ID.set(cpu);
}

/// The translation of an address, from this CPU's TLB; else as `walk` finds it, which the TLB then keeps.
#[cfg(test)]
pub fn translate(address: u64, walk: impl FnOnce() -> Option<u64>) -> Option<u64> {
    TRANSLATIONS.with_borrow_mut(|known| {
        let found = known.get(&address).copied().or_else(walk)?;
        known.insert(address, found);
        Some(found)
    })
}

/// From now on an interrupt comes to this CPU before it forgets a translation, unless interrupts are off.
#[cfg(test)]
pub fn handle_interrupts(handler: Handler) {
    HANDLER.set(Some(handler));
}

/// Does something that no interrupt comes into.
pub fn without_interrupts(work: impl FnOnce()) {
    let before = MASKED.replace(true);
    work();
    MASKED.set(before);
}

/// Forgets one translation.
pub fn invalidate_page(address: u64) {
    #[cfg(test)]
    if let Some(handler) = HANDLER.get().filter(|_| !MASKED.get()) {
        without_interrupts(handler);
    }
    TRANSLATIONS.with_borrow_mut(|known| known.remove(&address));
}

/// Forgets all translations. Like a load of CR3 it orders what comes before and after.
///
/// # Safety
/// None needed.
pub unsafe fn load_root(_: PhysAddr) {
    TRANSLATIONS.with_borrow_mut(BTreeMap::clear);
    fence(SeqCst);
}

/// Asks a CPU to look.
pub fn send_shoot_down(cpu: usize) {
    PENDING[cpu].store(true, Release);
}

/// Whether this CPU was asked since the last time.
#[cfg(test)]
pub fn is_interrupted() -> bool {
    PENDING[cpu_id()].swap(false, Acquire)
}
