//! What the processor and the hypervisor offer, from CPUID, asked once.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub use ferrix_abi::cpu::CpuFeatures as Features;
use ferrix_machine::cpuid as leaf;

static FEATURES: AtomicU32 = AtomicU32::new(0);

/// The features found by [`detect`].
#[inline]
pub fn features() -> Features {
    Features::from_bits_retain(FEATURES.load(Relaxed))
}

/// Asks CPUID.
pub fn detect() {
    let mut found = Features::empty();
    let mut note = |register: u32, bit: u32, feature| found.set(feature, register & 1 << bit != 0);
    let basic = __cpuid(1);
    note(basic.edx, 13, Features::PGE);
    let checks = basic.edx >> 7 & basic.edx >> 14; // MCE, and MCA for the banks.
    note(checks, 0, Features::MACHINE_CHECK);
    note(basic.ecx, 21, Features::X2APIC);
    note(basic.ecx, 24, Features::TSC_DEADLINE);
    note(basic.ecx, 26, Features::XSAVE);
    if __cpuid(0).eax >= 7 {
        let structured = __cpuid_count(7, 0);
        note(structured.ebx, 0, Features::FSGSBASE);
        note(structured.ebx, 7, Features::SMEP);
        note(structured.ebx, 20, Features::SMAP);
        note(structured.ecx, 2, Features::UMIP);
    }
    if basic.ecx & 1 << 26 != 0 {
        note(__cpuid_count(0xd, 1).eax, 0, Features::XSAVEOPT);
    }
    note(__cpuid(0x8000_0001).edx, 26, Features::GIGABYTE_PAGES);
    if basic.ecx & 1 << 31 != 0 {
        let signature = __cpuid(leaf::SIGNATURE);
        if signature.ebx == u32::from_le_bytes(*b"KVMK") {
            note(__cpuid(leaf::FEATURES).eax, 3, Features::KVM_CLOCK);
        }
        if signature.eax >= leaf::TIMING {
            let timing = __cpuid(leaf::TIMING);
            if timing.ecx == leaf::FERRIX_MAGIC {
                note(
                    timing.edx,
                    leaf::FERRIX_EXIT_PORT.ilog2(),
                    Features::EXIT_PORT,
                );
                note(timing.edx, leaf::FERRIX_TRACE.ilog2(), Features::TRACE);
            }
        }
    }
    FEATURES.store(found.bits(), Relaxed);
}

/// SYSCALL arrives as a fetch fault: forgets what CPUID offers but the emulating KVM cannot execute in the
/// kernel (docs/kvm.md), which are XSAVE, and STAC and CLAC, without which SMAP cannot be used.
pub fn restrict_to_emulated() {
    let unusable = Features::XSAVE | Features::XSAVEOPT | Features::SMAP | Features::MACHINE_CHECK;
    let left = (features() - unusable) | Features::SYSCALL_FAULTS;
    FEATURES.store(left.bits(), Relaxed);
}

/// Forgets the features that a list names (`X2APIC,SMAP`), to exercise the ways that do without.
pub fn forget(names: &str) {
    for name in names.split(',') {
        match Features::from_name(name) {
            Some(feature) => FEATURES.store((features() - feature).bits(), Relaxed),
            None => log!("without={name}: there is no such feature, see docs/kvm.md"),
        }
    }
    if !features().contains(Features::XSAVE) {
        FEATURES.store((features() - Features::XSAVEOPT).bits(), Relaxed);
    }
}

/// XCR0 does not stay as it is set: forgets XSAVE.
pub fn lose_xcr0() {
    let left = (features() - (Features::XSAVE | Features::XSAVEOPT)) | Features::XCR0_LOST;
    FEATURES.store(left.bits(), Relaxed);
}

/// TSC and APIC timer frequency in kHz, where the hypervisor says (0: it does not).
pub fn hypervisor_frequencies() -> (u32, u32) {
    if __cpuid(1).ecx & 1 << 31 == 0 || __cpuid(leaf::SIGNATURE).eax < leaf::TIMING {
        return (0, 0);
    }
    let timing = __cpuid(leaf::TIMING);
    (timing.eax, timing.ebx)
}

/// TSC frequency in kHz by leaf 0x15 (0: not given).
pub fn crystal_tsc_khz() -> u32 {
    if __cpuid(0).eax < 0x15 {
        return 0;
    }
    let ratio = __cpuid(0x15);
    if ratio.eax == 0 || ratio.ebx == 0 || ratio.ecx == 0 {
        return 0;
    }
    (ratio.ecx as u64 * ratio.ebx as u64 / ratio.eax as u64 / 1000) as u32
}
