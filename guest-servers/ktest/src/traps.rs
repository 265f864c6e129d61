//! Traps that programs can set for the kernel, by instructions alone: each ends the program that does it, or
//! nothing happens, and the kernel goes on.
//!
//! Where SYSCALL arrives as a fault (docs/kvm.md, machine B) some instructions end in another signal; the
//! table of each test says so.

mod addresses;
mod selectors;

use alloc::format;
use core::arch::asm;

use ferrix_abi::Call;
use ferrix_abi::cpu::CpuFeatures;
use ferrix_abi::signal::number::*;

use crate::cpu::{in_use, machine_b};
use crate::support::*;

pub const TESTS: &[Test] = &[
    ("privileged_instructions", privileged_instructions),
    ("software_interrupts", software_interrupts),
    ("descriptor_tables", descriptor_tables),
    ("single_step", single_step),
    ("flags_are_kept", flags_are_kept),
    ("compatibility_mode", selectors::compatibility_mode),
    ("selectors", selectors::selectors),
    ("bases_of_others", selectors::bases_of_others),
    ("stack_pointers", addresses::stack_pointers),
    ("system_call_at_the_end", addresses::system_call_at_the_end),
    (
        "addresses_of_the_kernel",
        addresses::addresses_of_the_kernel,
    ),
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

use instructions;

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
