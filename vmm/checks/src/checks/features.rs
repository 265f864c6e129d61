//! What CPUID offers works in the kernel (SDM volume 1, 13 and 16; volume 2; volume 3, 2.5 and 4).
//!
//! A KVM that emulates the kernel's instructions cannot do all that its host's processor can; a
//! monitor must not pass such an offer on.

use core::arch::x86_64::CpuidResult;

use ferrix_machine::cpuid as leaf;

use super::cpuid::hypervisor_leaf;
use super::{Check, list};
use crate::Machine;
use crate::arch::cpu::{self, Msr, cpuid, cr4};
use crate::arch::guarded::{self as run, set_cr4};
use crate::arch::start::{self, UserAccess, set_user_page};
use crate::arch::trap::Exception;
use crate::arch::{phys, user};
use crate::verdict::{Failure, Stop, Value, Verdict, equal, holds, needs, there};

/// All of this file.
pub const CHECKS: &[Check] = list!("feature_": xsave, xcr0, smep, smap, umip, fsgsbase, pcid, invpcid, rdtscp,
    popcnt, lzcnt, movbe, bmi, adx, cmpxchg16b, rdrand, monitor, user_mode);

const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;
/// Where KVM emulates kernels, it shows its host's CPUID (docs/kvm.md).
const NOT_BY_MONITOR: &str = "the monitor does not offer it";
const NOT_OFFERED: &str = "CPUID does not offer it";
/// Memory for one operand.
const OPERAND: u64 = 0x10_4000;

const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_PCIDE: u64 = 1 << 17;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;

/// Ferrix's monitor says what it set, where KVM may show the host's bits instead.
fn monitor_offers(number: u32, register: fn(&CpuidResult) -> u32, bit: u32) -> bool {
    let ours = hypervisor_leaf(leaf::TIMING).is_some_and(|t| t.ecx == leaf::FERRIX_MAGIC);
    let Some(set) = hypervisor_leaf(leaf::OFFERED).filter(|_| ours) else {
        return true;
    };
    let asked = |ebx, ecx| {
        let registers = CpuidResult {
            eax: 0,
            ebx,
            ecx,
            edx: u32::MAX,
        };
        register(&registers) >> bit & 1 != 0
    };
    match number {
        1 => asked(0, set.eax),
        7 => asked(set.ebx, set.ecx),
        0x8000_0001 => asked(0, set.edx),
        _ => true,
    }
}

fn offered(leaf: u32, register: fn(&CpuidResult) -> u32, bit: u32) -> Verdict {
    let highest = cpuid(leaf & 0xffff_0000, 0).eax;
    needs(monitor_offers(leaf, register, bit), NOT_BY_MONITOR)?;
    needs(
        highest >= leaf && register(&cpuid(leaf, 0)) >> bit & 1 != 0,
        NOT_OFFERED,
    )
}

/// The result of an instruction that must not fault.
fn works<T>(what: &'static str, attempt: Result<T, Exception>) -> Result<T, Stop> {
    attempt.map_err(|exception| {
        Stop::Failed(Failure {
            what,
            expected: Value::Words("no exception"),
            got: Value::Number(exception.vector.into()),
        })
    })
}

/// Runs `body` with bits of CR4 set, and takes them back.
fn with_cr4(bits: u64, body: impl FnOnce() -> Verdict) -> Verdict {
    let before = cr4();
    works("setting the bit in CR4", set_cr4(before | bits))?;
    let verdict = body();
    works("clearing the bit in CR4", set_cr4(before))?;
    verdict
}

