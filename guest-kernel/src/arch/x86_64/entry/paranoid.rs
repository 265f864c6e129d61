//! Entries that can come at any instruction, even between a kernel entry and its SWAPGS.
//!
//! Each has a stack of its own (IST), and the CPU's data is named above that stack, so GS is neither
//! trusted nor guessed: its base is saved, set, and put back.

use core::arch::naked_asm;

use super::macros::*;
use super::trap;
use crate::arch::x86_64::cpu;
use crate::arch::x86_64::frame::{FRAME_SIZE, TrapFrame};
use crate::arch::x86_64::msr;
use crate::arch::x86_64::vector;

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
    paranoid!(nmi_handler; "push 0", "push 2")
}

#[unsafe(naked)]
pub(super) unsafe extern "C" fn double_fault() {
    paranoid!(crate::panic::kernel_exception; "push 8")
}

#[unsafe(naked)]
pub(super) unsafe extern "C" fn machine_check() {
    paranoid!(crate::panic::kernel_exception; "push 0", "push 18")
}

#[unsafe(naked)]
unsafe extern "C" fn kernel_debug() {
    paranoid!(crate::panic::kernel_exception; "push 0", "push 1")
}

/// A debug exception. From user mode it is an ordinary one, and moves to the thread's stack.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn debug() {
    naked_asm!(
        "test byte ptr [rsp + 8], 3",
        "jz {kernel_debug}",
        "swapgs",
        "mov gs:[{scratch}], rax",
        "mov rax, rsp",
        "mov rsp, gs:[{rsp0}]",
        "push qword ptr [rax + 32]",
        "push qword ptr [rax + 24]",
        "push qword ptr [rax + 16]",
        "push qword ptr [rax + 8]",
        "push qword ptr [rax]",
        "push 0",
        "push {vector}",
        "mov rax, gs:[{scratch}]",
        "jmp {exception}",
        kernel_debug = sym kernel_debug,
        scratch = const cpu::SCRATCH,
        rsp0 = const cpu::RSP0,
        vector = const vector::DEBUG,
        exception = sym trap::exception_swapped,
    )
}

/// Another CPU panics: this one stops. Otherwise nobody here sends NMIs, and it is noted.
extern "C" fn nmi_handler(_: &mut TrapFrame) {
    if crate::panic::in_progress() {
        cpu::halt_forever();
    }
    log!("NMI on CPU {}", cpu::cpu_id());
}
