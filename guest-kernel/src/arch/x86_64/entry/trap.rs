//! Exceptions and interrupts, and the exit by IRETQ.
//!
//! What a gate leads to begins with CLAC ([`CLAC`]): only SYSCALL and the flags mask clear AC.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::macros::*;
use crate::arch::x86_64::frame::TrapFrame;
use crate::arch::x86_64::vector::{self, EXCEPTIONS, FIRST_GSI, GSIS};
use crate::arch::x86_64::{apic, cpu, upcalls};
use crate::sync::lockdep::Interrupt;

/// Bytes from one stub to the next.
pub(super) const STUB: u64 = 16;
/// The exceptions for which the processor pushes an error code.
const WITH_ERROR: u32 = 1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// One stub for each exception: pushes an error code if there is none, and the vector.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exception_stubs() {
    naked_asm!(
        ".set vector, 0",
        ".rept {count}",
        ".balign {stub}",
        "clac",
        ".if (({with_error} >> vector) & 1) == 0",
        "push 0",
        ".endif",
        "push vector",
        "jmp {exception}",
        ".set vector, vector + 1",
        ".endr",
        ".balign {stub}",
        count = const EXCEPTIONS,
        stub = const STUB,
        with_error = const WITH_ERROR,
        exception = sym exception,
    )
}

/// One stub for each device vector.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn device_stubs() {
    naked_asm!(
        ".set vector, {first}",
        ".rept {count}",
        ".balign {stub}",
        "clac",
        "push 0",
        "push vector",
        "jmp {interrupt}",
        ".set vector, vector + 1",
        ".endr",
        ".balign {stub}",
        first = const FIRST_GSI,
        count = const GSIS,
        stub = const STUB,
        interrupt = sym interrupt,
    )
}

/// The stubs of the local APIC's vectors.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn local_stubs() {
    naked_asm!(
        ".set vector, {first}",
        ".rept 3",
        ".balign {stub}",
        "clac",
        "push 0",
        "push vector",
        "jmp {interrupt}",
        ".set vector, vector + 1",
        ".endr",
        ".balign {stub}",
        first = const vector::TIMER,
        stub = const STUB,
        interrupt = sym interrupt,
    )
}

/// A spurious interrupt: nothing happened.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn spurious() {
    naked_asm!("clac", "iretq")
}

/// An exception; on the stack: vector, error code, and what the processor pushed.
#[unsafe(naked)]
unsafe extern "C" fn exception() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3", // CS
        "jz 2f",
        "swapgs",
        "2:",
        "cld",
        push_registers!(),
        "mov rdi, rsp",
        "call {handler}",
        "jmp {exit}",
        handler = sym exception_handler,
        exit = sym exit,
    )
}

/// As [`exception`], with the kernel's GS in place already.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exception_swapped() {
    naked_asm!(
        "cld",
        push_registers!(),
        "mov rdi, rsp",
        "call {handler}",
        "jmp {exit}",
        handler = sym exception_handler,
        exit = sym exit,
    )
}

/// A page fault; on the stack: what the processor pushed. 22 instructions up to the handler (from
/// user mode), 19 from there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn page_fault() {
    naked_asm!(
        "clac",
        "push {vector}",
        "test byte ptr [rsp + 24], 3",
        "jz 2f",
        "swapgs",
        "2:",
        "cld",
        push_registers!(),
        "mov rdi, rsp",
        "call {handler}",
        "jmp {exit}",
        vector = const vector::PAGE_FAULT,
        handler = sym upcalls::page_fault,
        exit = sym exit,
    )
}

/// General protection. An IRETQ to user mode that faults (RIP not canonical) is the program's
/// fault: the registers are its own already, and the frame above is the one it came with.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn protection() {
    naked_asm!(
        "clac",
        "test byte ptr [rsp + 16], 3",
        "jnz 3f",
        "push rax",
        "mov rax, [rsp + 16]", // RIP
        "cmp word ptr [rax], 0xcf48", // IRETQ
        "pop rax",
        "jne 3f",
        "mov rsp, [rsp + 32]", // Where IRETQ was reading.
        "push 0",
        "3:",
        "push {vector}",
        "jmp {exception}",
        vector = const vector::PROTECTION,
        exception = sym exception,
    )
}

