//! The local APIC in x2APIC mode (SDM volume 3, 11.12): what is new there, and once more what goes
//! through other registers.

use super::{Check, ipi, lapic, list, priority, timers};
use crate::apic::{self, Mode, register::*};
use crate::arch::cpu::{self, Msr, cpuid};
use crate::arch::{smp, trap};
use crate::verdict::{Verdict, equal, holds, needs};
use crate::{Machine, clock};

/// All of this file; the last one goes back to xAPIC mode.
pub const CHECKS: &[Check] = list!("x2apic_": mode, id, self_ipi_register, version, self_ipi, request_bits,
    timer_once, timer_periodic, timer_deadline, task_priority, nesting, ipi_to_one, ipi_broadcast, ipi_nmi,
    ipi_logical, back_to_xapic);

/// 11.12.1: CPUID offers x2APIC, and every CPU can be put into it.
fn mode(machine: &Machine) -> Verdict {
    needs_x2(machine)?;
    equal(
        "IA32_APIC_BASE: enabled, extended",
        cpu::read_msr(Msr::APIC_BASE) & 0xc00,
        0xc00u64,
    )
}

/// Skips without x2APIC; enters it if it is there.
fn needs_x2(machine: &Machine) -> Verdict {
    needs(
        cpuid(1, 0).ecx >> 21 & 1 != 0,
        "CPUID does not offer x2APIC",
    )?;
    ipi::start_others(machine);
    holds("every CPU changes its mode", apic::set_mode(Mode::X2Apic))
}

/// 11.12.5.1, 11.12.10.2: the full id, and the logical id that follows from it.
fn id(machine: &Machine) -> Verdict {
    needs_x2(machine)?;
    let id = apic::read(ID);
    equal("id", id, cpuid(0xb, 0).edx)?;
    equal(
        "logical id",
        apic::read(LDR),
        (id >> 4) << 16 | 1 << (id & 0xf),
    )
}

/// 11.12.11: a register for interrupts to oneself.
fn self_ipi_register(machine: &Machine) -> Verdict {
    needs_x2(machine)?;
    trap::forget(0);
    cpu::interrupts_on();
    apic::write(SELF_IPI, lapic::VECTOR.into());
    holds(
        "the interrupt arrives",
        clock::wait(clock::PATIENCE_MS, || trap::count(0) == 1),
    )
}

/// 11.12.5: through the disabled state, and everything is as before.
fn back_to_xapic(machine: &Machine) -> Verdict {
    needs_x2(machine)?;
    holds("every CPU changes its mode", apic::set_mode(Mode::XApic))?;
    equal(
        "IA32_APIC_BASE: enabled, not extended",
        cpu::read_msr(Msr::APIC_BASE) & 0xc00,
        0x800u64,
    )?;
    lapic::self_ipi(machine)?;
    for id in smp::started() {
        holds("other CPUs answer", smp::run(id, || {}))?;
    }
    Ok(())
}

/// Checks of other files, once more in x2APIC mode.
macro_rules! again {
    ($($name:ident = $check:path;)*) => {$(
        fn $name(machine: &Machine) -> Verdict {
            needs_x2(machine)?;
            $check(machine)
        }
    )*};
}

again! {
    version = lapic::version;
    self_ipi = lapic::self_ipi;
    request_bits = lapic::request_bits;
    timer_once = timers::once;
    timer_periodic = timers::periodic;
    timer_deadline = timers::deadline;
    task_priority = priority::task_priority;
    nesting = priority::nesting;
    ipi_to_one = ipi::to_one;
    ipi_broadcast = ipi::broadcast;
    ipi_nmi = ipi::nmi;
    ipi_logical = ipi::logical;
}
