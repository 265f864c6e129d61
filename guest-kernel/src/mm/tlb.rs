//! Keeping the processors' cached translations true to the page tables.
//!
//! Each CPU publishes the root table it runs on in [`ACTIVE`]; the context switch does so before
//! it loads CR3. A change that takes something away is flushed on this CPU directly and on
//! the others that run the address space by an interrupt, and waits for their answers. CPUs that
//! do not run it need none: loading CR3 starts afresh.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};

use super::hw;
use super::phys::PhysAddr;
use crate::sync::SpinLock;

#[derive(Debug)]
#[repr(align(64))]
struct Active(AtomicU64);

static ACTIVE: [Active; hw::MAX_CPUS] = [const { Active(AtomicU64::new(0)) }; hw::MAX_CPUS];

/// The tables that only map the kernel; a CPU without a process runs on them.
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// More pages than this are flushed by reloading the root.
const SINGLE_MAX: u64 = 8;

/// What a CPU has to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Translations of `pages` pages from an address on.
    Pages(u64, u64),
    /// The address space altogether: it is about to go.
    Leave,
}

/// The shoot-down under way; [`SENDER`] is held by the one who waits for it.
#[derive(Debug)]
struct Request {
    root: AtomicU64,
    start: AtomicU64,
    /// 0: leave the address space.
    pages: AtomicU64,
    /// CPUs that have not answered.
    waiting: AtomicU32,
}

static SENDER: SpinLock<()> = SpinLock::new(());
static REQUEST: Request = Request {
    root: AtomicU64::new(0),
    start: AtomicU64::new(0),
    pages: AtomicU64::new(0),
    waiting: AtomicU32::new(0),
};

/// Interrupts sent so far; changed under [`SENDER`].
static SENT: AtomicU64 = AtomicU64::new(0);

/// How many times another CPU was asked to forget.
pub fn shoot_downs() -> u64 {
    SENT.load(Relaxed)
}

/// Notes the kernel's own root table (while booting).
pub fn set_kernel_root(root: PhysAddr) {
    KERNEL_ROOT.store(root.0, Relaxed);
}

/// The kernel's own root table.
pub fn kernel_root() -> PhysAddr {
    PhysAddr(KERNEL_ROOT.load(Relaxed))
}

/// Publishes that CPU `cpu` is about to load `root`; the write of CR3 that follows orders it.
#[inline]
pub fn set_active(cpu: usize, root: PhysAddr) {
    ACTIVE[cpu].0.store(root.0, Relaxed);
}

/// Where CPU `cpu` publishes its root table, for the context switch.
pub fn slot(cpu: usize) -> &'static AtomicU64 {
    &ACTIVE[cpu].0
}

/// The root table that a CPU runs on.
#[inline]
pub fn active(cpu: usize) -> PhysAddr {
    PhysAddr(ACTIVE[cpu].0.load(Relaxed))
}

/// Makes every CPU that runs on `root` forget. Preemption is off (a lock is held), or this
/// address space has no thread left.
pub fn flush(root: PhysAddr, what: Flush) {
    if hw::cpu_count() > 1 {
        return flush_all(root, what);
    }
    if active(hw::cpu_id()) == root {
        flush_local(root, what);
    }
}

#[cold]
fn flush_all(root: PhysAddr, what: Flush) {
    // A lock answers shoot-downs while it spins.
    let sender = SENDER.lock();
    let me = hw::cpu_id();
    // Orders the changes of the tables before the look at who runs on them.
    fence(SeqCst);
    let targets = (0..hw::cpu_count()).filter(|&cpu| cpu != me && active(cpu) == root);
    let mask = targets.fold(0u32, |mask, cpu| mask | 1 << cpu);
    if mask != 0 {
        let (start, pages) = match what {
            Flush::Pages(start, pages) => (start, pages),
            Flush::Leave => (0, 0),
        };
        REQUEST.root.store(root.0, Relaxed);
        REQUEST.start.store(start, Relaxed);
        REQUEST.pages.store(pages, Relaxed);
        REQUEST.waiting.store(mask, Release);
        SENT.store(SENT.load(Relaxed) + u64::from(mask.count_ones()), Relaxed);
        (0..hw::cpu_count())
            .filter(|cpu| mask & 1 << cpu != 0)
            .for_each(hw::send_shoot_down);
    }
    if active(me) == root {
        flush_local(root, what);
    }
    while REQUEST.waiting.load(Acquire) != 0 {
        core::hint::spin_loop();
    }
    drop(sender);
}

fn flush_local(root: PhysAddr, what: Flush) {
    match what {
        Flush::Pages(start, pages) if pages <= SINGLE_MAX => {
            (0..pages).for_each(|page| hw::invalidate_page(start + (page << 12)));
        }
        Flush::Pages(..) => {
            // SAFETY: it is the root in use.
            unsafe { hw::load_root(root) }
        }
        Flush::Leave => {
            set_active(hw::cpu_id(), kernel_root());
            // SAFETY: the kernel's root is never freed and maps all of the kernel.
            unsafe { hw::load_root(kernel_root()) }
        }
    }
}

/// Answers a shoot-down that waits for this CPU, if there is one: the interrupt's handler; also
/// to be called while spinning. Preemption is off.
pub fn poll() {
    if is_awaited() {
        // The handler must not answer in the midst of this: the request would be another one, unanswered, when
        // this says that it is answered.
        hw::without_interrupts(answer);
    }
}

/// Whether a shoot-down waits for this CPU.
fn is_awaited() -> bool {
    REQUEST.waiting.load(Acquire) & 1 << hw::cpu_id() != 0
}

fn answer() {
    if !is_awaited() {
        return;
    }
    let root = PhysAddr(REQUEST.root.load(Relaxed));
    let pages = REQUEST.pages.load(Relaxed);
    let what = match pages {
        0 => Flush::Leave,
        _ => Flush::Pages(REQUEST.start.load(Relaxed), pages),
    };
    if active(hw::cpu_id()) == root {
        flush_local(root, what);
    }
    REQUEST.waiting.fetch_and(!(1 << hw::cpu_id()), Release);
}

#[cfg(test)]
mod tests;
