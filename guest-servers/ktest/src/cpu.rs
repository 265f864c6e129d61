//! What the processor offers, and that the kernel uses it; floating point, with all its registers.
//!
//! A process with a personality computes in floating point. Here children give themselves one that
//! covers their own text, so their calls stay native.

use alloc::format;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

use ferrix_abi::cpu::CpuFeatures;
use ferrix_abi::process::Personality;
use ferrix_abi::signal::number::*;
use ferrix_rt::sys::memory::SELF;
use ferrix_rt::sys::{process, system, thread};

use crate::options;
use crate::support::*;

pub const TESTS: &[Test] = &[
    ("features_are_used", features_are_used),
    ("bases_by_instruction", bases_by_instruction),
    ("servers_do_not_compute", servers_do_not_compute),
    ("registers_begin_empty", registers_begin_empty),
    ("registers_are_kept", registers_are_kept),
    ("registers_are_forked", registers_are_forked),
    ("registers_of_a_new_thread", registers_of_a_new_thread),
];

/// What the kernel uses.
pub fn in_use(feature: CpuFeatures) -> bool {
    CpuFeatures::from_bits_retain(system::kernel_info().cpu_features).contains(feature)
}

/// The kernel is emulated (docs/kvm.md, machine B): CPUID in user mode is the host's.
pub fn machine_b() -> bool {
    in_use(CpuFeatures::SYSCALL_FAULTS)
}

/// What CPUID offers is in use, unless the command line takes it away.
fn features_are_used() -> Outcome {
    if machine_b() {
        let none = !in_use(CpuFeatures::XSAVE) && !in_use(CpuFeatures::SMAP);
        return holds(none, "nothing is used that cannot be emulated");
    }
    let basic = __cpuid(1);
    let structured = __cpuid_count(7, 0);
    for (feature, register, bit) in [
        (CpuFeatures::PGE, basic.edx, 13),
        (CpuFeatures::X2APIC, basic.ecx, 21),
        (CpuFeatures::TSC_DEADLINE, basic.ecx, 24),
        (CpuFeatures::XSAVE, basic.ecx, 26),
        (CpuFeatures::FSGSBASE, structured.ebx, 0),
        (CpuFeatures::SMEP, structured.ebx, 7),
        (CpuFeatures::SMAP, structured.ebx, 20),
        (CpuFeatures::UMIP, structured.ecx, 2),
        (CpuFeatures::GIGABYTE_PAGES, __cpuid(0x8000_0001).edx, 26),
    ] {
        let offered = register & 1 << bit != 0;
        let mut names = feature.iter_names();
        let taken = names.any(|(name, _)| options::without().any(|word| word == name));
        let lost = feature == CpuFeatures::XSAVE && in_use(CpuFeatures::XCR0_LOST);
        let (found, expected) = (in_use(feature), offered && !taken && !lost);
        if found != expected {
            let text = format!("{feature:?}: in use: {found}, instead of {expected}");
            return Err(Failure(text));
        }
    }
    Ok(())
}

/// RDFSBASE and its siblings are for programs where the kernel uses them.
fn bases_by_instruction() -> Outcome {
    let pid = spawn(|| {
        let base: u64;
        // SAFETY: reads a register, if it may.
        unsafe { asm!("rdgsbase {}", out(reg) base) };
        equal(base, ferrix_rt::sys::utcb::utcb() as u64)
    })?;
    let allowed = machine_b() || in_use(CpuFeatures::FSGSBASE);
    equal(status_of(pid)?, if allowed { 0 } else { SIGILL })
}

fn servers_do_not_compute() -> Outcome {
    let pid = spawn(|| {
        // SAFETY: the child ends here.
        unsafe { asm!("movups xmm0, [rsp]") };
        Ok(())
    })?;
    // The emulating KVM does not heed CR0.TS.
    equal(status_of(pid)?, if machine_b() { 0 } else { SIGILL })
}

/// Lets this process compute.
fn compute() -> Outcome {
    let entry = unexpected as *const () as u64;
    let text = 0x40_0000..0x80_0000;
    let own = Personality {
        text_begin: text.start,
        text_end: text.end,
        syscall_entry: entry,
        signal_entry: entry,
        fault_entry: entry,
        exit_begin: text.start,
        exit_end: text.start,
    };
    Ok(process::set_personality(SELF, &own)?)
}

extern "C" fn unexpected() -> ! {
    process::exit(9 << 8)
}

