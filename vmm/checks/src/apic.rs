//! The local APIC in both its modes: xAPIC (memory) and x2APIC (registers); SDM volume 3, chapter 11.

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use ferrix_machine::irq::LAPIC_BASE;

use crate::arch::cpu::{self, Msr};
use crate::arch::{phys, smp, trap};
use crate::clock;

/// Registers by their xAPIC offset (table 11-1).
pub mod register {
    pub const ID: u32 = 0x20;
    pub const VERSION: u32 = 0x30;
    pub const TPR: u32 = 0x80;
    pub const PPR: u32 = 0xa0;
    pub const EOI: u32 = 0xb0;
    pub const LDR: u32 = 0xd0;
    pub const DFR: u32 = 0xe0;
    pub const SVR: u32 = 0xf0;
    pub const ISR: u32 = 0x100;
    pub const TMR: u32 = 0x180;
    pub const IRR: u32 = 0x200;
    pub const ICR: u32 = 0x300;
    pub const ICR_HIGH: u32 = 0x310;
    pub const LVT_TIMER: u32 = 0x320;
    pub const LVT_LINT0: u32 = 0x350;
    pub const LVT_LINT1: u32 = 0x360;
    pub const LVT_ERROR: u32 = 0x370;
    pub const INITIAL_COUNT: u32 = 0x380;
    pub const CURRENT_COUNT: u32 = 0x390;
    pub const DIVIDE: u32 = 0x3e0;
    pub const SELF_IPI: u32 = 0x3f0;
}

use register::*;

/// LVT: no interrupt.
pub const MASKED: u32 = 1 << 16;
/// LVT timer: again and again.
pub const PERIODIC: u32 = 1 << 17;
/// LVT timer: at a TSC value.
pub const TSC_DEADLINE: u32 = 2 << 17;
/// SVR: the APIC is on.
pub const SOFTWARE_ENABLE: u32 = 1 << 8;
/// ICR: delivery modes and the rest.
pub const DELIVER_NMI: u32 = 4 << 8;
/// ICR: INIT.
pub const DELIVER_INIT: u32 = 5 << 8;
/// ICR: start-up, the vector is a page number.
pub const DELIVER_STARTUP: u32 = 6 << 8;
/// ICR: the destination is logical.
pub const LOGICAL: u32 = 1 << 11;
const ASSERT: u32 = 1 << 14;
const PENDING: u32 = 1 << 12;

const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;

/// How the registers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In memory.
    XApic,
    /// By RDMSR and WRMSR.
    X2Apic,
}

static X2: AtomicBool = AtomicBool::new(false);

/// The mode of all CPUs.
pub fn mode() -> Mode {
    match X2.load(SeqCst) {
        true => Mode::X2Apic,
        false => Mode::XApic,
    }
}

/// Reads a register.
pub fn read(register: u32) -> u32 {
    match mode() {
        Mode::XApic => phys::read(LAPIC_BASE + u64::from(register)),
        Mode::X2Apic => cpu::read_msr(Msr::x2apic(register)) as u32,
    }
}

/// Writes a register.
pub fn write(register: u32, value: u32) {
    match mode() {
        Mode::XApic => phys::write(LAPIC_BASE + u64::from(register), value),
        Mode::X2Apic => cpu::write_msr(Msr::x2apic(register), value.into()),
    }
}

/// The id of this CPU.
pub fn id() -> u32 {
    match mode() {
        Mode::XApic => read(ID) >> 24,
        Mode::X2Apic => read(ID),
    }
}

/// Whether a bit of the 256 in ISR, TMR or IRR is set.
pub fn has(bank: u32, vector: u8) -> bool {
    read(bank + u32::from(vector / 32) * 0x10) >> (vector % 32) & 1 != 0
}

/// EOI.
pub fn end_of_interrupt() {
    write(EOI, 0);
}

/// Enables this CPU's APIC: everything accepted, timer and lines masked.
pub fn init_cpu() {
    write(SVR, SOFTWARE_ENABLE | u32::from(trap::SPURIOUS));
    write(TPR, 0);
    write(LVT_TIMER, MASKED);
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, MASKED);
    write(LVT_ERROR, MASKED);
    if mode() == Mode::XApic {
        write(DFR, u32::MAX);
        write(LDR, 1 << (24 + id() % 8));
    }
}

/// Stops the timer, and takes what is left of earlier interrupts.
pub fn settle() {
    write(LVT_TIMER, MASKED);
    write(INITIAL_COUNT, 0);
    write(TPR, 0);
    cpu::interrupts_on();
    // Long enough for an emulating KVM to look.
    clock::pause(1);
    cpu::interrupts_off();
}

/// Where an IPI goes.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// The CPU with this APIC id.
    One(u32),
    /// The CPUs of a logical destination.
    Logical(u32),
    /// The sender, by shorthand.
    Myself,
    /// Everybody, the sender too.
    All,
    /// Everybody else.
    Others,
}

/// Sends an IPI: delivery mode and vector.
pub fn send(target: Target, what: u32) {
    let (shorthand, destination) = match target {
        Target::One(id) => (0, id),
        Target::Logical(set) => (LOGICAL, set),
        Target::Myself => (1 << 18, 0),
        Target::All => (2 << 18, 0),
        Target::Others => (3 << 18, 0),
    };
    let command = what | shorthand | ASSERT;
    match mode() {
        Mode::XApic => {
            write(ICR_HIGH, destination << 24);
            write(ICR, command);
            clock::wait(clock::PATIENCE_MS, || read(ICR) & PENDING == 0);
        }
        Mode::X2Apic => {
            cpu::write_msr(
                Msr::x2apic(ICR),
                u64::from(destination) << 32 | u64::from(command),
            );
        }
    }
}

/// Turns the APIC of this CPU off and on again in the other mode (SDM volume 3, 11.12.5: from
/// x2APIC the way leads through the disabled state).
fn switch(x2: u64) {
    let base = cpu::read_msr(Msr::APIC_BASE) & !(BASE_ENABLE | BASE_X2);
    if x2 == 0 {
        cpu::write_msr(Msr::APIC_BASE, base);
    }
    cpu::write_msr(Msr::APIC_BASE, base | BASE_ENABLE);
    if x2 != 0 {
        cpu::write_msr(Msr::APIC_BASE, base | BASE_ENABLE | x2);
    }
    // The APIC may be as after a reset: deaf.
    let enable = SOFTWARE_ENABLE | u32::from(trap::SPURIOUS);
    match x2 {
        0 => phys::write(LAPIC_BASE + u64::from(SVR), enable),
        _ => cpu::write_msr(Msr::x2apic(SVR), enable.into()),
    }
}

/// Puts all running CPUs into a mode; whether all of them answered.
pub fn set_mode(wanted: Mode) -> bool {
    if wanted == mode() {
        return true;
    }
    cpu::interrupts_off();
    let job: smp::Job = match wanted {
        Mode::XApic => || switch(0),
        Mode::X2Apic => || switch(BASE_X2),
    };
    // With interrupts off, as their handler would use the mode that is not yet everybody's.
    let answered = smp::started().all(|id| smp::run(id, job));
    job();
    X2.store(wanted == Mode::X2Apic, SeqCst);
    init_cpu();
    answered && smp::started().all(|id| smp::run(id, init_cpu))
}
