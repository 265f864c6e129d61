//! Priorities of interrupts at one CPU (SDM volume 3, 11.8.3 to 11.8.5).

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::cpuid::{ENDS_EARLY, ends_interrupts_early};
use super::{Check, list};
use crate::Machine;
use crate::apic::{self, Target, register::*};
use crate::arch::{cpu, trap};
use crate::clock;
use crate::verdict::{Verdict, equal, holds, needs};

/// All of this file.
pub const CHECKS: &[Check] = list!("lapic_": task_priority, cr8, order, nesting);

const LOW: u8 = 0x45;
const MIDDLE: u8 = 0x52;
const HIGH: u8 = 0x63;

/// Sends vectors to this CPU and waits until all of them are requested or served.
fn send_self(vectors: &[u8]) {
    for &vector in vectors {
        let before = trap::count(0);
        apic::send(Target::Myself, vector.into());
        clock::wait(clock::PATIENCE_MS, || {
            apic::has(IRR, vector) || trap::count(0) > before
        });
    }
}

fn vectors_are(expected: &[u8]) -> Verdict {
    for (at, &expected) in expected.iter().enumerate() {
        equal(
            "vector of an interrupt",
            trap::logged(0, at).map_or(0, |(vector, _)| vector),
            expected,
        )?;
    }
    equal("interrupts", trap::count(0), expected.len() as u32)
}

/// TPR holds back its class and those below.
pub fn task_priority(_: &Machine) -> Verdict {
    trap::forget(0);
    apic::write(TPR, 0x50);
    equal("PPR", apic::read(PPR) & 0xf0, 0x50u32)?;
    cpu::interrupts_on();
    send_self(&[LOW, MIDDLE, HIGH]);
    holds(
        "the high interrupt arrives",
        clock::wait(clock::PATIENCE_MS, || trap::count(0) > 0),
    )?;
    clock::pause(2);
    vectors_are(&[HIGH])?;
    holds("the low one waits", apic::has(IRR, LOW))?;
    apic::write(TPR, 0);
    holds(
        "the others arrive",
        clock::wait(clock::PATIENCE_MS, || trap::count(0) == 3),
    )?;
    vectors_are(&[HIGH, MIDDLE, LOW])
}

/// CR8 is bits 4 to 7 of TPR, both ways (11.8.6).
fn cr8(_: &Machine) -> Verdict {
    cpu::set_cr8(9);
    equal("TPR after CR8 = 9", apic::read(TPR), 0x90u32)?;
    apic::write(TPR, 0x30);
    equal("CR8 after TPR = 0x30", cpu::cr8(), 3u64)?;
    cpu::set_cr8(0);
    equal("TPR after CR8 = 0", apic::read(TPR), 0u32)
}

/// What waits is delivered from the highest vector down.
fn order(_: &Machine) -> Verdict {
    cpu::interrupts_off();
    trap::forget(0);
    send_self(&[MIDDLE, LOW, HIGH]);
    equal("interrupts while they are off", trap::count(0), 0u32)?;
    cpu::interrupts_on();
    holds(
        "all arrive",
        clock::wait(clock::PATIENCE_MS, || trap::count(0) == 3),
    )?;
    vectors_are(&[HIGH, MIDDLE, LOW])
}

static LOW_WAITED: AtomicBool = AtomicBool::new(false);

/// A higher class interrupts a handler; its own class and those below wait for the end.
pub fn nesting(_: &Machine) -> Verdict {
    trap::forget(0);
    LOW_WAITED.store(false, SeqCst);
    trap::set_handler(Some(|vector| {
        if vector == MIDDLE {
            cpu::interrupts_on();
            send_self(&[LOW, HIGH]);
            clock::wait(clock::PATIENCE_MS, || trap::count(0) >= 2);
            clock::pause(1);
            LOW_WAITED.store(apic::has(IRR, LOW) && trap::count(0) == 2, SeqCst);
            cpu::interrupts_off();
        }
        apic::end_of_interrupt();
    }));
    cpu::interrupts_on();
    apic::send(Target::Myself, MIDDLE.into());
    holds(
        "all arrive",
        clock::wait(clock::PATIENCE_MS, || trap::count(0) == 3),
    )?;
    needs(!ends_interrupts_early(), ENDS_EARLY)?;
    holds(
        "the low one waits while the middle one is served",
        LOW_WAITED.load(SeqCst),
    )?;
    vectors_are(&[MIDDLE, HIGH, LOW])
}
