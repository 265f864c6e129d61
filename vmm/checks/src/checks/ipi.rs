//! Interrupts between CPUs (SDM volume 3, 11.6) and the start of CPUs (11.4 and 9.4).

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::lapic::VECTOR;
use super::{Check, list};
use crate::acpi::{self, Entry};
use crate::apic::{self, DELIVER_INIT, DELIVER_NMI, DELIVER_STARTUP, Mode, Target, register::*};
use crate::arch::{cpu, smp, trap};
use crate::verdict::{Stop, Verdict, equal, holds, skip};
use crate::{Machine, clock, info};

/// All of this file.
pub const CHECKS: &[Check] = list!("ipi_": start_all, to_one, broadcast, others_only, logical, nmi, nmi_to_self, wakes, restart);

static ASKED: AtomicBool = AtomicBool::new(false);

/// CPUs that should be there: by the command line (`cpus=N`), else by the MADT; 0: unknown.
fn expected(machine: &Machine) -> usize {
    let named = info::option(machine.line, "cpus").and_then(|count| count.parse().ok());
    let listed = || {
        acpi::madt(machine.info)
            .filter(|entry| matches!(entry, Entry::Cpu(_)))
            .count()
    };
    named.unwrap_or_else(listed)
}

/// Starts all other CPUs by INIT and SIPI to everybody else; once.
pub fn start_others(machine: &Machine) {
    if ASKED.swap(true, SeqCst) {
        return;
    }
    let page = u32::from(smp::startup_page());
    apic::send(Target::Others, DELIVER_INIT);
    clock::pause(10);
    apic::send(Target::Others, DELIVER_STARTUP | page);
    let expected = expected(machine).saturating_sub(1);
    // With nobody expected, long enough for one who is not.
    let patience = if expected > 0 { clock::PATIENCE_MS } else { 30 };
    clock::wait(patience, || {
        expected > 0 && smp::started().count() >= expected
    });
}

/// The others, if there are any.
fn others(machine: &Machine) -> Result<impl Iterator<Item = usize> + Clone, Stop> {
    start_others(machine);
    match smp::started().next() {
        Some(_) => Ok(smp::started()),
        None => skip("one CPU"),
    }
}

/// INIT and SIPI start each CPU exactly once.
fn start_all(machine: &Machine) -> Verdict {
    start_others(machine);
    let expected = expected(machine);
    match expected {
        0 => {}
        count => equal(
            "CPUs that run",
            smp::started().count() as u64 + 1,
            count as u64,
        )?,
    }
    for id in others(machine)? {
        equal("starts of a CPU", smp::starts(id), 1u32)?;
        holds("it answers", smp::run(id, || {}))?;
    }
    Ok(())
}

fn forget_all() {
    trap::forget(0);
    smp::started().for_each(trap::forget);
}

/// Every CPU of a list got one interrupt, with this vector.
fn got_one(mut cpus: impl Iterator<Item = usize>, vector: u8) -> Verdict {
    cpus.try_for_each(|id| {
        let arrived = clock::wait(clock::PATIENCE_MS, || trap::count(id) > 0);
        holds("the interrupt arrives", arrived)?;
        equal(
            "its vector",
            trap::logged(id, 0).map_or(0, |(vector, _)| vector),
            vector,
        )?;
        equal("interrupts", trap::count(id), 1u32)
    })
}

/// To each CPU by its id, and to no other.
pub fn to_one(machine: &Machine) -> Verdict {
    cpu::interrupts_on();
    for id in others(machine)? {
        forget_all();
        apic::send(Target::One(id as u32), VECTOR.into());
        got_one(core::iter::once(id), VECTOR)?;
        let elsewhere = smp::started()
            .filter(|&other| other != id)
            .map(trap::count)
            .sum::<u32>();
        equal("interrupts elsewhere", elsewhere + trap::count(0), 0u32)?;
    }
    Ok(())
}

