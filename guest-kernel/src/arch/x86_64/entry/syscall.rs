//! The SYSCALL entry of hardware, and the exit by SYSRET.
//!
//! SYSRET is used only where it does exactly what IRETQ would: the frame is a system call's, RIP
//! is still the one that SYSCALL left in RCX (which was compared with the thread's text, so it is
//! canonical), and neither TF nor RF is set. Between the load of the user stack pointer and
//! SYSRET only NMI, debug and machine check can come: these bring their own stacks.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::macros::*;
use super::trap;
use crate::arch::x86_64::frame::{TrapFrame, USER_CS, USER_SS};
use crate::arch::x86_64::thread::Anchor;
use crate::arch::x86_64::vector;
use crate::arch::x86_64::{cpu, upcalls};

/// TF and RF.
const NOT_BY_SYSRET: u32 = 0x1_0100;

/// LSTAR: RCX = user RIP, R11 = user RFLAGS; RSP is still the user's.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{scratch}], rsp",
        "mov rsp, gs:[{rsp0}]",
        "cmp rcx, [rsp + {text_begin}]",
        "jb 3f",
        "cmp rcx, [rsp + {text_end}]",
        "jae 3f",
        "push {user_ss}",
        "push qword ptr gs:[{scratch}]",
        "push r11",
        "push {user_cs}",
        "push rcx",
        "push 0",
        "push {syscall}",
        push_registers!(),
        dispatch!(),
        "2:",
        "cmp dword ptr gs:[{work}], 0",
        "jne 4f",
        skip_preserved!(),
        "jmp {exit}",
        // A foreign call. RCX stays the program's, so SYSRET cannot be used.
        "3:",
        "push {user_ss}",
        "push qword ptr gs:[{scratch}]",
        "push r11",
        "push {user_cs}",
        "push qword ptr [rsp + 32 + {syscall_entry}]",
        "swapgs",
        "iretq",
        "4:",
        "mov rdi, rsp",
        "call {user_return_work}",
        "cli",
        "jmp 2b",
        text_begin = const offset_of!(Anchor, text_begin),
        text_end = const offset_of!(Anchor, text_end),
        syscall_entry = const offset_of!(Anchor, syscall_entry),
        scratch = const cpu::SCRATCH,
        rsp0 = const cpu::RSP0,
        user_ss = const USER_SS,
        user_cs = const USER_CS,
        syscall = const vector::SYSCALL,
        table = sym upcalls::SYSTEM_CALLS,
        work = const cpu::WORK,
        exit = sym exit,
        user_return_work = sym upcalls::user_return_work,
    )
}

/// Where a parked thread continues; interrupts are off, RSP points to its frame.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn parked_exit() {
    naked_asm!(
        "2:",
        "cmp dword ptr gs:[{work}], 0",
        "jne 4f",
        pop_preserved!(),
        "cmp dword ptr [rsp + {vector} - 48], {syscall}",
        "jne {iretq}",
        "jmp {exit}",
        "4:",
        "mov rdi, rsp",
        "call {user_return_work}",
        "cli",
        "jmp 2b",
        work = const cpu::WORK,
        vector = const offset_of!(TrapFrame, vector),
        syscall = const vector::SYSCALL,
        iretq = sym trap::exit_user,
        exit = sym exit,
        user_return_work = sym upcalls::user_return_work,
    )
}

/// Leaves a system call's frame, from which the preserved registers are taken, by SYSRET if it
/// may.
#[unsafe(naked)]
unsafe extern "C" fn exit() {
    naked_asm!(
        "mov rcx, [rsp + {rip} - 48]",
        "mov r11, [rsp + {rflags} - 48]",
        "cmp rcx, [rsp + {rcx} - 48]",
        "jne {iretq}",
        "test r11d, {not_by_sysret}",
        "jnz {iretq}",
        "add rsp, 8",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "mov rax, [rsp + 8]",
        "mov rsp, [rsp + {rsp} - {rcx}]",
        "swapgs",
        "sysretq",
        rip = const offset_of!(TrapFrame, rip),
        rflags = const offset_of!(TrapFrame, rflags),
        rcx = const offset_of!(TrapFrame, rcx),
        rsp = const offset_of!(TrapFrame, rsp),
        not_by_sysret = const NOT_BY_SYSRET,
        iretq = sym trap::exit_user,
    )
}
