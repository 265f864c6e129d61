//! The ways into the kernel and out of it.
//!
//! | module | what enters |
//! |---|---|
//! | [`syscall`] | SYSCALL that arrives at LSTAR, as on hardware; its SYSRET exit |
//! | [`fetch`] | SYSCALL that arrives as a fetch fault at LSTAR (docs/kvm.md) |
//! | [`trap`] | exceptions and interrupts; the IRETQ exit |
//! | [`paranoid`] | NMI, debug, double fault, machine check: on stacks of their own, whatever GS holds |
//! | [`probe`] | how SYSCALL arrives, tried once at boot |
//! | [`idt`] | the table |
//!
//! Everything enters with interrupts off. An entry from user mode swaps GS, saves a
//! [`TrapFrame`](super::TrapFrame) at the top of the thread's stack and calls Rust; an exit to user mode looks at the
//! CPU's work word first, with interrupts off. The numbers of instructions are those that the
//! emulating KVM executes one by one; they are kept low on purpose.

mod fetch;
pub mod idt;
mod macros;
mod paranoid;
mod probe;
mod syscall;
mod trap;

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::TrapFrame;
use super::features::{Features, features};
use super::instructions::wrmsr;
use super::segment::{KERNEL_CS, SYSRET_BASE};
use super::{msr, vector};

/// TF, IF, DF, IOPL, NT, AC: cleared by SYSCALL on hardware.
const ENTRY_FLAGS: u64 = 0x4_7700;

/// SYSCALL arrives as a fetch fault.
static FETCH_FAULT: AtomicBool = AtomicBool::new(false);
static BASES_BY_INSTRUCTION: AtomicBool = AtomicBool::new(false);

/// Whether RDFSBASE and its siblings are used: then programs may use them too.
#[inline]
pub fn bases_by_instruction() -> bool {
    BASES_BY_INSTRUCTION.load(Relaxed)
}

/// Whether SYSCALL arrives as a fetch fault.
pub fn syscall_is_fetch_fault() -> bool {
    FETCH_FAULT.load(Relaxed)
}

/// Takes back a SYSCALL that has not arrived: where it arrives as a fetch fault, an interrupt may come first, with RIP
/// at the kernel's entry. The instruction is then executed again.
pub fn take_back_system_call(frame: &mut TrapFrame) {
    const LENGTH: u64 = 2;
    if syscall_is_fetch_fault() && frame.rip == syscall::entry as *const () as u64 {
        frame.rip = frame.rcx.wrapping_sub(LENGTH);
    }
}

/// Where a parked thread continues.
pub fn parked_exit() -> u64 {
    if syscall_is_fetch_fault() {
        trap::parked_exit as *const () as u64
    } else {
        syscall::parked_exit as *const () as u64
    }
}

/// Fills the interrupt table and finds out how SYSCALL arrives. Once, on the boot CPU.
pub(super) fn init() {
    idt::fill();
    idt::load();
    let fetch_fault = probe::syscall_is_fetch_fault();
    FETCH_FAULT.store(fetch_fault, Relaxed);
    if fetch_fault {
        let entry = fetch::page_fault as *const () as u64;
        idt::set(vector::PAGE_FAULT, entry, idt::Gate::KERNEL);
    } else {
        idt::set_page_fault();
    }
    init_syscall();
}

/// Decides how FS and GS base are set, once the features are known.
pub(super) fn init_bases() {
    let by_instruction = syscall_is_fetch_fault() || features().contains(Features::FSGSBASE);
    BASES_BY_INSTRUCTION.store(by_instruction, Relaxed);
}

/// Lets all entries begin with CLAC, so that a program's AC flag does not open user memory to
/// the kernel; once SMAP is to be enabled.
pub(super) fn use_clac() {
    idt::begin_with_clac();
    idt::fill();
    idt::set_page_fault();
}

/// Points SYSCALL at the kernel, on every CPU.
pub(super) fn init_syscall() {
    // A fetch fault's frame holds the flags as SYSCALL left them: it must leave them alone.
    let mask = if syscall_is_fetch_fault() {
        0
    } else {
        ENTRY_FLAGS
    };
    // SAFETY: every x86-64 has these registers; the entry and the selectors are the kernel's.
    unsafe {
        wrmsr(
            msr::STAR,
            (SYSRET_BASE as u64) << 48 | (KERNEL_CS as u64) << 32,
        );
        wrmsr(msr::LSTAR, syscall::entry as *const () as u64);
        wrmsr(msr::FMASK, mask);
    }
}
