//! Entries that can come at any instruction, even between a kernel entry and its SWAPGS.
//!
//! Each has a stack of its own (IST), and the CPU's data is named above that stack, so GS is neither
//! trusted nor guessed: its base is saved, set, and put back.

use core::arch::naked_asm;

use super::macros::*;
use super::trap;
use crate::arch::x86_64::frame::FRAME_SIZE;
use crate::arch::x86_64::{cpu, machine_check, msr, nmi, vector};

/// Bytes above an exception stack's top: the address of the CPU's data, and alignment.
pub const HEADER: u64 = 16;

/// The body, from vector and error code on. Never used for what goes on in another thread.
macro_rules! paranoid {
    ($handler:path; $($push:literal),+) => {
        naked_asm!(
            $($push,)+
            "cld",
            push_registers!(),
            "mov ecx, {gs_base}",
            "rdmsr",
            "shl rdx, 32",
            "lea rbx, [rax + rdx]",
            "mov rax, [rsp + {frame}]",
            "mov rdx, rax",
            "shr rdx, 32",
            "wrmsr",
            "mov rdi, rsp",
            "call {handler}",
            "mov rax, rbx",
            "mov rdx, rax",
            "shr rdx, 32",
            "mov ecx, {gs_base}",
            "wrmsr",
            pop_preserved!(),
            pop_scratch!(),
            "iretq",
            gs_base = const msr::GS_BASE,
            frame = const FRAME_SIZE,
            handler = sym $handler,
        )
    };
}

#[unsafe(naked)]
pub(super) unsafe extern "C" fn nmi() {
    paranoid!(nmi::handle; "clac", "push 0", "push 2")
}

#[unsafe(naked)]
pub(super) unsafe extern "C" fn double_fault() {
    paranoid!(crate::panic::kernel_exception; "clac", "push 8")
}

/// A machine check. From user mode it moves to the thread's stack: the program may be what ends.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn machine_check() {
    naked_asm!(
        "clac",
        "test byte ptr [rsp + 8], 3",
        "jz {kernel}",
        move_to_thread_stack!(),
        kernel = sym kernel_machine_check,
        scratch = const cpu::SCRATCH,
        rsp0 = const cpu::RSP0,
        vector = const vector::MACHINE_CHECK,
        exception = sym trap::exception_swapped,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn kernel_machine_check() {
    paranoid!(machine_check::of_kernel; "push 0", "push 18")
}

/// A debug exception. From user mode it is an ordinary one, and moves to the thread's stack.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn debug() {
    naked_asm!(
        "clac",
        "test byte ptr [rsp + 8], 3",
        "jz {kernel}",
        move_to_thread_stack!(),
        kernel = sym kernel_debug,
        scratch = const cpu::SCRATCH,
        rsp0 = const cpu::RSP0,
        vector = const vector::DEBUG,
        exception = sym trap::exception_swapped,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn kernel_debug() {
    paranoid!(crate::panic::kernel_exception; "push 0", "push 1")
}
