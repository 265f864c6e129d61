//! The ways in and out. Everything the rest of the personality sees is a [`Frame`].
//!
//! A thread has one frame, at the top of its stack here: the program's state is complete in it, and a signal handler's
//! system call uses it anew (what was interrupted is in the handler's frame on the program's stack).
//!
//! | address | from | to |
//! |---|---|---|
//! | [`syscall_entry`] | a `syscall` of the program | [`dispatch::system_call`] |
//! | [`signal_entry`] | the kernel, a caught signal while the program ran | [`deliver::signal`] |
//! | [`fault_entry`] | the kernel, a fault of the personality itself | the guarded copy's caller, or the end |
//! | [`exit_window`] | all of them | the program |
//!
//! The exit window looks for a pending signal and then leaves by user-mode instructions alone. A signal that arrives
//! between the look and the departure makes the kernel start the window again; so nothing in it may change what it
//! reads: the frame stays where it is and is found from the UTCB.

use crate::local::Local;
use crate::{deliver, dispatch, start};
use core::arch::naked_asm;
use core::mem::offset_of;
use ferrix_abi::ipc::Utcb;
use ferrix_abi::process::Personality;
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::signal::{SignalInfo, SignalSlot};
use ferrix_posix::Frame;

/// Bytes of the first thread's stack. It ends inside a page whose rest is what every process writes (`posix.ld`): most
/// system calls need no more of the stack than that, so a fork copies one page of the personality and not two.
pub const STACK_SIZE: usize = 32 * 1024 + 1024;

/// The first thread's stack; the linker script puts it right above read-only pages.
#[repr(C, align(16))]
struct Stack([u8; STACK_SIZE]);

#[unsafe(link_section = ".bss.stack")]
static mut FIRST_STACK: Stack = Stack([0; STACK_SIZE]);

const SIGNAL: usize = offset_of!(Utcb, signal);
const PENDING: usize = SIGNAL + offset_of!(SignalSlot, pending);
const FAULT_ACTIVE: usize = SIGNAL + offset_of!(SignalSlot, fault_active);
const SLOT_RIP: usize = SIGNAL + offset_of!(SignalSlot, rip);
const SLOT_RSP: usize = SIGNAL + offset_of!(SignalSlot, rsp);
const SLOT_SIGNO: usize = SIGNAL + offset_of!(SignalSlot, info) + offset_of!(SignalInfo, signo);
const SLOT_FLAGS: usize = SIGNAL + offset_of!(SignalSlot, rflags);
const STACK_TOP: usize = offset_of!(Utcb, user) + offset_of!(Local, stack_top);
const SCRATCH: usize = offset_of!(Utcb, user) + offset_of!(Local, scratch);
const EXIT_RIP: usize = offset_of!(Utcb, user) + offset_of!(Local, exit_rip);

/// Pushes the general registers: the lower part of [`Frame`], above `reserved`.
macro_rules! push_registers {
    () => {
        "push rax
         push rbx
         push rcx
         push rdx
         push rsi
         push rdi
         push rbp
         push r8
         push r9
         push r10
         push r11
         push r12
         push r13
         push r14
         push r15"
    };
}

/// First instruction of the personality in a process that init made: RDI = start-up page. The stack it came with
/// lies in the program's part and goes with the first `exec`.
///
/// # Safety
/// Only for the kernel to start a thread at.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text._start")]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "lea rsp, [rip + {stack} + {size}]",
        "mov rsi, rsp",
        "sub rsp, {frame}",
        "mov rdx, rsp",
        "call {start}",
        "jmp {exit}",
        stack = sym FIRST_STACK,
        size = const STACK_SIZE,
        frame = const size_of::<Frame>(),
        start = sym start::first,
        exit = sym exit_window,
    )
}

/// A program's `syscall`: RCX = its RIP, R11 = its flags, all else as it was.
#[unsafe(naked)]
unsafe extern "C" fn syscall_entry() -> ! {
    naked_asm!(
        "mov gs:[{scratch}], rsp",
        "mov rsp, gs:[{top}]",
        "push qword ptr gs:[{scratch}]",
        "push r11",
        "push rcx",
        "push rax",
        "push rax",
        push_registers!(),
        "cld",
        "mov rdi, rsp",
        "xor ebp, ebp",
        "call {dispatch}",
        "jmp {exit}",
        scratch = const SCRATCH,
        top = const STACK_TOP,
        dispatch = sym dispatch::system_call,
        exit = sym exit_window,
    )
}

