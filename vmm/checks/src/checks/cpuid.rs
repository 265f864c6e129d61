//! CPUID leaves and clocks (SDM volume 2, CPUID; Linux `Documentation/virt/kvm/x86/cpuid.rst`, `msr.rst`).

use core::arch::x86_64::CpuidResult;

use ferrix_machine::cpuid as leaf;

use super::{Check, list};
use crate::arch::cpu::{self, Msr, cpuid};
use crate::arch::{phys, start};
use crate::verdict::{Verdict, equal, holds, needs, skip, there, within};
use crate::{Machine, apic, clock, pit};

/// All of this file.
pub const CHECKS: &[Check] = list!("cpuid_": leaves, as_set, apic_id, hypervisor, tsc_frequency, tsc_goes_on, kvm_wall_clock, kvm_system_time);

const HYPERVISOR: u32 = 1 << 31;

/// Whether the processor is QEMU's emulation.
pub fn emulated_by_qemu() -> bool {
    hypervisor_leaf(leaf::SIGNATURE)
        .is_some_and(|signature| signature.ebx == u32::from_le_bytes(*b"TCGT"))
}

/// A leaf of the hypervisor's range, if there is a hypervisor that has it.
pub fn hypervisor_leaf(number: u32) -> Option<CpuidResult> {
    let there = cpuid(1, 0).ecx & HYPERVISOR != 0 && cpuid(leaf::SIGNATURE, 0).eax >= number;
    there.then(|| cpuid(number, 0))
}

/// Highest leaves are in range, and the processor is one for 64-bit code.
fn leaves(_: &Machine) -> Verdict {
    const LONG_MODE: u32 = 1 << 29;
    within("highest basic leaf", cpuid(0, 0).eax.into(), 1..=0xff)?;
    within(
        "highest extended leaf",
        cpuid(0x8000_0000, 0).eax.into(),
        0x8000_0001..=0x8000_00ff,
    )?;
    holds("the vendor has a name", cpuid(0, 0).ebx != 0)?;
    equal(
        "long mode",
        cpuid(0x8000_0001, 0).edx & LONG_MODE,
        LONG_MODE,
    )?;
    // FPU, TSC, MSR, PAE, CX8, APIC, FXSR, SSE, SSE2: the x86-64 baseline and what this uses.
    const BASELINE: u32 = 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 24 | 3 << 25;
    equal("baseline features", cpuid(1, 0).edx & BASELINE, BASELINE)
}

/// Ferrix's monitor: the guest sees the feature bits that were set.
///
/// OSXSAVE follows CR4. A KVM that emulates kernels shows its host's bits: a kernel must believe leaf
/// [`OFFERED`](leaf::OFFERED) too, and so do the checks.
fn as_set(_: &Machine) -> Verdict {
    const OSXSAVE: u32 = 1 << 27;
    const POPCNT: u32 = 1 << 23;
    let ours = hypervisor_leaf(leaf::TIMING).is_some_and(|t| t.ecx == leaf::FERRIX_MAGIC);
    needs(ours, "not Ferrix's monitor")?;
    let set = there("the leaf", hypervisor_leaf(leaf::OFFERED))?;
    // Every processor with VT-x or SVM that KVM still runs on has it.
    needs(
        set.eax & POPCNT != 0,
        "this KVM emulates kernels and shows its host's CPUID",
    )?;
    equal(
        "leaf 1, ECX",
        cpuid(1, 0).ecx & !OSXSAVE,
        set.eax & !OSXSAVE,
    )?;
    equal("leaf 7, EBX", cpuid(7, 0).ebx, set.ebx)?;
    equal("leaf 0x80000001, ECX", cpuid(0x8000_0001, 0).ecx, set.edx)
}

/// What [`ends_interrupts_early`] says.
pub const ENDS_EARLY: &str = "this KVM ends interrupts when it delivers them";

/// Whether this KVM emulates kernels: such a one never shows an interrupt in service, in either mode of
/// the APIC, so none waits for the end of another, and remote IRR clears at once (docs/kvm.md). The
/// monitor has no part in it.
pub fn ends_interrupts_early() -> bool {
    const POPCNT: u32 = 1 << 23;
    let ours = hypervisor_leaf(leaf::TIMING).is_some_and(|t| t.ecx == leaf::FERRIX_MAGIC);
    ours && hypervisor_leaf(leaf::OFFERED).is_some_and(|set| set.eax & POPCNT == 0)
}

