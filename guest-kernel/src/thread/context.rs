//! The one place that turns addresses into threads, and touches the registers of threads that do
//! not run.

use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::ipc::Utcb;

use super::Thread;
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::arch::thread::{self as arch, ArchThread};
use crate::mm::UtcbSlot;
use crate::object::{Core, CoreGuard};
use crate::process::Process;

// SAFETY: every field but `arch` is `Sync`. `arch` is used by the context switch, which runs with the
// core lock held; by `arch_mut`, which needs the proof of the core lock; and by the thread's own CPU.
unsafe impl Sync for Thread {}

/// The thread that runs here. Before a CPU's first thread runs there is none to ask for.
#[inline(always)]
pub fn current() -> &'static Thread {
    // SAFETY: `arch` is the first field of a `repr(C)` structure, and every thread that runs is the
    // `arch` of a `Thread`, which is type-stable.
    unsafe { &*cpu::current().cast::<Thread>() }
}

/// The process of the thread that runs here.
#[inline(always)]
pub fn current_process() -> &'static Process {
    current().process()
}

impl Thread {
    /// The thread that an architecture part is part of.
    pub fn of(arch: *mut ArchThread) -> &'static Thread {
        // SAFETY: as in `current`: callers pass what the context switch has stored.
        unsafe { &*arch.cast::<Thread>() }
    }

    /// The process it belongs to; fixed while it lives. (Idle threads have none.)
    #[inline(always)]
    pub fn process(&self) -> &'static Process {
        // SAFETY: set from a `&'static Process` when the thread is made, before anybody sees it;
        // processes are type-stable.
        unsafe { &*self.process.load(Relaxed) }
    }

    /// Whether it is a CPU's idle thread.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.process.load(Relaxed).is_null()
    }

    /// Its architecture part, for the context switch.
    #[inline(always)]
    pub fn arch(&self) -> *mut ArchThread {
        self.arch.get().cast()
    }

    /// Changes its architecture part. It must be in use.
    pub fn arch_mut<'a>(&'a self, _: &'a mut Core) -> &'a mut ArchThread {
        // SAFETY: the core lock excludes the context switch and other users; it was initialised when
        // the thread was made, which is before the thread can be named.
        unsafe { &mut *self.arch() }
    }

    /// Puts an architecture part in place. The thread is not in use yet.
    pub(super) fn set_arch(&self, _: &mut Core, arch: ArchThread) {
        // SAFETY: the core lock excludes other users; the old value was taken out by `take_arch`.
        unsafe { self.arch().write(arch) }
    }

    /// Takes the architecture part out: stack and floating-point area are freed when it is dropped.
    /// The thread is dead, and nobody stands on its stack.
    pub(super) fn take_arch(&self, _: &mut Core) -> ArchThread {
        // SAFETY: it was initialised, and nobody reads it again before `set_arch`.
        unsafe { self.arch().read() }
    }

    /// The user registers of a thread that does not run, or of the current one if nobody else
    /// holds its frame.
    #[inline(always)]
    pub fn frame<'a>(&'a self, _: &'a mut Core) -> &'a mut TrapFrame {
        // SAFETY: idle threads are never named where registers are read or written. The core lock
        // is held, so the thread does not start to run meanwhile.
        unsafe { (*self.arch()).frame() }
    }

    /// Its UTCB as the kernel sees it: user space may change it at any time.
    #[inline(always)]
    pub fn utcb(&self, core: &Core) -> *mut Utcb {
        match self.utcb.get(core) {
            Some(slot) => slot.kernel.as_ptr(),
            None => core::ptr::null_mut(),
        }
    }

    /// The UTCB's slot.
    pub fn utcb_slot(&self, core: &Core) -> Option<UtcbSlot> {
        self.utcb.get(core)
    }
}

/// The context switches.
pub mod flow {
    use super::*;

    /// Runs `next`; the current thread stays parked: its kernel stack is forgotten.
    #[inline(always)]
    pub fn resume(guard: CoreGuard, previous: &'static Thread, next: &'static Thread) -> ! {
        guard.leave();
        // SAFETY: interrupts are off while the core lock is held; `previous` is current, nobody runs
        // it before the lock is released; `next` was taken from a queue or wait, so it runs nowhere.
        // Handlers have dropped what they own before they return who runs next.
        unsafe { arch::resume(previous.arch(), next.arch()) }
    }

    /// Runs `next`; returns when `previous`, the current thread, runs again. The core lock is
    /// released then.
    pub fn switch(guard: CoreGuard, previous: &'static Thread, next: &'static Thread) {
        let lock = guard.leave();
        // SAFETY: as in `resume`.
        unsafe { arch::switch(previous.arch(), next.arch(), lock) }
    }
}
