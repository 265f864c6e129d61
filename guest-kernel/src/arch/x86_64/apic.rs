//! The local APIC: x2APIC where CPUID offers it, else the memory-mapped one.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use ferrix_machine::irq::LAPIC_BASE;

use super::cpu::{cpu, interrupts_restore, interrupts_save_and_disable, this_cpu};
use super::entry;
use super::features::{Features, features};
use super::instructions::{out8, rdmsr, wrmsr};
use super::{msr, vector};
use crate::mm::PhysAddr;
use crate::time;

/// Registers, as x2APIC numbers them (memory offset / 16).
mod register {
    pub const ID: u32 = 0x02;
    pub const TPR: u32 = 0x08;
    pub const EOI: u32 = 0x0b;
    pub const SPURIOUS: u32 = 0x0f;
    pub const ICR: u32 = 0x30;
    pub const ICR_HIGH: u32 = 0x31;
    pub const LVT_TIMER: u32 = 0x32;
    pub const LVT_LINT1: u32 = 0x36;
    pub const TIMER_INITIAL: u32 = 0x38;
    pub const TIMER_CURRENT: u32 = 0x39;
    pub const TIMER_DIVIDE: u32 = 0x3e;
}

const APIC_ENABLE: u64 = 1 << 11;
const APIC_X2: u64 = 1 << 10;
const SOFTWARE_ENABLE: u64 = 1 << 8;
const TIMER_ONE_SHOT: u64 = 0;
const TIMER_DEADLINE: u64 = 2 << 17;
/// Divide by 1.
const DIVIDE_1: u64 = 0xb;

const ICR_PENDING: u64 = 1 << 12;
const ICR_ASSERT: u32 = 1 << 14;
/// Also in a local vector table's entry.
const ICR_NMI: u32 = 4 << 8;
const ICR_INIT: u32 = 5 << 8;
const ICR_STARTUP: u32 = 6 << 8;
const ICR_ALL_OTHERS: u32 = 3 << 18;

/// Where the registers are mapped; 0: x2APIC.
static WINDOW: AtomicU64 = AtomicU64::new(0);
/// Timer ticks per microsecond, as a 16.16 fixed-point number; 0: TSC deadlines.
static TICKS_PER_US: AtomicU32 = AtomicU32::new(0);

#[inline]
fn read(number: u32) -> u64 {
    match WINDOW.load(Relaxed) {
        // SAFETY: the APIC is in x2APIC mode, which has this register.
        0 => unsafe { rdmsr(msr::X2APIC + number) },
        // SAFETY: the window is mapped for good; registers are 32 bits wide.
        window => unsafe { ((window + number as u64 * 16) as *const u32).read_volatile() as u64 },
    }
}

#[inline]
fn write(number: u32, value: u64) {
    match WINDOW.load(Relaxed) {
        // SAFETY: as in `read`; the values written are the kernel's own.
        0 => unsafe { wrmsr(msr::X2APIC + number, value) },
        // SAFETY: as in `read`.
        window => unsafe {
            ((window + number as u64 * 16) as *mut u32).write_volatile(value as u32)
        },
    }
}

/// Tells the local APIC that the interrupt has been taken.
#[inline]
pub fn eoi() {
    write(register::EOI, 0);
}

/// Masks the legacy interrupt controllers, and maps the APIC if that is how it is reached. Once.
pub(super) fn init_machine() {
    // SAFETY: the ports of the two 8259s' mask registers, where there are any.
    unsafe {
        out8(0x21, 0xff);
        out8(0xa1, 0xff);
    }
    if !features().contains(Features::X2APIC) {
        let window = crate::mm::map_device(PhysAddr(LAPIC_BASE), 0x1000);
        WINDOW.store(window.expect("the local APIC is mapped") as u64, Relaxed);
    }
}

/// Enables this CPU's APIC.
pub(super) fn init_cpu() {
    // SAFETY: every x86-64 has this register; x2APIC mode only where CPUID offers it.
    unsafe {
        let mode = if features().contains(Features::X2APIC) {
            APIC_X2
        } else {
            0
        };
        wrmsr(msr::APIC_BASE, rdmsr(msr::APIC_BASE) | APIC_ENABLE | mode);
    }
    write(
        register::SPURIOUS,
        SOFTWARE_ENABLE | vector::SPURIOUS as u64,
    );
    write(register::TPR, 0);
    // Where PCs have the NMI line.
    write(register::LVT_LINT1, ICR_NMI as u64);
    let id = read(register::ID) as u32;
    let id = if WINDOW.load(Relaxed) == 0 {
        id
    } else {
        id >> 24
    };
    this_cpu().apic_id.store(id, Relaxed);
    let mode = if features().contains(Features::TSC_DEADLINE) {
        TIMER_DEADLINE
    } else {
        write(register::TIMER_DIVIDE, DIVIDE_1);
        TIMER_ONE_SHOT
    };
    write(register::LVT_TIMER, mode | vector::TIMER as u64);
    if WINDOW.load(Relaxed) != 0 {
        // The mode is set before the first deadline (SDM volume 3, 11.5.4.1).
        order_before_msr();
    }
}