/// XSAVE: CR4.OSXSAVE, XCR0, and an area that is saved and restored (SDM volume 1, 13.2 to 13.8).
fn xsave(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 26)?;
    with_cr4(CR4_OSXSAVE, || {
        equal("CPUID.OSXSAVE", cpuid(1, 0).ecx >> 27 & 1, 1u32)?;
        equal("XCR0.x87", works("XGETBV", run::xgetbv())? & 1, 1u64)?;
        let all = u64::from(cpuid(0xd, 0).eax);
        equal("x87 and SSE states", all & 3, 3u64)?;
        works("XSETBV", run::xsetbv(all & 7))?;
        let area = start::arena().start + 0x10_5000;
        (0..64).for_each(|word| phys::write(area + 512 + 8 * word, 0u64));
        works("XSAVE and XRSTOR", run::xsave_and_restore(area))?;
        let size = cpuid(0xd, 0).ebx;
        crate::verdict::within("size of the area", size.into(), 576..=0x1000)
    })
}

/// XCR0 keeps what XSETBV wrote, also when the machine was left in between (SDM volume 3, 2.6).
///
/// QEMU's emulated SVM (7.2) does not intercept XSETBV: a KVM above it never learns the value, and the next
/// exit brings the one after reset back, 1.
fn xcr0(_: &Machine) -> Verdict {
    const AFTER_RESET: u64 = 1;
    offered(1, |r| r.ecx, 26)?;
    with_cr4(CR4_OSXSAVE, || {
        let all = u64::from(cpuid(0xd, 0).eax) & 7;
        works("XSETBV", run::xsetbv(all))?;
        // An access to a port leaves the guest.
        cpu::in8(ferrix_machine::port::UART + 5);
        let kept = works("XGETBV", run::xgetbv())?;
        needs(kept != AFTER_RESET, "KVM does not see XSETBV")?;
        equal("XCR0", kept, all)
    })
}

/// SMEP: the kernel may not execute a page of level 3 (volume 3, 4.6.1).
fn smep(_: &Machine) -> Verdict {
    offered(7, |r| r.ebx, 7)?;
    const RET: u8 = 0xc3;
    let code = user::page() + OPERAND;
    phys::write(code, RET);
    set_user_page(user::page(), UserAccess::Open);
    let verdict = works("calling a page of level 3 without SMEP", run::call(code)).and_then(|()| {
        with_cr4(CR4_SMEP, || {
            let exception = there("an exception", run::call(code).err())?;
            equal("vector", exception.vector, PAGE_FAULT)?;
            // Present, instruction fetch.
            equal("error code", exception.error & 0x11, 0x11u32)
        })
    });
    set_user_page(user::page(), UserAccess::Closed);
    verdict
}

/// SMAP: the kernel may not read a page of level 3 but between STAC and CLAC.
fn smap(_: &Machine) -> Verdict {
    offered(7, |r| r.ebx, 20)?;
    let word = user::page() + OPERAND;
    phys::write(word, 0x1234u64);
    set_user_page(user::page(), UserAccess::Open);
    let verdict = with_cr4(CR4_SMAP, || {
        let exception = there("an exception", run::load(word).err())?;
        equal("vector", exception.vector, PAGE_FAULT)?;
        equal(
            "value after STAC",
            works("STAC and CLAC", run::load_with_access(word))?,
            0x1234u64,
        )
    });
    set_user_page(user::page(), UserAccess::Closed);
    verdict
}

/// UMIP: level 3 may not learn where the tables are.
fn umip(_: &Machine) -> Verdict {
    offered(7, |r| r.ecx, 2)?;
    const SIDT_AT_RDI: [u8; 3] = [0x0f, 0x01, 0x0f];
    let free = there("an exception", user::run(&SIDT_AT_RDI))?;
    equal("vector without UMIP", free.vector, user::INVALID_OPCODE)?;
    with_cr4(CR4_UMIP, || {
        let caught = there("an exception", user::run(&SIDT_AT_RDI))?;
        equal("vector with UMIP", caught.vector, GENERAL_PROTECTION)
    })
}

/// WRFSBASE and RDFSBASE are the MSR.
fn fsgsbase(_: &Machine) -> Verdict {
    offered(7, |r| r.ebx, 0)?;
    with_cr4(CR4_FSGSBASE, || {
        equal(
            "RDFSBASE",
            works("WRFSBASE, RDFSBASE", run::fsbase(0x1234_5678_9abc))?,
            0x1234_5678_9abcu64,
        )?;
        equal(
            "IA32_FS_BASE",
            cpu::read_msr(Msr::FS_BASE),
            0x1234_5678_9abcu64,
        )
    })
}