/// Leaves 1, 0xb and the local APIC agree on this CPU's id.
fn apic_id(_: &Machine) -> Verdict {
    let id = apic::id();
    equal("initial APIC id (leaf 1)", cpuid(1, 0).ebx >> 24, id)?;
    if cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx != 0 {
        equal("x2APIC id (leaf 0xb)", cpuid(0xb, 0).edx, id)?;
    }
    Ok(())
}

/// The signature leaf names its highest leaf; KVM's says which clocks there are.
fn hypervisor(_: &Machine) -> Verdict {
    needs(cpuid(1, 0).ecx & HYPERVISOR != 0, "no hypervisor bit")?;
    let signature = cpuid(leaf::SIGNATURE, 0);
    within(
        "highest leaf",
        signature.eax.into(),
        0x4000_0000..=0x4000_ffff,
    )?;
    holds("the hypervisor has a name", signature.ebx != 0)?;
    if signature.ebx == u32::from_le_bytes(*b"KVMK") {
        equal(
            "KVM's second word",
            signature.ecx,
            u32::from_le_bytes(*b"VMKV"),
        )?;
        equal(
            "KVM's third word",
            signature.edx,
            u32::from_le_bytes(*b"M\0\0\0"),
        )?;
    }
    Ok(())
}

/// The timing leaf's TSC frequency is that of the PIT, to 2 %.
fn tsc_frequency(_: &Machine) -> Verdict {
    let Some(offered) = clock::offered_tsc_khz() else {
        return skip("no frequency leaf");
    };
    needs(pit::present(), "no PIT")?;
    let measured = there("a measured frequency", pit::measure_tsc_khz())?;
    within(
        "TSC frequency in kHz",
        offered,
        measured * 98 / 100..=measured * 102 / 100,
    )
}

/// The TSC does not go backwards (SDM volume 3, 18.17).
fn tsc_goes_on(_: &Machine) -> Verdict {
    let mut last = cpu::tsc();
    for _ in 0..200 {
        let now = cpu::tsc();
        within("TSC after a reading", now, last..=u64::MAX)?;
        last = now;
    }
    Ok(())
}

/// KVM offers a feature of its own.
fn kvm_feature(bit: u32) -> bool {
    let ours = cpuid(leaf::SIGNATURE, 0).ebx == u32::from_le_bytes(*b"KVMK");
    ours && hypervisor_leaf(leaf::FEATURES).is_some_and(|features| features.eax >> bit & 1 != 0)
}

const CLOCKSOURCE2: u32 = 3;
/// Where KVM writes its clocks.
const CLOCK: u64 = 0x10_3000;

/// MSR_KVM_WALL_CLOCK_NEW: the time at which the machine started, after 2020.
fn kvm_wall_clock(_: &Machine) -> Verdict {
    needs(kvm_feature(CLOCKSOURCE2), "no KVM clock")?;
    let at = start::arena().start + CLOCK;
    cpu::write_msr(Msr::KVM_WALL_CLOCK, at);
    equal("version while it is still", phys::read::<u32>(at) % 2, 0u32)?;
    within(
        "seconds since 1970",
        phys::read::<u32>(at + 4).into(),
        1_577_836_800..=u32::MAX.into(),
    )?;
    within(
        "nanoseconds",
        phys::read::<u32>(at + 8).into(),
        0..=999_999_999,
    )
}

/// MSR_KVM_SYSTEM_TIME_NEW: its scale is the TSC's frequency.
fn kvm_system_time(_: &Machine) -> Verdict {
    needs(kvm_feature(CLOCKSOURCE2), "no KVM clock")?;
    let at = start::arena().start + CLOCK + 0x40;
    cpu::write_msr(Msr::KVM_SYSTEM_TIME, at | 1);
    let filled = clock::wait(clock::PATIENCE_MS, || phys::read::<u32>(at + 24) != 0);
    holds("the structure is filled", filled)?;
    let (multiplier, shift) = (
        u128::from(phys::read::<u32>(at + 24)),
        phys::read::<u8>(at + 28) as i8,
    );
    cpu::write_msr(Msr::KVM_SYSTEM_TIME, 0);
    let second = u128::from(clock::tsc_khz()) * 1000;
    let scaled = if shift >= 0 {
        second << shift.min(31)
    } else {
        second >> -shift.max(-31)
    };
    let nanoseconds = ((scaled * multiplier) >> 32) as u64;
    within(
        "nanoseconds of a second of the TSC",
        nanoseconds,
        980_000_000..=1_020_000_000,
    )
}