/// Bytes of each vector register that the kernel keeps.
fn width() -> usize {
    // OSXSAVE comes with CR4's, which programs can see.
    let enabled = in_use(CpuFeatures::XSAVE) && __cpuid(1).ecx & 1 << 27 != 0;
    if !enabled {
        return 16;
    }
    let states: u32;
    // SAFETY: XGETBV is there where XSAVE is enabled.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") states, out("edx") _) };
    if states & 4 != 0 { 32 } else { 16 }
}

/// The vector registers and MXCSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
struct Registers {
    vectors: [[u8; 32]; 16],
    control: u32,
}

impl Registers {
    fn filled(with: u8) -> Registers {
        let mut vectors = [[0; 32]; 16];
        for (number, vector) in vectors.iter_mut().enumerate() {
            vector[..width()].fill(with.wrapping_mul(16).wrapping_add(number as u8));
        }
        // All exceptions masked; the rounding mode tells one from the other.
        let control = 0x1f80 | u32::from(with & 3) << 13;
        Registers { vectors, control }
    }
}

/// The sixteen registers.
macro_rules! for_each_vector {
    ($line:literal, $at:expr) => {
        asm!(".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", $line, ".endr", in("rax") $at)
    };
}

fn load(from: &Registers) {
    let at = &raw const from.vectors;
    // SAFETY: the program is compiled without these registers, so all of them are free; those of 32 bytes
    // are used only where there are some.
    unsafe {
        match width() {
            32 => for_each_vector!("vmovdqu ymm\\i, [rax + 32 * \\i]", at),
            _ => for_each_vector!("movdqu xmm\\i, [rax + 32 * \\i]", at),
        }
        asm!("ldmxcsr [{}]", in(reg) &raw const from.control);
    }
}

fn store() -> Registers {
    let mut found = Registers {
        vectors: [[0; 32]; 16],
        control: 0,
    };
    let at = &raw mut found.vectors;
    // SAFETY: as in `load`; each register has its place.
    unsafe {
        match width() {
            32 => for_each_vector!("vmovdqu [rax + 32 * \\i], ymm\\i", at),
            _ => for_each_vector!("movdqu [rax + 32 * \\i], xmm\\i", at),
        }
        asm!("stmxcsr [{}]", in(reg) &raw mut found.control);
    }
    // Flags of exceptions that happened.
    found.control &= !0x3f;
    found
}

/// Fails unless the registers are these; names the first that is not.
#[track_caller]
fn registers_are(expected: &Registers) -> Outcome {
    let found = store();
    equal(found.control, expected.control)?;
    for number in 0..16 {
        let (one, other) = (found.vectors[number], expected.vectors[number]);
        equal((number, one), (number, other))?;
    }
    Ok(())
}

/// Whatever other programs had in them.
fn registers_begin_empty() -> Outcome {
    let other = spawn(|| {
        compute()?;
        load(&Registers::filled(0xb));
        after_a_while(20)
    })?;
    sleep_ms(5);
    let pid = spawn(|| {
        compute()?;
        let empty = Registers {
            vectors: [[0; 32]; 16],
            control: 0x1f80,
        };
        registers_are(&empty)
    })?;
    succeeded(pid)?;
    succeeded(other)
}

/// Programs that take turns on one CPU, and the kernel's own switches between them.
fn registers_are_kept() -> Outcome {
    thread::set_affinity(0, 1)?;
    let child = |with: u8| {
        spawn(move || {
            compute()?;
            let own = Registers::filled(with);
            load(&own);
            for round in 0..200 {
                if round % 40 == 0 {
                    sleep_ms(1);
                }
                thread::yield_now();
                registers_are(&own)?;
            }
            Ok(())
        })
    };
    let children = [child(1)?, child(2)?, child(3)?];
    children.into_iter().try_for_each(succeeded)
}

fn registers_are_forked() -> Outcome {
    let pid = spawn(|| {
        compute()?;
        let own = Registers::filled(5);
        load(&own);
        let child = spawn(|| {
            registers_are(&own)?;
            load(&Registers::filled(6));
            thread::yield_now();
            registers_are(&Registers::filled(6))
        })?;
        succeeded(child)?;
        registers_are(&own)
    })?;
    succeeded(pid)
}

fn registers_of_a_new_thread() -> Outcome {
    let pid = spawn(|| {
        compute()?;
        load(&Registers::filled(7));
        let other = start_thread(|| {
            for _ in 0..20 {
                load(&Registers::filled(8));
                thread::yield_now();
                registers_are(&Registers::filled(8))?;
            }
            Ok(())
        })?;
        for _ in 0..20 {
            thread::yield_now();
            registers_are(&Registers::filled(7))?;
        }
        other.join()
    })?;
    succeeded(pid)
}
