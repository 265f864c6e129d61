//! The I/O APIC (82093AA data sheet), with the UART and the timer as sources.

use super::cpuid::{ENDS_EARLY, emulated_by_qemu, ends_interrupts_early};
use super::lapic::VECTOR;
use super::{Check, ipi, list};
use crate::acpi;
use crate::apic::{self, register::*};
use crate::arch::{cpu, smp, trap};
use crate::ioapic::{self, ID, LEVEL, MASKED, REMOTE_IRR, VERSION};
use crate::verdict::{Verdict, equal, holds, needs, within};
use crate::{Machine, clock, pit, uart};

/// All of this file.
pub const CHECKS: &[Check] = list!("ioapic_": registers, entries, edge, masked, level, destination, timer_line, every_vector);

/// 3.2: identification can be written; the version says how many lines there are.
fn registers(_: &Machine) -> Verdict {
    let before = ioapic::read(ID);
    ioapic::write(ID, 5 << 24);
    let id = ioapic::read(ID) >> 24 & 0xf;
    ioapic::write(ID, before);
    equal("id", id, 5u32)?;
    within(
        "version",
        (ioapic::read(VERSION) & 0xff).into(),
        0x11..=0x20,
    )?;
    equal("lines", ioapic::lines(), ferrix_machine::irq::IOAPIC_LINES)
}

/// 3.2.4: entries keep vector, mode, polarity, trigger, mask and destination.
fn entries(_: &Machine) -> Verdict {
    for line in [1, 7, ioapic::lines() - 1] {
        let entry = 0x0300_0000_0000_0000 | MASKED | LEVEL | 1 << 13 | 1 << 8 | 0x77;
        ioapic::set(line, entry);
        let got = ioapic::entry(line);
        ioapic::mask(line);
        equal("an entry", got, entry)?;
    }
    Ok(())
}

fn uart_line(machine: &Machine) -> u32 {
    acpi::line_of(machine.info, 4)
}

/// Prepares the UART's line; the guard that is returned takes it back.
fn route(line: u32, entry: u64) {
    uart::acknowledge();
    ioapic::set(line, entry);
    trap::forget(0);
}

fn unroute(line: u32) {
    ioapic::mask(line);
    uart::acknowledge();
}

/// An edge on an open line is one interrupt, and the next edge another.
fn edge(machine: &Machine) -> Verdict {
    let line = uart_line(machine);
    route(line, ioapic::to(0, VECTOR));
    cpu::interrupts_on();
    for round in 1..=3 {
        uart::raise_interrupt();
        let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(0) >= round);
        clock::pause(1);
        uart::acknowledge();
        holds("the interrupt arrives", arrived)?;
        equal("interrupts", trap::count(0), round)?;
    }
    unroute(line);
    equal(
        "vector",
        trap::logged(0, 0).map_or(0, |(vector, _)| vector),
        VECTOR,
    )
}

/// An edge on a masked line is nothing, and an open line afterwards works (3.2.4, mask bit).
fn masked(machine: &Machine) -> Verdict {
    let line = uart_line(machine);
    route(line, ioapic::to(0, VECTOR) | MASKED);
    cpu::interrupts_on();
    uart::raise_interrupt();
    clock::pause(3);
    equal("interrupts of a masked line", trap::count(0), 0u32)?;
    uart::acknowledge();
    ioapic::set(line, ioapic::to(0, VECTOR));
    clock::pause(1);
    trap::forget(0);
    uart::raise_interrupt();
    let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(0) == 1);
    unroute(line);
    holds("the interrupt of an open line arrives", arrived)
}

/// A level interrupt sets remote IRR until its end of interrupt; TMR shows its mode.
fn level(machine: &Machine) -> Verdict {
    let line = uart_line(machine);
    cpu::interrupts_off();
    route(line, ioapic::to(0, VECTOR) | LEVEL);
    trap::set_handler(Some(|_| {
        uart::acknowledge();
    }));
    equal(
        "remote IRR at first",
        ioapic::entry(line) & REMOTE_IRR,
        0u64,
    )?;
    uart::raise_interrupt();
    holds(
        "the local APIC has it",
        clock::wait(clock::PATIENCE_MS, || apic::has(IRR, VECTOR)),
    )?;
    equal(
        "remote IRR while it waits",
        ioapic::entry(line) & REMOTE_IRR,
        REMOTE_IRR,
    )?;
    cpu::interrupts_on();
    let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(0) > 0);
    let (serving, trigger) = (ioapic::entry(line) & REMOTE_IRR, apic::has(TMR, VECTOR));
    apic::end_of_interrupt();
    // A KVM may deliver the end of interrupt to the I/O APIC a moment later.
    let ended = clock::wait(clock::PATIENCE_MS, || ioapic::entry(line) & REMOTE_IRR == 0);
    unroute(line);
    holds("the interrupt arrives", arrived)?;
    needs(!ends_interrupts_early(), ENDS_EARLY)?;
    equal("remote IRR while it is served", serving, REMOTE_IRR)?;
    holds("TMR", trigger)?;
    holds("remote IRR is clear after the end", ended)?;
    equal("interrupts", trap::count(0), 1u32)
}

/// An entry names the CPU.
fn destination(machine: &Machine) -> Verdict {
    ipi::start_others(machine);
    needs(smp::started().next().is_some(), "one CPU")?;
    let line = uart_line(machine);
    cpu::interrupts_on();
    for id in smp::started() {
        route(line, ioapic::to(id as u32, VECTOR));
        trap::forget(id);
        uart::raise_interrupt();
        let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(id) == 1);
        unroute(line);
        holds("the interrupt arrives there", arrived)?;
        equal("interrupts here", trap::count(0), 0u32)?;
    }
    Ok(())
}

/// The interval timer's line is where ACPI says: ten periods of 2 ms are not shorter.
fn timer_line(machine: &Machine) -> Verdict {
    const PERIOD: u16 = (pit::HZ / 500) as u16;
    needs(pit::present(), "no PIT")?;
    let line = acpi::line_of(machine.info, 0);
    // QEMU's microvm raises line 2, as a PC does, and has no override that says so.
    needs(
        !(emulated_by_qemu() && line == 0),
        "QEMU's ACPI tables do not name the timer's line",
    )?;
    trap::forget(0);
    ioapic::set(line, ioapic::to(0, VECTOR));
    cpu::interrupts_on();
    let started = cpu::tsc();
    pit::start_channel0(pit::Mode::Rate, PERIOD);
    let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(0) >= 11);
    pit::stop_channel0();
    ioapic::mask(line);
    holds("eleven interrupts arrive", arrived)?;
    let last = trap::logged(0, 10).map_or(0, |(_, time)| time);
    // The first may come when the mode is set: a rise of the output.
    let least = 10 * u64::from(PERIOD) * 1_000_000 / pit::HZ * 99 / 100;
    within(
        "microseconds to the eleventh",
        clock::micros(last - started),
        least..=3_000_000,
    )
}

/// Each vector from 16 on can be delivered, and arrives as itself.
fn every_vector(machine: &Machine) -> Verdict {
    let line = uart_line(machine);
    cpu::interrupts_on();
    for vector in (32..=0xef).step_by(13) {
        route(line, ioapic::to(0, vector));
        uart::raise_interrupt();
        let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(0) == 1);
        unroute(line);
        holds("the interrupt arrives", arrived)?;
        equal(
            "its vector",
            trap::logged(0, 0).map_or(0, |(vector, _)| vector),
            vector,
        )?;
    }
    Ok(())
}
