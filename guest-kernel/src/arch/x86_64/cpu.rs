//! A CPU's own data, found through GS while it is in the kernel, and what can be asked of a CPU.
//!
//! In user mode GS belongs to the thread (its UTCB); every entry from user mode begins, and every
//! exit ends, with SWAPGS.

use core::arch::{asm, naked_asm};
use core::cell::Cell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

use super::segment::{GDT_ENTRIES, TSS_RSP0, Tss};
use super::thread::ArchThread;
use super::upcalls;
use crate::mm::{PhysAddr, tlb};

/// Most CPUs that are used; others stay parked.
pub const MAX_CPUS: usize = 32;

/// Work before the return to user mode: another thread should run.
pub const WORK_RESCHEDULE: u32 = 1 << 0;
/// Work before the return to user mode: the current thread has a signal to take.
pub const WORK_SIGNAL: u32 = 1 << 1;

/// In [`PerCpu::preempt`]: no preemption is due. The word is zero when one is due and allowed.
const NOT_DUE: u32 = 1 << 31;

/// One CPU's data.
///
/// Other CPUs touch only the atomic fields, and `sched` by its own rules.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct PerCpu {
    /// Its own address: `gs:[0]`.
    this: Cell<u64>,
    /// Where the entries put a register while they have no stack.
    pub(super) scratch: Cell<u64>,
    /// The thread that runs here.
    current: AtomicPtr<ArchThread>,
    /// Where the root table in use is published.
    active: Cell<*const AtomicU64>,
    /// Number of SpinLocks held, and [`NOT_DUE`].
    preempt: AtomicU32,
    /// `WORK_*` bits.
    work: AtomicU32,
    id: Cell<u32>,
    /// Its local APIC's id.
    pub(super) apic_id: AtomicU32,
    /// The thread whose floating-point state the registers hold.
    pub(super) fpu_owner: AtomicPtr<ArchThread>,
    pub(super) gdt: Cell<[u64; GDT_ENTRIES]>,
    /// So that RSP0 is aligned.
    _align: u32,
    pub(super) tss: Tss,
    /// The scheduler's part.
    pub sched: upcalls::CpuSched,
}

// SAFETY: Cells are written before the CPU is shared, or only by code that runs on it.
unsafe impl Sync for PerCpu {}

/// Offset of the word that the exits test.
pub(super) const WORK: usize = offset_of!(PerCpu, work);
/// Offset of the preemption word.
pub(super) const PREEMPT: usize = offset_of!(PerCpu, preempt);
/// Offset of the scratch word.
pub(super) const SCRATCH: usize = offset_of!(PerCpu, scratch);
/// Offset of the stack pointer that an entry from user mode gets.
pub(super) const RSP0: usize = offset_of!(PerCpu, tss) + TSS_RSP0;
const _: () = assert!(RSP0.is_multiple_of(8));

static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(1);

