//! Traps that programs can set for the kernel, by instructions alone: each ends the program that does it, or
//! nothing happens, and the kernel goes on.
//!
//! Where SYSCALL arrives as a fault (docs/kvm.md, machine B) some instructions end in another signal; the
//! table of each test says so.

use alloc::format;
use core::arch::asm;

use ferrix_abi::cpu::CpuFeatures;
use ferrix_abi::layout::{PAGE_SIZE, USER_TOP};
use ferrix_abi::process::Personality;
use ferrix_abi::signal::number::*;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_abi::{Call, Error};
use ferrix_rt::sys::memory::{Mapping, SELF, map};
use ferrix_rt::sys::{process, thread, utcb};

use crate::cpu::{in_use, machine_b};
use crate::support::*;

pub const TESTS: &[Test] = &[
    ("privileged_instructions", privileged_instructions),
    ("software_interrupts", software_interrupts),
    ("compatibility_mode", compatibility_mode),
    ("descriptor_tables", descriptor_tables),
    ("single_step", single_step),
    ("flags_are_kept", flags_are_kept),
    ("selectors", selectors),
    ("bases_of_others", bases_of_others),
    ("stack_pointers", stack_pointers),
    ("system_call_at_the_end", system_call_at_the_end),
    ("addresses_of_the_kernel", addresses_of_the_kernel),
];

/// What a child does, and the signals that may end it.
type Trap = (&'static str, fn(), &'static [u32]);

fn all_end(traps: &[Trap]) -> Outcome {
    for (name, body, signals) in traps {
        let pid = spawn(|| {
            body();
            Ok(())
        })?;
        let status = status_of(pid)?;
        let expected = signals.contains(&status);
        let text = format!("{name} ended with {status:#x}, not one of {signals:?}");
        expected.then_some(()).ok_or(Failure(text))?;
    }
    Ok(())
}

/// A function that executes this.
macro_rules! instructions {
    ($($line:expr),+) => {
        || {
            // SAFETY: the child ends here, as it is meant to, or keeps all that the compiler knows of.
            unsafe {
                asm!($($line),+, out("rax") _, out("rcx") _, out("rdx") _, out("r11") _);
            }
        }
    };
}

const SEGV: &[u32] = &[SIGSEGV];
/// A processor may not have the instruction.
const SEGV_OR_ILL: &[u32] = &[SIGSEGV, SIGILL];

fn privileged_instructions() -> Outcome {
    all_end(&[
        ("cli", instructions!("cli"), SEGV),
        ("sti", instructions!("sti"), SEGV),
        ("hlt", instructions!("hlt"), SEGV),
        ("mov to cr0", instructions!("mov cr0, rax"), SEGV),
        ("mov from cr3", instructions!("mov rax, cr3"), SEGV),
        ("mov to cr4", instructions!("mov cr4, rax"), SEGV),
        ("mov to dr7", instructions!("mov dr7, rax"), SEGV),
        ("clts", instructions!("clts"), SEGV),
        ("invlpg", instructions!("invlpg [rsp]"), SEGV),
        ("wbinvd", instructions!("wbinvd"), SEGV),
        ("rdmsr", instructions!("mov ecx, 0xc0000080", "rdmsr"), SEGV),
        ("wrmsr", instructions!("mov ecx, 0xc0000101", "wrmsr"), SEGV),
        ("in", instructions!("mov dx, 0x3f8", "in al, dx"), SEGV),
        ("out", instructions!("out 0x64, al"), SEGV),
        ("swapgs", instructions!("swapgs"), SEGV_OR_ILL),
        ("lgdt", instructions!("lgdt [rsp]"), SEGV),
        ("lidt", instructions!("lidt [rsp]"), SEGV),
        ("ltr", instructions!("mov eax, 0x38", "ltr ax"), SEGV),
        (
            "sysret",
            instructions!("xor ecx, ecx", "sysretq"),
            SEGV_OR_ILL,
        ),
        ("rdpmc", instructions!("xor ecx, ecx", "rdpmc"), SEGV),
        (
            "xsetbv",
            instructions!("xor ecx, ecx", "xsetbv"),
            SEGV_OR_ILL,
        ),
    ])
}

