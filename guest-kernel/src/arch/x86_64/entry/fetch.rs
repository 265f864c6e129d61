//! The page-fault entry where SYSCALL does not enter the kernel, but faults fetching at LSTAR.
//!
//! RCX and R11 hold the program's RIP and RFLAGS as on hardware; the fault's frame holds its RSP
//! and, because FMASK is 0 there, its flags. On hardware such a fault could only come from a
//! program that jumps there on purpose; this entry is not used there.
//!
//! Kernel instructions of a native call: 30 up to the first of its handler's, 16 from its
//! return to user mode. Of a foreign call's bounce: 10.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::macros::*;
use super::{syscall, trap};
use crate::arch::x86_64::thread::Anchor;
use crate::arch::x86_64::vector;
use crate::arch::x86_64::{cpu, upcalls};

/// Present, user, instruction fetch.
const FETCH: u32 = 0x15;
/// What the processor pushes: six words, the first of them the error code.
const FAULT_SIZE: usize = 48;

/// The entry. On the stack: error code, RIP, CS, RFLAGS, RSP, SS; then the thread's anchor.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn page_fault() {
    naked_asm!(
        "cmp dword ptr [rsp], {fetch}",
        "jne {page_fault} + {clac}",
        "cmp qword ptr [rsp + 8], offset {lstar}",
        "jne {page_fault} + {clac}",
        "cmp rcx, [rsp + {fault} + {text_begin}]",
        "jb 3f",
        "cmp rcx, [rsp + {fault} + {text_end}]",
        "jae 3f",
        // A native call: the frame continues after the SYSCALL.
        "swapgs",
        "cld",
        "mov [rsp + 8], rcx",
        "push {syscall}",
        push_registers!(),
        dispatch!(),
        "2:",
        "cmp dword ptr gs:[{work}], 0",
        "jne 4f",
        skip_preserved!(),
        pop_scratch!(),
        "swapgs",
        "iretq",
        // A foreign call: the personality continues it, with all registers as they are.
        "3:",
        "push qword ptr [rsp + {fault} + {syscall_entry}]",
        "pop qword ptr [rsp + 8]", // RIP: POP computes the address after its increment.
        "add rsp, 8",
        "iretq",
        "4:",
        "mov rdi, rsp",
        "call {user_return_work}",
        "cli",
        "jmp 2b",
        fetch = const FETCH,
        fault = const FAULT_SIZE,
        text_begin = const offset_of!(Anchor, text_begin),
        text_end = const offset_of!(Anchor, text_end),
        syscall_entry = const offset_of!(Anchor, syscall_entry),
        page_fault = sym trap::page_fault,
        clac = const CLAC,
        lstar = sym syscall::entry,
        syscall = const vector::SYSCALL,
        table = sym upcalls::SYSTEM_CALLS,
        work = const cpu::WORK,
        user_return_work = sym upcalls::user_return_work,
    )
}
