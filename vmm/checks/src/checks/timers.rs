//! The local APIC's timer (SDM volume 3, 11.5.4) against the TSC.
//!
//! Never early; late by at most [`LATE_MS`], as the host may be busy.

use ferrix_machine::cpuid as leaf;

use super::cpuid::hypervisor_leaf;
use super::lapic::VECTOR;
use super::{Check, list};
use crate::Machine;
use crate::apic::{self, MASKED, PERIODIC, TSC_DEADLINE, register::*};
use crate::arch::cpu::{self, Msr, cpuid};
use crate::arch::trap;
use crate::clock;
use crate::verdict::{Verdict, equal, holds, needs, there, within};

/// All of this file.
pub const CHECKS: &[Check] = list!("lapic_timer_": frequency, divide, once, periodic, deadline, masked, stop, wakes_from_sleep);

/// How late an interrupt may be.
const LATE_MS: u64 = 10_000;
/// Divide by 1.
const BY_ONE: u32 = 0xb;

/// The count now and the TSC then.
fn count() -> (u64, u64) {
    clock::sample(|| apic::read(CURRENT_COUNT).into())
}

/// Timer clocks in a millisecond after dividing, over about 4 ms.
fn measure_khz(divide: u32) -> u64 {
    apic::write(LVT_TIMER, MASKED | u32::from(VECTOR));
    apic::write(DIVIDE, divide);
    apic::write(INITIAL_COUNT, u32::MAX);
    let first = count();
    clock::pause(4);
    let last = count();
    apic::write(INITIAL_COUNT, 0);
    (first.0 - last.0) * clock::tsc_khz() / (last.1 - first.1).max(1)
}

/// The count of a time.
fn count_of(ms: u64) -> u32 {
    let khz = match hypervisor_leaf(leaf::TIMING) {
        Some(timing) if timing.ebx != 0 => timing.ebx.into(),
        _ => measure_khz(BY_ONE),
    };
    (khz * ms).min(u32::MAX.into()) as u32
}

/// The timing leaf's APIC timer frequency is what the count shows, to 2 %.
fn frequency(_: &Machine) -> Verdict {
    let offered = hypervisor_leaf(leaf::TIMING).map_or(0, |timing| timing.ebx);
    needs(offered != 0, "no frequency leaf")?;
    let measured = measure_khz(BY_ONE);
    within(
        "kHz of the timer",
        measured,
        u64::from(offered) * 98 / 100..=u64::from(offered) * 102 / 100,
    )
}

/// Each of the eight dividers divides (figure 11-10), to 3 %.
fn divide(_: &Machine) -> Verdict {
    let by_one = measure_khz(BY_ONE);
    for (register, divider) in [
        (0, 2),
        (1, 4),
        (2, 8),
        (3, 16),
        (8, 32),
        (9, 64),
        (0xa, 128),
    ] {
        let expected = by_one / divider;
        within(
            "kHz of the divided timer",
            measure_khz(register),
            expected * 97 / 100..=expected * 103 / 100,
        )?;
    }
    Ok(())
}

/// Milliseconds of TSC ticks, less half a percent for clocks that drift.
fn at_least(ms: u64) -> u64 {
    ms * clock::tsc_khz() * 995 / 1000
}

fn in_time(what: &'static str, started: u64, arrived: u64, ms: u64) -> Verdict {
    let most = (ms + LATE_MS) * clock::tsc_khz();
    within(what, arrived.wrapping_sub(started), at_least(ms)..=most)
}

/// One interrupt when the count reaches 0, and no other; the count stays 0.
pub fn once(_: &Machine) -> Verdict {
    const MS: u64 = 5;
    let count = count_of(MS);
    trap::forget(0);
    apic::write(DIVIDE, BY_ONE);
    apic::write(LVT_TIMER, VECTOR.into());
    cpu::interrupts_on();
    let started = cpu::tsc();
    apic::write(INITIAL_COUNT, count);
    holds(
        "the interrupt arrives",
        clock::wait(MS + LATE_MS, || trap::count(0) > 0),
    )?;
    let (vector, arrived) = there("an interrupt", trap::logged(0, 0))?;
    equal("vector", vector, VECTOR)?;
    in_time("TSC ticks to the interrupt", started, arrived, MS)?;
    clock::pause(2 * MS);
    equal(
        "interrupts after three times the time",
        trap::count(0),
        1u32,
    )?;
    equal("current count", apic::read(CURRENT_COUNT), 0u32)
}