/// An interrupt; on the stack as for [`exception`].
#[unsafe(naked)]
unsafe extern "C" fn interrupt() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3",
        "jz 2f",
        "swapgs",
        "2:",
        "cld",
        push_registers!(),
        "mov rdi, rsp",
        "call {handler}",
        "test byte ptr [rsp + {cs}], 3",
        "jnz {exit}",
        // The kernel was interrupted: perhaps another thread should run now.
        "cmp dword ptr gs:[{preempt}], 0",
        "jne {exit}",
        // An idle CPU that has not halted yet does not halt.
        "lea rax, [rip + {idle} + {halt}]",
        "cmp [rsp + {rip}], rax",
        "jne 3f",
        "inc qword ptr [rsp + {rip}]",
        "3:",
        "call {preempt_now}",
        "cli",
        "jmp {exit}",
        handler = sym interrupt_handler,
        cs = const offset_of!(TrapFrame, cs),
        idle = sym cpu::halt_until_interrupt,
        halt = const cpu::HALT,
        rip = const offset_of!(TrapFrame, rip),
        preempt = const cpu::PREEMPT,
        preempt_now = sym upcalls::preempt,
        exit = sym exit,
    )
}

/// The timer. What is most frequent needs no whole frame: it changes nothing but the time of the next one.
/// 16 instructions up to the handler, 14 from there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn timer() {
    naked_asm!(
        "clac",
        "test byte ptr [rsp + 8], 3", // CS
        "jz 2f",
        "swapgs",
        "cld",
        "push 0",
        "push {vector}",
        push_scratch!(),
        "call {of_program}",
        "test eax, eax",
        "jnz 3f",
        pop_scratch!(),
        "swapgs",
        "iretq",
        "2:",
        "push 0",
        "push {vector}",
        "jmp {interrupt}",
        "3:",
        push_preserved!(),
        "call {after_all}",
        "jmp {exit}",
        vector = const vector::TIMER,
        of_program = sym upcalls::timer_of_program,
        interrupt = sym interrupt,
        after_all = sym timer_after_all,
        exit = sym exit,
    )
}

/// The rest of a timer interrupt.
extern "C" fn timer_after_all() {
    let handler = Interrupt::begin();
    upcalls::timer_after_all();
    handler.end();
}

/// Leaves the frame that RSP points to.
#[unsafe(naked)]
unsafe extern "C" fn exit() {
    naked_asm!(
        "test byte ptr [rsp + {cs}], 3",
        "jz 3f",
        "cli",
        "2:",
        "cmp dword ptr gs:[{work}], 0",
        "jne 4f",
        skip_preserved!(),
        pop_scratch!(),
        "swapgs",
        "iretq",
        "3:",
        skip_preserved!(),
        pop_scratch!(),
        "iretq",
        "4:",
        "mov rdi, rsp",
        "call {user_return_work}",
        "cli",
        "jmp 2b",
        cs = const offset_of!(TrapFrame, cs),
        work = const cpu::WORK,
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
        pop_scratch!(),
        "swapgs",
        "iretq",
        "4:",
        "mov rdi, rsp",
        "call {user_return_work}",
        "cli",
        "jmp 2b",
        work = const cpu::WORK,
        user_return_work = sym upcalls::user_return_work,
    )
}

/// Leaves a user frame from which the preserved registers are taken.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exit_user() {
    naked_asm!(pop_scratch!(), "swapgs", "iretq")
}

/// Every exception but page faults and those on stacks of their own.
extern "C" fn exception_handler(frame: &mut TrapFrame) {
    if frame.is_user() {
        upcalls::user_exception(frame);
    } else {
        crate::panic::kernel_exception(frame);
    }
}

/// Every interrupt. They are edge-triggered, so the local APIC is told first.
extern "C" fn interrupt_handler(frame: &mut TrapFrame) {
    apic::eoi();
    let handler = Interrupt::begin();
    match frame.vector as u8 {
        vector::TIMER => upcalls::timer_interrupt(),
        vector::RESCHEDULE => upcalls::reschedule_ipi(),
        vector::TLB => crate::mm::tlb_ipi(),
        device => upcalls::device_interrupt((device - FIRST_GSI) as u32),
    }
    handler.end();
}