/// INT3 and INT1 are for debuggers; every other vector is the kernel's.
fn software_interrupts() -> Outcome {
    // Where SYSCALL arrives as a fault, INT n is an invalid instruction.
    all_end(&[
        ("int 0", instructions!("int 0"), SEGV_OR_ILL),
        ("int 2", instructions!("int 2"), SEGV_OR_ILL),
        ("int 8", instructions!("int 8"), SEGV_OR_ILL),
        ("int 13", instructions!("int 13"), SEGV_OR_ILL),
        ("int 14", instructions!("int 14"), SEGV_OR_ILL),
        ("int 18", instructions!("int 18"), SEGV_OR_ILL),
        ("int 0x30", instructions!("int 0x30"), SEGV_OR_ILL),
        ("int 0x80", instructions!("int 0x80"), SEGV_OR_ILL),
        ("int 0xe0", instructions!("int 0xe0"), SEGV_OR_ILL),
        ("int 0xff", instructions!("int 0xff"), SEGV_OR_ILL),
        ("int3", instructions!("int3"), &[SIGTRAP]),
        // QEMU does not know it.
        ("int1", instructions!(".byte 0xf1"), &[SIGTRAP, SIGILL]),
        ("sysenter", instructions!("sysenter"), SEGV_OR_ILL),
    ])
}

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
fn compatibility_mode() -> Outcome {
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

/// With UMIP a program does not learn where the tables of descriptors lie.
fn descriptor_tables() -> Outcome {
    let may: &[u32] = match (machine_b(), in_use(CpuFeatures::UMIP)) {
        // Whether the host's own kernel lets them is its affair.
        (true, _) => &[0, SIGSEGV],
        (_, true) => SEGV,
        (_, false) => &[0],
    };
    all_end(&[
        (
            "sgdt",
            instructions!("sub rsp, 16", "sgdt [rsp]", "add rsp, 16"),
            may,
        ),
        (
            "sidt",
            instructions!("sub rsp, 16", "sidt [rsp]", "add rsp, 16"),
            may,
        ),
        ("sldt", instructions!("sldt ax"), may),
        ("str", instructions!("str ax"), may),
        ("smsw", instructions!("smsw rax"), may),
    ])
}

/// The trap flag ends in SIGTRAP in user mode, never in the kernel.
fn single_step() -> Outcome {
    all_end(&[
        (
            "step",
            instructions!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop"),
            &[SIGTRAP],
        ),
        (
            "step of syscall",
            instructions!(
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "xor eax, eax",
                "popfq",
                "syscall",
                "nop",
                "nop"
            ),
            &[SIGTRAP],
        ),
        (
            "step of syscall in the shadow of mov ss",
            instructions!(
                "mov edx, ss",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "xor eax, eax",
                "popfq",
                "mov ss, edx",
                "syscall",
                "nop",
                "nop"
            ),
            &[SIGTRAP],
        ),
        (
            "step into int3 in the shadow of mov ss",
            instructions!(
                "mov edx, ss",
                "pushfq",
                "or qword ptr [rsp], 0x100",
                "popfq",
                "mov ss, edx",
                "int3",
                "nop"
            ),
            &[SIGTRAP],
        ),
    ])
}

/// CF, PF, AF, ZF, SF, DF, OF, AC, ID.
const PROGRAM_FLAGS: u64 = 0xd5 | 1 << 10 | 1 << 11 | 1 << 18 | 1 << 21;
/// NT, which the emulating KVM loses.
const NESTED_TASK: u64 = 1 << 14;

/// Flags that change what instructions do neither reach the kernel nor get lost there.
fn flags_are_kept() -> Outcome {
    let fresh = Pages::new(1)?;
    let flags = match machine_b() {
        true => PROGRAM_FLAGS,
        false => PROGRAM_FLAGS | NESTED_TASK,
    };
    let (by_call, by_fault): (u64, u64);
    // SAFETY: the flags are put back before Rust code runs, the call does nothing, and the page is ours.
    unsafe {
        asm!(
            "pushfq",
            "pushfq",
            "or [rsp], {flags}",
            "popfq",
            "mov eax, {null}",
            "syscall",
            "pushfq",
            "pop {by_call}",
            "mov byte ptr [{page}], 1",
            "pushfq",
            "pop {by_fault}",
            "popfq",
            flags = in(reg) flags,
            null = const Call::Null as u32,
            page = in(reg) fresh.address,
            by_call = out(reg) by_call,
            by_fault = out(reg) by_fault,
            out("rax") _, out("rcx") _, out("r11") _,
        );
    }
    equal(by_call & flags, flags)?;
    equal(by_fault & flags, flags)?;
    equal(fresh.read(0), 1)
}

fn load_selectors(selector: u16) {
    // SAFETY: data segments mean nothing in 64-bit mode. FS and GS, whose bases do, are not touched.
    unsafe { asm!("mov ds, {0:e}", "mov es, {0:e}", in(reg) u32::from(selector)) }
}

/// Selectors of data may be loaded; those of the kernel, and of nothing, may not.
fn selectors() -> Outcome {
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
fn bases_of_others() -> Outcome {
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

/// The kernel uses no stack of a program, wherever it points.
fn stack_pointers() -> Outcome {
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
fn system_call_at_the_end() -> Outcome {
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

fn addresses_of_the_kernel() -> Outcome {
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
