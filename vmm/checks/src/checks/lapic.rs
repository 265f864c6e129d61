//! The local APIC's registers (SDM volume 3, chapter 11), in memory; x2apic.rs has the other mode.

use super::cpuid::{ENDS_EARLY, emulated_by_qemu, ends_interrupts_early};
use super::{Check, list};
use crate::Machine;
use crate::apic::{self, MASKED, SOFTWARE_ENABLE, Target, register::*};
use crate::arch::cpu::{self, Msr};
use crate::arch::trap;
use crate::clock;
use crate::verdict::{Verdict, equal, holds, needs, within};

/// All of this file.
pub const CHECKS: &[Check] = list!("lapic_": base, version, register_values, timer_register, software_disable, self_ipi, request_bits);

/// The vector of most checks.
pub const VECTOR: u8 = 0x61;

/// 11.4.4: the boot CPU's flag, the enable bit, the address.
fn base(_: &Machine) -> Verdict {
    const BOOT_CPU: u64 = 1 << 8;
    const ENABLED: u64 = 1 << 11;
    let base = cpu::read_msr(Msr::APIC_BASE);
    equal(
        "IA32_APIC_BASE: boot CPU, enabled",
        base & (BOOT_CPU | ENABLED),
        BOOT_CPU | ENABLED,
    )?;
    equal(
        "address",
        base & 0xf_ffff_f000,
        ferrix_machine::irq::LAPIC_BASE,
    )
}

/// 11.4.8: an integrated APIC with at least timer, LINT0, LINT1 and error entries.
pub fn version(_: &Machine) -> Verdict {
    let version = apic::read(VERSION);
    within("version", (version & 0xff).into(), 0x10..=0x15)?;
    within("last LVT entry", (version >> 16 & 0xff).into(), 3..=7)
}

/// 11.8.3, 11.6.2: what is written is read: TPR (its class: KVM on AMD keeps no more), logical destination, spurious vector, LVT.
fn register_values(_: &Machine) -> Verdict {
    for (what, register, value) in [
        ("TPR", TPR, 0x70),
        ("LDR", LDR, 0x0500_0000),
        ("SVR", SVR, SOFTWARE_ENABLE | 0xef),
        ("LVT LINT0", LVT_LINT0, MASKED | 0x33),
        ("LVT error", LVT_ERROR, MASKED | 0x44),
    ] {
        let before = apic::read(register);
        apic::write(register, value);
        let got = apic::read(register);
        apic::write(register, before);
        equal(what, got, value)?;
    }
    Ok(())
}

/// 11.5.4: the divide register keeps bits 0, 1 and 3; the LVT its mode and mask.
fn timer_register(_: &Machine) -> Verdict {
    apic::write(DIVIDE, 0xb);
    equal("divide configuration", apic::read(DIVIDE) & 0xb, 0xbu32)?;
    apic::write(LVT_TIMER, MASKED | apic::PERIODIC | 0x55);
    equal(
        "LVT timer",
        apic::read(LVT_TIMER),
        MASKED | apic::PERIODIC | 0x55,
    )
}

/// 11.4.7.2: while the APIC is disabled by software, LVT masks are set and cannot be cleared.
///
/// QEMU's emulated APIC leaves them (`apic_mem_write`, SVR, in its `hw/intc/apic.c`).
fn software_disable(_: &Machine) -> Verdict {
    needs(!emulated_by_qemu(), "QEMU's emulated APIC does not do that")?;
    apic::write(LVT_TIMER, VECTOR.into());
    apic::write(SVR, trap::SPURIOUS.into());
    let masked = apic::read(LVT_TIMER) & MASKED;
    apic::write(LVT_TIMER, VECTOR.into());
    let kept = apic::read(LVT_TIMER) & MASKED;
    apic::init_cpu();
    equal("mask after disabling", masked, MASKED)?;
    equal("mask after an attempt to clear it", kept, MASKED)
}

/// 11.6.1: the sender itself, by shorthand; exactly once; and again after its end.
pub fn self_ipi(_: &Machine) -> Verdict {
    trap::forget(0);
    cpu::interrupts_on();
    for round in 1..=3 {
        apic::send(Target::Myself, VECTOR.into());
        holds(
            "the interrupt arrives",
            clock::wait(clock::PATIENCE_MS, || trap::count(0) >= round),
        )?;
    }
    clock::pause(1);
    equal("interrupts", trap::count(0), 3u32)?;
    equal(
        "vector",
        trap::logged(0, 2).map_or(0, |(vector, _)| vector),
        VECTOR,
    )
}

/// 11.8.4: IRR while it waits, ISR while it is served, neither after its end; TMR clear for an edge.
pub fn request_bits(_: &Machine) -> Verdict {
    cpu::interrupts_off();
    trap::forget(0);
    trap::set_handler(Some(|_| {}));
    apic::send(Target::Myself, VECTOR.into());
    let requested = clock::wait(clock::PATIENCE_MS, || apic::has(IRR, VECTOR));
    holds("IRR while interrupts are off", requested)?;
    equal("ISR then", u64::from(apic::has(ISR, VECTOR)), 0u64)?;
    cpu::interrupts_on();
    let served = clock::wait(clock::PATIENCE_MS, || trap::count(0) == 1);
    let (irr, isr, tmr) = (
        apic::has(IRR, VECTOR),
        apic::has(ISR, VECTOR),
        apic::has(TMR, VECTOR),
    );
    apic::end_of_interrupt();
    holds("the interrupt arrives", served)?;
    needs(!ends_interrupts_early(), ENDS_EARLY)?;
    equal("IRR while it is served", u64::from(irr), 0u64)?;
    equal("ISR while it is served", u64::from(isr), 1u64)?;
    equal("TMR", u64::from(tmr), 0u64)?;
    equal("ISR after its end", u64::from(apic::has(ISR, VECTOR)), 0u64)
}