impl PerCpu {
    /// For debuggers.
    pub const LAYOUT: [(&'static str, usize); 3] = [
        ("cpu.size", size_of::<PerCpu>()),
        ("cpu.current", offset_of!(PerCpu, current)),
        ("cpu.sched", offset_of!(PerCpu, sched)),
    ];

    /// For debuggers: all CPUs, and how many of them there are.
    pub const fn all() -> (*const PerCpu, *const AtomicUsize) {
        (CPUS.as_ptr(), &raw const COUNT)
    }

    // All zero, so that the array costs nothing in the image.
    const fn new() -> PerCpu {
        PerCpu {
            this: Cell::new(0),
            scratch: Cell::new(0),
            current: AtomicPtr::new(core::ptr::null_mut()),
            active: Cell::new(core::ptr::null()),
            preempt: AtomicU32::new(0),
            work: AtomicU32::new(0),
            id: Cell::new(0),
            apic_id: AtomicU32::new(0),
            fpu_owner: AtomicPtr::new(core::ptr::null_mut()),
            gdt: Cell::new([0; GDT_ENTRIES]),
            _align: 0,
            tss: Tss::new(),
            sched: upcalls::CpuSched::new(),
        }
    }

    /// Fills in what identifies CPU `id`; preemption stays off until the CPU's first thread runs.
    pub(super) fn prepare(&self, id: usize) {
        self.this.set(self as *const PerCpu as u64);
        self.id.set(id as u32);
        self.active.set(tlb::slot(id));
        self.preempt.store(NOT_DUE, Relaxed);
    }

    /// Its number.
    #[inline]
    pub fn id(&self) -> usize {
        bounded(self.id.get())
    }

    /// Asks for [`upcalls::user_return_work`] before the next return to user mode there.
    #[inline]
    pub fn set_work(&self, bits: u32) {
        self.work.fetch_or(bits, Relaxed);
    }

    /// Withdraws work.
    #[inline]
    pub fn clear_work(&self, bits: u32) {
        self.work.fetch_and(!bits, Relaxed);
    }

    /// The work that waits.
    #[inline]
    pub fn work(&self) -> u32 {
        self.work.load(Relaxed)
    }

    /// This CPU should run another thread: at the return to user mode, or once no lock is held.
    ///
    /// Only for one's own CPU: the preemption word is changed without a lock prefix.
    #[inline]
    pub fn set_need_resched(&self) {
        self.work.fetch_or(WORK_RESCHEDULE, Relaxed);
        self.preempt
            .store(self.preempt.load(Relaxed) & !NOT_DUE, Relaxed);
    }

    /// The scheduler looked. Only for one's own CPU.
    #[inline]
    pub fn clear_need_resched(&self) {
        self.work.fetch_and(!WORK_RESCHEDULE, Relaxed);
        self.preempt
            .store(self.preempt.load(Relaxed) | NOT_DUE, Relaxed);
    }

    /// Whether another thread should run here.
    #[inline]
    pub fn need_resched(&self) -> bool {
        self.work.load(Relaxed) & WORK_RESCHEDULE != 0
    }

    /// Whether a SpinLock is held here.
    pub fn preempt_disabled(&self) -> bool {
        self.preempt.load(Relaxed) & !NOT_DUE != 0
    }

    /// The running thread's architecture part.
    #[inline]
    pub fn current(&self) -> *mut ArchThread {
        self.current.load(Relaxed)
    }
}

/// This CPU's data. The caller must not be preempted while it relies on staying here.
#[inline]
pub fn this_cpu() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: in the kernel GS points to this CPU's data, whose first word is its address.
    unsafe { asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags)) }
    // SAFETY: the data is static.
    unsafe { &*this }
}

/// Notes the thread that runs here.
#[inline]
pub(super) fn set_current(thread: *mut ArchThread) {
    // SAFETY: in the kernel GS points to this CPU's data.
    unsafe {
        asm!("mov gs:[{}], {}", const offset_of!(PerCpu, current), in(reg) thread,
            options(nostack, preserves_flags));
    }
}

/// Publishes the root table that this CPU is about to load (see [`tlb`]).
#[inline]
pub(super) fn set_active(root: PhysAddr) {
    let slot: *const AtomicU64;
    // SAFETY: in the kernel GS points to this CPU's data, where `prepare` put the slot's address.
    let slot = unsafe {
        asm!("mov {}, gs:[{}]", out(reg) slot, const offset_of!(PerCpu, active),
            options(nostack, readonly, preserves_flags));
        &*slot
    };
    slot.store(root.0, Relaxed);
}

/// Sets the stack of entries from user mode on this CPU.
#[inline]
pub(super) fn set_entry_stack(rsp0: u64) {
    // SAFETY: in the kernel GS points to this CPU's data; the processor reads the field only when
    // it enters from user mode.
    unsafe { asm!("mov gs:[{}], {}", const RSP0, in(reg) rsp0, options(nostack, preserves_flags)) }
}

/// CPU number `id`'s data.
#[inline]
pub fn cpu(id: usize) -> &'static PerCpu {
    &CPUS[id]
}

