//! How SYSCALL arrives: tried with one SYSCALL in user mode, before there are any programs.

use core::arch::naked_asm;

use super::idt;
use crate::arch::x86_64::frame::{USER_CS, USER_SS};
use crate::arch::x86_64::instructions::wrmsr;
use crate::arch::x86_64::{cpu, msr, start, vector};

/// Error code of the fetch fault: present, user, instruction fetch.
const FETCH: u64 = 0x15;
/// What [`try_syscall`] gives when SYSCALL entered the kernel.
const ENTERED: u64 = 0;

/// Executes a SYSCALL in user mode and sees where it comes out.
pub(super) fn syscall_is_fetch_fault() -> bool {
    idt::set(
        vector::PAGE_FAULT,
        at_fault as *const () as u64,
        idt::Gate::KERNEL,
    );
    super::init_syscall();
    // SAFETY: the entry is the kernel's. Selectors are set; interrupts are off, so nothing else
    // uses RSP0 or the scratch word, and the code at the user address is one SYSCALL.
    let outcome = unsafe {
        wrmsr(msr::LSTAR, at_entry as *const () as u64);
        try_syscall(start::user_syscall())
    };
    assert!(
        outcome == ENTERED || outcome == FETCH,
        "SYSCALL does not work: fault {outcome:#x}"
    );
    outcome == FETCH
}

/// Enters user mode at `rip`; returns [`ENTERED`], or the error code of the page fault.
#[unsafe(naked)]
unsafe extern "sysv64" fn try_syscall(rip: u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov gs:[{scratch}], rsp",
        "mov gs:[{rsp0}], rsp",
        "push {user_ss}",
        "push 0",
        "push 2", // Interrupts stay off.
        "push {user_cs}",
        "push rdi",
        "iretq",
        scratch = const cpu::SCRATCH,
        rsp0 = const cpu::RSP0,
        user_ss = const USER_SS,
        user_cs = const USER_CS,
    )
}

/// LSTAR during the probe.
#[unsafe(naked)]
unsafe extern "C" fn at_entry() {
    naked_asm!("xor eax, eax", "jmp {back}", back = sym back)
}

/// The page-fault entry during the probe.
#[unsafe(naked)]
unsafe extern "C" fn at_fault() {
    naked_asm!("pop rax", "jmp {back}", back = sym back)
}

/// Returns from [`try_syscall`] with RAX.
#[unsafe(naked)]
unsafe extern "C" fn back() {
    naked_asm!(
        "mov rsp, gs:[{scratch}]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        scratch = const cpu::SCRATCH,
    )
}