/// CR4.PCIDE can be set, and CR3 holds a number (volume 3, 4.10.1).
fn pcid(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 17)?;
    with_cr4(CR4_PCIDE, || {
        works("CR3 with a number", run::set_pcid(5))?;
        works("CR3 with number 0", run::set_pcid(0))
    })
}

/// INVPCID of everything.
fn invpcid(_: &Machine) -> Verdict {
    offered(7, |r| r.ebx, 10)?;
    let descriptor = start::arena().start + OPERAND;
    phys::write(descriptor, 0u64);
    phys::write(descriptor + 8, 0u64);
    works("INVPCID", run::invpcid_all(descriptor))
}

/// RDTSCP: the TSC and IA32_TSC_AUX.
fn rdtscp(_: &Machine) -> Verdict {
    offered(0x8000_0001, |r| r.edx, 27)?;
    cpu::write_msr(Msr::TSC_AUX, 77);
    let before = cpu::tsc();
    let (tsc, aux) = works("RDTSCP", run::rdtscp())?;
    equal("IA32_TSC_AUX", aux, 77u32)?;
    crate::verdict::within("TSC", tsc, before..=cpu::tsc())
}

fn popcnt(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 23)?;
    equal(
        "POPCNT",
        works("POPCNT", run::popcnt(0xf0f0_0000_0000_0001))?,
        9u64,
    )
}

/// LZCNT executes as BSR where it is not there: the value tells.
fn lzcnt(_: &Machine) -> Verdict {
    offered(0x8000_0001, |r| r.ecx, 5)?;
    equal("LZCNT", works("LZCNT", run::lzcnt(1 << 60))?, 3u64)
}

fn movbe(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 22)?;
    let word = start::arena().start + OPERAND;
    phys::write(word, 0x0102_0304_0506_0708u64);
    equal(
        "MOVBE",
        works("MOVBE", run::movbe(word))?,
        0x0807_0605_0403_0201u64,
    )
}

/// BMI1 and BMI2, by one instruction each.
fn bmi(_: &Machine) -> Verdict {
    offered(7, |r| r.ebx, 3)?;
    equal("ANDN", works("ANDN", run::andn(0xf0, 0xff))?, 0x0fu64)?;
    offered(7, |r| r.ebx, 8)?;
    equal(
        "RORX",
        works("RORX", run::rorx(0x1ff))?,
        0xff00_0000_0000_0001u64,
    )
}

fn adx(_: &Machine) -> Verdict {
    offered(7, |r| r.ebx, 19)?;
    equal("ADCX", works("ADCX", run::adcx(40, 2))?, 42u64)
}

fn cmpxchg16b(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 13)?;
    let pair = start::arena().start + OPERAND;
    phys::write(pair, 0u64);
    phys::write(pair + 8, 0u64);
    holds(
        "the pair is exchanged",
        works("CMPXCHG16B", run::cmpxchg16b(pair, 7, 9))?,
    )?;
    equal("low word", phys::read::<u64>(pair), 7u64)?;
    equal("high word", phys::read::<u64>(pair + 8), 9u64)
}

fn rdrand(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 30)?;
    let first = there("a number", works("RDRAND", run::rdrand())?)?;
    let second = there("a number", works("RDRAND", run::rdrand())?)?;
    holds("two numbers differ", first != second)
}

fn monitor(_: &Machine) -> Verdict {
    offered(1, |r| r.ecx, 3)?;
    works("MONITOR", run::monitor(start::arena().start + OPERAND))
}

/// Level 3 can be entered, and comes back by an exception.
fn user_mode(_: &Machine) -> Verdict {
    const NOP: u8 = 0x90;
    let exception = there("an exception", user::run(&[NOP]))?;
    equal(
        "vector after NOP and UD2 at level 3",
        exception.vector,
        user::INVALID_OPCODE,
    )
}
