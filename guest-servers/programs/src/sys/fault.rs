//! Deliberate faults, for tests of the system's isolation. Each function raises exactly one
//! hardware exception and returns only if the system failed to stop it.

use std::arch::asm;

/// Reads address 0.
pub fn read_null() {
    // SAFETY: reads one byte and keeps nothing; the page fault is the purpose.
    unsafe { asm!("mov {0:l}, [{0}]", inout(reg) 0usize => _, options(nostack, readonly)) }
}

/// Writes the first byte of the kernel's half of the address space.
pub fn write_kernel() {
    // SAFETY: no Rust object lives there; the fault is the purpose.
    unsafe {
        asm!("mov byte ptr [{0}], 0", in(reg) 0xffff_8000_0000_0000_u64, options(nostack));
    }
}

/// Calls a page of data that holds a return instruction.
pub fn execute_data() {
    static RETURN: [u8; 16] = [0xc3; 16];
    // A copy on the stack: writable, so certainly not executable.
    let data = std::hint::black_box(RETURN);
    // SAFETY: the bytes are `ret`, so even a system that executes them comes back.
    unsafe { asm!("call {0}", in(reg) data.as_ptr(), clobber_abi("C")) }
}

/// Divides by zero in hardware (`#DE`).
pub fn divide_by_zero() {
    // SAFETY: only registers change, and they are declared; the exception is the purpose.
    unsafe {
        asm!(
            "div {divisor:e}",
            divisor = in(reg) 0u32,
            inout("eax") 1u32 => _,
            inout("edx") 0u32 => _,
            options(nostack, nomem),
        );
    }
}
