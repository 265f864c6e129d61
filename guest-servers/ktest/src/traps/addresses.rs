//! Stacks, code and data at addresses that are not a program's.

use core::arch::asm;

use ferrix_abi::layout::{PAGE_SIZE, USER_TOP};
use ferrix_abi::process::Personality;
use ferrix_abi::signal::number::*;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_abi::{Call, Error};
use ferrix_rt::sys::memory::{Mapping, SELF, map};
use ferrix_rt::sys::{process, thread};

use crate::cpu::machine_b;
use crate::support::*;

/// The kernel uses no stack of a program, wherever it points.
pub fn stack_pointers() -> Outcome {
    let stacks = [
        0,
        0x8000_0000_0000,
        0xffff_ffff_8010_0000,
        u64::MAX,
        1 << 63,
    ];
    // With such stacks the emulating KVM also emulates user mode, once an interrupt came.
    let turns = if machine_b() { 1000 } else { 3_000_000 };
    for stack in stacks {
        let result: u64;
        // SAFETY: the stack is put back before it is used; the call does nothing. The loop is long enough
        // for an interrupt to come.
        unsafe {
            asm!(
                "xchg rsp, {stack}",
                "syscall",
                "mov ecx, {turns:e}",
                "2: dec ecx",
                "jnz 2b",
                "xchg rsp, {stack}",
                stack = inout(reg) stack => _,
                turns = in(reg) turns,
                inout("rax") u64::from(Call::Null as u8) => result,
                out("rcx") _, out("r11") _,
            );
        }
        equal(result, 0)?;
        let pid = spawn(|| {
            // SAFETY: the child ends here.
            unsafe { asm!("mov rsp, {}", "ud2", in(reg) stack, options(noreturn)) }
        })?;
        equal(status_of(pid)?, SIGILL)?;
        let entry = end_thread as *const () as u64;
        // SAFETY: the kernel refuses such stacks, and entries.
        let made = unsafe { thread::create(entry, stack.max(USER_TOP), 0, 0) };
        fails(made, Error::Invalid)?;
        fails(
            // SAFETY: as above.
            unsafe { thread::create(USER_TOP + stack % 4096, 8, 0, 0) },
            Error::Invalid,
        )?;
    }
    Ok(())
}

extern "C" fn end_thread() -> ! {
    process::exit(1)
}

/// A SYSCALL in the last bytes of user space: it would return to an address that is not the
/// program's, and on real processors fault in the kernel.
pub fn system_call_at_the_end() -> Outcome {
    let address = USER_TOP - PAGE_SIZE;
    let request = Mapping {
        address,
        flags: MapFlags::FIXED | MapFlags::PRIVATE,
        ..Mapping::anonymous(PAGE_SIZE, Prot::READ | Prot::WRITE)
    };
    for whole in [false, true] {
        let pid = spawn(|| {
            // SAFETY: nothing of Rust's lies there.
            if unsafe { map(&request) }.is_err() {
                // The page cannot be had: there is no trap.
                process::exit(SIGSEGV);
            }
            let page = Pages {
                address,
                length: PAGE_SIZE,
            };
            let syscall = (address + PAGE_SIZE - 2) as *mut [u8; 2];
            // SAFETY: in the page, which is this child's.
            unsafe { syscall.write([0x0f, 0x05]) };
            page.protect(Prot::READ | Prot::EXEC)?;
            if whole {
                // All of user space makes native calls.
                let entry = end_thread as *const () as u64;
                let everything = Personality {
                    text_begin: 0,
                    text_end: USER_TOP,
                    syscall_entry: entry,
                    signal_entry: entry,
                    fault_entry: entry,
                    exit_begin: 0,
                    exit_end: 0,
                };
                process::set_personality(SELF, &everything)?;
            }
            // SAFETY: the child ends there.
            unsafe { asm!("xor eax, eax", "jmp {}", in(reg) syscall, options(noreturn)) }
        })?;
        let status = status_of(pid)?;
        // With a personality: its entry, which says 1.
        let expected = if whole { [1, SIGSEGV] } else { [SIGSEGV; 2] };
        holds(expected.contains(&status), "it ends the program")?;
    }
    Ok(())
}

pub fn addresses_of_the_kernel() -> Outcome {
    for address in [
        0xffff_8000_0000_0000,
        0xffff_8000_0010_0000,
        0xffff_ffff_8010_0000,
        0x8000_0000_0000,
        u64::MAX - 7,
        1 << 63,
        USER_TOP,
    ] {
        let read = spawn(|| {
            // SAFETY: the child ends here.
            let word = unsafe { (address as *const u64).read_volatile() };
            process::exit((word as u32 & 0xff) << 8)
        })?;
        holds(
            [SIGSEGV, SIGBUS].contains(&status_of(read)?),
            "reading faults",
        )?;
        let jump = spawn(|| {
            // SAFETY: the child ends here.
            unsafe { asm!("jmp {}", in(reg) address, options(noreturn)) }
        })?;
        equal(status_of(jump)?, SIGSEGV)?;
    }
    Ok(())
}
