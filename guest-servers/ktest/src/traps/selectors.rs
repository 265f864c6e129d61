//! Segment selectors that programs load.

use core::arch::asm;

use ferrix_abi::signal::number::*;
use ferrix_rt::sys::{thread, utcb};

use super::{SEGV, SEGV_OR_ILL, all_end, instructions};
use crate::cpu::machine_b;
use crate::support::*;

/// Jumps far to the next instruction with this code selector. In 32-bit mode that would be AMD's other SYSCALL.
macro_rules! far_jump {
    ($selector:literal) => {
        instructions!(
            "sub rsp, 16",
            "lea rax, [rip + 2f]",
            "mov [rsp], eax",
            concat!("mov word ptr [rsp + 4], ", $selector),
            ".byte 0xff, 0x2c, 0x24", // JMP FAR [RSP]
            "2: syscall",
            "ud2"
        )
    };
}

/// No selector leads to 32-bit code (where AMD's SYSCALL has another entry), or to the kernel's.
pub fn compatibility_mode() -> Outcome {
    // The emulating KVM's host has such a selector, and no SYSCALL there.
    let host: &[u32] = if machine_b() { SEGV_OR_ILL } else { SEGV };
    all_end(&[
        ("0x23", far_jump!("0x23"), host),
        ("0x20", far_jump!("0x20"), host),
        ("0x0b", far_jump!("0x0b"), SEGV),
        ("0x10", far_jump!("0x10"), SEGV),
        ("0", far_jump!("0"), SEGV),
        (
            "far return",
            instructions!("push 0x23", "lea rax, [rip]", "push rax", "retfq"),
            host,
        ),
        (
            "iretq to the kernel",
            instructions!(
                "push 0x18",
                "push rsp",
                "pushfq",
                "push 0x10",
                "push 0",
                "iretq"
            ),
            SEGV,
        ),
    ])
}

fn load_selectors(selector: u16) {
    // SAFETY: data segments mean nothing in 64-bit mode. FS and GS, whose bases do, are not touched.
    unsafe { asm!("mov ds, {0:e}", "mov es, {0:e}", in(reg) u32::from(selector)) }
}

/// Selectors of data may be loaded; those of the kernel, and of nothing, may not.
pub fn selectors() -> Outcome {
    for selector in [0, 1, 2, 3, 0x2b, 0x33, 0] {
        succeeded(spawn(|| {
            load_selectors(selector);
            thread::yield_now();
            load_selectors(0);
            Ok(())
        })?)?;
    }
    for selector in [0x08, 0x10, 0x18, 0x20, 0x23, 0x38, 0x48, 0xfff8, 4] {
        let pid = spawn(|| {
            load_selectors(selector);
            Ok(())
        })?;
        equal(status_of(pid)?, SIGSEGV)?;
    }
    Ok(())
}

/// A program that clears its bases by loading selectors harms itself alone.
pub fn bases_of_others() -> Outcome {
    let pid = spawn(|| {
        // SAFETY: nothing uses GS any more.
        unsafe {
            asm!("mov fs, {0:e}", "mov gs, {0:e}", "2: pause", "jmp 2b", in(reg) 0, options(noreturn))
        }
    })?;
    for _ in 0..50 {
        thread::yield_now();
        // The process number is in the UTCB, found by GS.
        equal(utcb::pid() == pid, false)?;
    }
    sleep_ms(30);
    equal(utcb::pid() == pid, false)?;
    kill(pid as i32, SIGKILL)?;
    equal(status_of(pid)?, SIGKILL)
}