/// A caught signal interrupted the program: RIP, RSP and flags are in the slot, all else as it was.
#[unsafe(naked)]
unsafe extern "C" fn signal_entry() -> ! {
    naked_asm!(
        "mov rsp, gs:[{top}]",
        "push qword ptr gs:[{rsp}]",
        "push qword ptr gs:[{flags}]",
        "push qword ptr gs:[{rip}]",
        "push -1",
        "push -1",
        push_registers!(),
        "cld",
        "mov rdi, rsp",
        "xor ebp, ebp",
        "call {deliver}",
        "jmp {exit}",
        top = const STACK_TOP,
        rsp = const SLOT_RSP,
        flags = const SLOT_FLAGS,
        rip = const SLOT_RIP,
        deliver = sym deliver::signal,
        exit = sym exit_window,
    )
}

/// Leaves for the program, unless a signal waits. The window of `Personality::exit_begin`.
#[unsafe(naked)]
#[unsafe(link_section = ".text.exit_window")]
unsafe extern "C" fn exit_window() -> ! {
    naked_asm!(
        "mov rsp, gs:[{top}]",
        "sub rsp, {frame}",
        "cmp dword ptr gs:[{pending}], 0",
        "jne {deliver}",
        "pop r15
         pop r14
         pop r13
         pop r12
         pop r11
         pop r10
         pop r9
         pop r8
         pop rbp
         pop rdi
         pop rsi
         pop rdx
         pop rcx
         pop rbx
         pop rax
         add rsp, 16",
        "pop qword ptr gs:[{rip}]",
        "popfq",
        "mov rsp, [rsp]",
        "jmp qword ptr gs:[{rip}]",
        top = const STACK_TOP,
        frame = const size_of::<Frame>(),
        pending = const PENDING,
        deliver = sym deliver_first,
        rip = const EXIT_RIP,
    )
}

/// Signals wait: RSP is the frame.
#[unsafe(naked)]
unsafe extern "C" fn deliver_first() -> ! {
    naked_asm!(
        "mov rdi, rsp",
        "call {pending}",
        "jmp {exit}",
        pending = sym deliver::pending,
        exit = sym exit_window,
    )
}

/// The personality faulted. In a guarded routine (which has pushed nothing): return 1 to its caller, or 2 when there
/// was no memory for the page.
#[unsafe(naked)]
unsafe extern "C" fn fault_entry() -> ! {
    naked_asm!(
        "mov rsp, gs:[{rsp}]",
        "mov rdi, gs:[{rip}]",
        "lea rax, [rip + guarded_begin]",
        "cmp rdi, rax",
        "jb {fatal}",
        "lea rax, [rip + guarded_end]",
        "cmp rdi, rax",
        "jae {fatal}",
        "mov dword ptr gs:[{active}], 0",
        "xor eax, eax",
        "cmp dword ptr gs:[{signo}], {no_memory}",
        "sete al",
        "inc eax",
        "ret",
        rsp = const SLOT_RSP,
        rip = const SLOT_RIP,
        active = const FAULT_ACTIVE,
        signo = const SLOT_SIGNO,
        no_memory = const SIGKILL,
        fatal = sym fault_is_fatal,
    )
}

/// Ends the process: the stack may be what faulted, so another one is used.
#[unsafe(naked)]
unsafe extern "C" fn fault_is_fatal() -> ! {
    naked_asm!(
        "mov rsp, gs:[{top}]",
        "call {end}",
        top = const STACK_TOP,
        end = sym deliver::personality_fault,
    )
}

/// First instruction of a new thread of the program: RDI = its own area's first values. Its frame is in place.
#[unsafe(naked)]
pub unsafe extern "C" fn thread_entry() -> ! {
    naked_asm!(
        "call {begin}",
        "jmp {exit}",
        begin = sym crate::stacks::begin,
        exit = sym exit_window,
    )
}

unsafe extern "C" {
    static text_begin: u8;
    static text_end: u8;
    static exit_begin: u8;
    static exit_end: u8;
}

/// What the kernel has to know.
pub fn personality() -> Personality {
    Personality {
        text_begin: &raw const text_begin as u64,
        text_end: &raw const text_end as u64,
        syscall_entry: syscall_entry as *const () as u64,
        signal_entry: signal_entry as *const () as u64,
        fault_entry: fault_entry as *const () as u64,
        exit_begin: &raw const exit_begin as u64,
        exit_end: &raw const exit_end as u64,
    }
}