/// This CPU's number.
#[inline]
pub fn cpu_id() -> usize {
    let id: u32;
    // SAFETY: in the kernel GS points to this CPU's data.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) id, const offset_of!(PerCpu, id),
            options(nostack, readonly, preserves_flags));
    }
    bounded(id)
}

/// Tells the compiler that a CPU's number needs no bounds check.
#[inline(always)]
fn bounded(id: u32) -> usize {
    // SAFETY: only `prepare` sets it, for a CPU that has an element in `CPUS`.
    unsafe { core::hint::assert_unchecked((id as usize) < MAX_CPUS) }
    id as usize
}

/// CPUs that run; their numbers are below.
#[inline]
pub fn cpu_count() -> usize {
    COUNT.load(Relaxed)
}

pub(super) fn set_cpu_count(count: usize) {
    COUNT.store(count, Release);
}

/// The architecture part of the thread that runs here.
#[inline]
pub fn current() -> *mut ArchThread {
    let thread;
    // SAFETY: in the kernel GS points to this CPU's data.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) thread, const offset_of!(PerCpu, current),
            options(nostack, readonly, preserves_flags));
    }
    thread
}

/// Keeps this thread on its CPU until [`preempt_enable`]; nests.
#[inline]
pub fn preempt_disable() {
    // SAFETY: in the kernel GS points to this CPU's data; the instruction is one step.
    unsafe { asm!("inc dword ptr gs:[{}]", const PREEMPT, options(nostack)) }
}

/// Undoes [`preempt_disable`]; lets a preemption that is due happen.
#[inline]
pub fn preempt_enable() {
    // SAFETY: as above. The cold path is an ordinary call.
    unsafe {
        asm!(
            "dec dword ptr gs:[{}]",
            "jz {}",
            const PREEMPT,
            label { preempt_now() },
            options(nostack),
        );
    }
}

/// A preemption is due. With interrupts off the exit of the entry that disabled them sees to it.
#[cold]
#[inline(never)]
fn preempt_now() {
    if interrupts_enabled() {
        upcalls::preempt();
    }
}

/// The interrupt flag, saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqState(u64);

/// Disables interrupts.
#[inline]
pub fn interrupts_save_and_disable() -> IrqState {
    let flags;
    // SAFETY: only interrupts wait.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) }
    IrqState(flags)
}

/// Enables interrupts if they were.
#[inline]
pub fn interrupts_restore(state: IrqState) {
    if state.0 & 0x200 != 0 {
        enable_interrupts();
    }
}

/// Whether interrupts are enabled.
#[inline]
pub fn interrupts_enabled() -> bool {
    let flags: u64;
    // SAFETY: reading the flags has no effect.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) }
    flags & 0x200 != 0
}

/// Enables interrupts.
#[inline]
pub fn enable_interrupts() {
    // SAFETY: the kernel's handlers are installed before anything calls this.
    unsafe { asm!("sti", options(nostack)) }
}

/// Disables interrupts.
#[inline]
pub fn disable_interrupts() {
    // SAFETY: only interrupts wait.
    unsafe { asm!("cli", options(nostack)) }
}

/// With interrupts off: waits for one with interrupts on, and returns after its handler, with
/// interrupts on. None is lost in between: STI takes effect after HLT has begun (SDM volume 2, STI). Not all
/// hypervisors keep that when they leave the guest between the two (nested SVM of QEMU 7.2 does not), so an interrupt
/// that comes there and asks for a preemption returns behind HLT.
#[unsafe(naked)]
pub extern "C" fn halt_until_interrupt() {
    naked_asm!("sti", "hlt", "ret")
}

/// Where HLT is in [`halt_until_interrupt`]. It has one byte.
pub(super) const HALT: usize = 1;

/// Stops this CPU for good.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: nothing is expected of this CPU any more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) }
    }
}

/// What a CPU does between two looks at a lock that another holds.
pub fn answer_while_spinning() {
    crate::mm::tlb_ipi();
}
