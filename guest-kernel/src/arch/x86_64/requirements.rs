//! What the processor must have. Without it the kernel's first instructions would fault before there is
//! anyone to tell, so they look, and what is missing is named on the UART.

use core::arch::global_asm;

use ferrix_machine::port::{I8042_COMMAND, I8042_RESET, UART};
use ferrix_machine::uart;

/// Bits of EDX of leaf 1: FPU, TSC, MSR, PAE, CX8, APIC, CMOV, FXSR, SSE, SSE2.
pub const BASIC: u32 = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 15 | 7 << 24;
/// Bits of EDX of leaf 0x8000_0001: SYSCALL, NX, LM.
pub const EXTENDED: u32 = 1 << 11 | 1 << 20 | 1 << 29;

// Entered in 32-bit mode without paging and without a stack. EDX: the bits that are missing, EDI: their names.
// ESI: text to print, EBP: where to go on then, EBX: the name in turn.
global_asm!(
    ".section .boot.text, \"awx\"",
    ".code32",
    "cpu_lacks:",
    "mov ebx, edi",
    "mov edi, edx",
    "mov esi, offset lacks_text",
    "mov ebp, offset lacks_names",
    // Prints.
    "2: mov dx, {line_status}",
    "21: in al, dx",
    "test al, {room}",
    "jz 21b",
    "lodsb",
    "test al, al",
    "jz 22f",
    "mov dx, {uart}",
    "out dx, al",
    "jmp 2b",
    "22: jmp ebp",
    // The next name: 16 bytes, the bit's number first; 0xff after the last.
    "lacks_names: movzx ecx, byte ptr [ebx]",
    "lea esi, [ebx + 1]",
    "add ebx, 16",
    "cmp cl, 0xff",
    "je 4f",
    "bt edi, ecx",
    "jnc lacks_names",
    "jmp 2b",
    "4: mov ebp, offset lacks_end",
    "mov esi, offset lacks_advice",
    "jmp 2b",
    // Ends the machine: reset by the keyboard controller, or by a fault that nothing handles.
    "lacks_end: mov al, {reset}",
    "out {i8042}, al",
    "lidt [7f]",
    "ud2",
    ".balign 4",
    "7: .word 0",
    ".long 0",
    "lacks_text: .asciz \"ferrix: the processor lacks\"",
    "lacks_advice: .asciz \": choose another CPU model\\n\"",
    ".macro feature bit, name",
    ".byte \\bit",
    ".asciz \" \\name\"",
    ".balign 16",
    ".endm",
    ".balign 16",
    "basic_features:",
    "feature 0, fpu",
    "feature 4, tsc",
    "feature 5, msr",
    "feature 6, pae",
    "feature 8, cx8",
    "feature 9, apic",
    "feature 15, cmov",
    "feature 24, fxsr",
    "feature 25, sse",
    "feature 26, sse2",
    ".byte 0xff",
    ".balign 16",
    "extended_features:",
    "feature 11, syscall",
    "feature 20, nx",
    "feature 29, lm",
    ".byte 0xff",
    ".balign 16",
    ".code64",
    ".text",
    uart = const UART,
    room = const uart::HAS_ROOM,
    line_status = const UART + uart::LINE_STATUS,
    i8042 = const I8042_COMMAND,
    reset = const I8042_RESET,
);