/// An interrupt every time the count reaches 0: number n not before n periods.
pub fn periodic(_: &Machine) -> Verdict {
    const MS: u64 = 2;
    const NUMBER: usize = 6;
    let count = count_of(MS);
    trap::forget(0);
    apic::write(DIVIDE, BY_ONE);
    apic::write(LVT_TIMER, PERIODIC | u32::from(VECTOR));
    cpu::interrupts_on();
    let started = cpu::tsc();
    apic::write(INITIAL_COUNT, count);
    let arrived = clock::wait(LATE_MS, || trap::count(0) >= NUMBER as u32);
    apic::write(LVT_TIMER, MASKED | PERIODIC | u32::from(VECTOR));
    holds("the interrupts arrive", arrived)?;
    for number in 0..NUMBER {
        let (vector, time) = there("an interrupt", trap::logged(0, number))?;
        equal("vector", vector, VECTOR)?;
        in_time(
            "TSC ticks to an interrupt",
            started,
            time,
            MS * (number as u64 + 1),
        )?;
    }
    Ok(())
}

/// 11.5.4.1: at a value of the TSC, not before; the register is 0 then; writing 0 disarms.
pub fn deadline(_: &Machine) -> Verdict {
    needs(
        cpuid(1, 0).ecx >> 24 & 1 != 0,
        "CPUID does not offer TSC-deadline",
    )?;
    trap::forget(0);
    apic::write(LVT_TIMER, TSC_DEADLINE | u32::from(VECTOR));
    cpu::interrupts_on();
    let at = cpu::tsc() + 3 * clock::tsc_khz();
    cpu::write_msr(Msr::TSC_DEADLINE, at);
    holds(
        "the interrupt arrives",
        clock::wait(LATE_MS, || trap::count(0) > 0),
    )?;
    let (vector, arrived) = there("an interrupt", trap::logged(0, 0))?;
    equal("vector", vector, VECTOR)?;
    within(
        "TSC at the interrupt",
        arrived,
        at..=at + LATE_MS * clock::tsc_khz(),
    )?;
    equal(
        "IA32_TSC_DEADLINE afterwards",
        cpu::read_msr(Msr::TSC_DEADLINE),
        0u64,
    )?;
    in_time_for(|| {
        trap::forget(0);
        cpu::write_msr(Msr::TSC_DEADLINE, cpu::tsc() + 20 * clock::tsc_khz());
        cpu::write_msr(Msr::TSC_DEADLINE, 0);
    })?;
    clock::pause(30);
    equal("interrupts after disarming", trap::count(0), 0u32)?;
    // A deadline in the past is due at once.
    cpu::write_msr(Msr::TSC_DEADLINE, 1);
    holds(
        "a past deadline interrupts",
        clock::wait(LATE_MS, || trap::count(0) == 1),
    )
}

/// Does something that takes less than 15 ms, unless the host has other work: then once more.
fn in_time_for(act: impl Fn()) -> Verdict {
    let quick = (0..20).any(|_| {
        let started = cpu::tsc();
        act();
        clock::micros(cpu::tsc() - started) < 15_000
    });
    needs(quick, "the host has no time")
}

/// 11.5.1: a masked timer counts, and interrupts nobody.
fn masked(_: &Machine) -> Verdict {
    let count = count_of(2);
    trap::forget(0);
    apic::write(DIVIDE, BY_ONE);
    apic::write(LVT_TIMER, MASKED | u32::from(VECTOR));
    cpu::interrupts_on();
    apic::write(INITIAL_COUNT, count);
    holds(
        "the count ends",
        clock::wait(LATE_MS, || apic::read(CURRENT_COUNT) == 0),
    )?;
    clock::pause(2);
    equal("interrupts", trap::count(0), 0u32)
}

/// An initial count of 0 stops the timer.
fn stop(_: &Machine) -> Verdict {
    let count = count_of(20);
    trap::forget(0);
    apic::write(DIVIDE, BY_ONE);
    apic::write(LVT_TIMER, VECTOR.into());
    cpu::interrupts_on();
    in_time_for(|| {
        trap::forget(0);
        apic::write(INITIAL_COUNT, count);
        apic::write(INITIAL_COUNT, 0);
    })?;
    equal("current count", apic::read(CURRENT_COUNT), 0u32)?;
    clock::pause(30);
    equal("interrupts", trap::count(0), 0u32)
}

/// HLT ends with an interrupt, and the interrupt was taken (SDM volume 2, HLT).
fn wakes_from_sleep(_: &Machine) -> Verdict {
    const MS: u64 = 5;
    let count = count_of(MS);
    cpu::interrupts_off();
    trap::forget(0);
    apic::write(DIVIDE, BY_ONE);
    apic::write(LVT_TIMER, VECTOR.into());
    let started = cpu::tsc();
    apic::write(INITIAL_COUNT, count);
    cpu::sleep();
    let woken = cpu::tsc();
    equal("interrupts when HLT ends", trap::count(0), 1u32)?;
    in_time("TSC ticks of sleep", started, woken, MS)
}