/// Tells the frequency of the one-shot timer (unused where there are TSC deadlines).
pub fn set_timer_frequency(khz: u32) {
    TICKS_PER_US.store(
        ((khz as u64) << 16).div_ceil(1000).min(u32::MAX as u64) as u32,
        Relaxed,
    );
}

/// Timer ticks that pass while `wait` runs: for calibration, with the timer's interrupt off.
pub fn count_ticks(wait: impl FnOnce()) -> u32 {
    const MASKED: u64 = 1 << 16;
    write(register::TIMER_DIVIDE, DIVIDE_1);
    write(register::LVT_TIMER, MASKED | vector::TIMER as u64);
    write(register::TIMER_INITIAL, u32::MAX as u64);
    wait();
    let left = read(register::TIMER_CURRENT) as u32;
    write(register::TIMER_INITIAL, 0);
    write(register::LVT_TIMER, TIMER_ONE_SHOT | vector::TIMER as u64);
    u32::MAX - left
}

/// Sets this CPU's timer to interrupt at a time stamp, not 0; one that has passed interrupts at once.
#[inline(always)]
pub fn set_timer(deadline: u64) {
    if features().contains(Features::TSC_DEADLINE) {
        // SAFETY: CPUID offers the register.
        unsafe { wrmsr(msr::TSC_DEADLINE, deadline) }
    } else {
        set_one_shot(deadline);
    }
}

#[inline(never)]
fn set_one_shot(deadline: u64) {
    let left = time::cycles_to_ns(deadline.saturating_sub(time::cycles()));
    let us = (left / 1000 + 1).min(1 << 31);
    let ticks = (us as u128 * TICKS_PER_US.load(Relaxed) as u128) >> 16;
    write(
        register::TIMER_INITIAL,
        ticks.clamp(1, u32::MAX as u128) as u64,
    );
}

/// Stops this CPU's timer.
#[inline]
pub fn stop_timer() {
    if features().contains(Features::TSC_DEADLINE) {
        // SAFETY: CPUID offers the register.
        unsafe { wrmsr(msr::TSC_DEADLINE, 0) }
    } else {
        write(register::TIMER_INITIAL, 0);
    }
}

/// Makes what was written before visible to the CPU that the following write of an x2APIC register interrupts:
/// unlike other WRMSRs it waits for nothing (SDM volume 3, 11.12.3). Where the kernel is emulated there
/// are no such instructions, and no need.
fn order_before_msr() {
    if !entry::syscall_is_fetch_fault() {
        // SAFETY: every x86-64 has these instructions; they only wait.
        unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) }
    }
}

/// Sends a command to the APIC with this id.
fn command(apic_id: u32, bits: u32) {
    if WINDOW.load(Relaxed) == 0 {
        order_before_msr();
        write(register::ICR, (apic_id as u64) << 32 | bits as u64);
    } else {
        // A handler's command between the two writes would send this one elsewhere.
        let flags = interrupts_save_and_disable();
        while read(register::ICR) & ICR_PENDING != 0 {
            core::hint::spin_loop();
        }
        write(register::ICR_HIGH, (apic_id as u64) << 24);
        write(register::ICR, bits as u64);
        interrupts_restore(flags);
    }
}

/// Interrupts another CPU.
#[inline]
pub fn send_ipi(target: usize, vector: u8) {
    command(
        cpu(target).apic_id.load(Relaxed),
        ICR_ASSERT | vector as u32,
    );
}

/// Resets another CPU; it then waits for [`send_startup`].
pub(super) fn send_init(apic_id: u32) {
    command(apic_id, ICR_ASSERT | ICR_INIT);
}

/// Starts a CPU in real mode at a page below 1 MiB.
pub(super) fn send_startup(apic_id: u32, page: u8) {
    command(apic_id, ICR_ASSERT | ICR_STARTUP | page as u32);
}

/// Sends an NMI to all other CPUs.
pub fn stop_others() {
    command(0, ICR_ASSERT | ICR_NMI | ICR_ALL_OTHERS);
}