/// To everybody, the sender too.
pub fn broadcast(machine: &Machine) -> Verdict {
    let others = others(machine)?;
    forget_all();
    cpu::interrupts_on();
    apic::send(Target::All, VECTOR.into());
    got_one(others.chain([0]), VECTOR)
}

/// To everybody but the sender.
fn others_only(machine: &Machine) -> Verdict {
    let others = others(machine)?;
    forget_all();
    cpu::interrupts_on();
    apic::send(Target::Others, VECTOR.into());
    got_one(others, VECTOR)?;
    equal("interrupts at the sender", trap::count(0), 0u32)
}

/// By logical destination: the flat model, or x2APIC's derived ids (11.6.2.2, 11.12.10.2).
pub fn logical(machine: &Machine) -> Verdict {
    cpu::interrupts_on();
    let others = others(machine)?.filter(|&id| id < 8);
    for id in others.clone() {
        forget_all();
        apic::send(Target::Logical(1 << id), VECTOR.into());
        got_one(core::iter::once(id), VECTOR)?;
    }
    forget_all();
    let set = others.clone().fold(0, |set, id| set | 1 << id);
    apic::send(Target::Logical(set), VECTOR.into());
    got_one(others, VECTOR)?;
    if apic::mode() == Mode::XApic {
        equal("LDR", apic::read(LDR), 1u32 << 24)?;
    }
    Ok(())
}

/// An NMI reaches a CPU that has interrupts off (11.6.1, delivery mode NMI).
pub fn nmi(machine: &Machine) -> Verdict {
    static OFF: AtomicBool = AtomicBool::new(false);
    static GO_ON: AtomicBool = AtomicBool::new(false);
    for id in others(machine)? {
        forget_all();
        OFF.store(false, SeqCst);
        GO_ON.store(false, SeqCst);
        smp::start(id, || {
            cpu::interrupts_off();
            OFF.store(true, SeqCst);
            clock::wait(2 * clock::PATIENCE_MS, || GO_ON.load(SeqCst));
        });
        let off = clock::wait(clock::PATIENCE_MS, || OFF.load(SeqCst));
        apic::send(Target::One(id as u32), DELIVER_NMI);
        let verdict = got_one(core::iter::once(id), trap::NMI);
        GO_ON.store(true, SeqCst);
        holds("the CPU turns interrupts off", off)?;
        verdict?;
        holds("it goes on", smp::finished(id))?;
    }
    Ok(())
}

/// An NMI to oneself, with interrupts off.
fn nmi_to_self(_: &Machine) -> Verdict {
    cpu::interrupts_off();
    trap::forget(0);
    apic::send(Target::One(apic::id()), DELIVER_NMI);
    got_one(core::iter::once(0), trap::NMI)
}

/// A CPU in HLT runs within the time that anything may take.
fn wakes(machine: &Machine) -> Verdict {
    for id in others(machine)? {
        for _ in 0..5 {
            clock::pause(2);
            holds("a sleeping CPU answers", smp::run(id, || {}))?;
        }
    }
    Ok(())
}

/// INIT takes a running CPU back to waiting, SIPI starts it anew (9.4.1); a second SIPI is ignored.
fn restart(machine: &Machine) -> Verdict {
    let Some(id) = others(machine)?.last() else {
        return skip("one CPU");
    };
    let page = u32::from(smp::startup_page());
    let target = Target::One(id as u32);
    apic::send(target, DELIVER_INIT);
    clock::pause(10);
    equal("starts after INIT alone", smp::starts(id), 1u32)?;
    apic::send(target, DELIVER_STARTUP | page);
    holds(
        "it starts",
        clock::wait(clock::PATIENCE_MS, || smp::starts(id) == 2),
    )?;
    apic::send(target, DELIVER_STARTUP | page);
    clock::pause(10);
    equal("starts after a second SIPI", smp::starts(id), 2u32)?;
    holds("it answers", smp::run(id, || {}))
}
