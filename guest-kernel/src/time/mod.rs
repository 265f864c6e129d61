//! Clocks: monotonic time from the time stamp counter, and the wall clock's distance from it.
//!
//! Frequencies come from whoever knows them, in this order: the hypervisor's timing leaf, CPUID leaf
//! 0x15, KVM's clock, a measurement against the PIT (QEMU without KVM). After boot nothing
//! is measured, and programs compute the time themselves from [`KernelInfo`](ferrix_abi::info::KernelInfo).

mod kvm;
mod legacy;

use core::sync::atomic::{AtomicU64, Ordering::*, fence};

use crate::arch::instructions::rdtsc;
use crate::arch::{self, Features, apic, features};
use crate::mm::info::kernel_info;

/// TSC at monotonic time 0.
static BASE: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds per cycle, 32.32 fixed point.
static NS_PER_CYCLE: AtomicU64 = AtomicU64::new(0);
/// Cycles per nanosecond, 32.32 fixed point.
static CYCLES_PER_NS: AtomicU64 = AtomicU64::new(0);
static REALTIME_OFFSET: AtomicU64 = AtomicU64::new(0);

#[inline(always)]
fn scale(value: u64, factor: u64) -> u64 {
    ((value as u128 * factor as u128) >> 32) as u64
}

/// The time stamp counter, for measuring spans.
#[inline(always)]
pub fn cycles() -> u64 {
    rdtsc()
}

/// A span of cycles in nanoseconds.
#[inline(always)]
pub fn cycles_to_ns(cycles: u64) -> u64 {
    scale(cycles, NS_PER_CYCLE.load(Relaxed))
}

/// A span of nanoseconds in cycles.
#[inline(always)]
pub fn ns_to_cycles(ns: u64) -> u64 {
    scale(ns, CYCLES_PER_NS.load(Relaxed))
}

/// Nanoseconds since boot.
#[inline(always)]
pub fn now_ns() -> u64 {
    ns_at(rdtsc())
}

/// The monotonic time of a time stamp.
#[inline(always)]
pub fn ns_at(stamp: u64) -> u64 {
    cycles_to_ns(stamp.wrapping_sub(BASE.load(Relaxed)))
}

/// The time stamp at a monotonic time; far ones saturate.
#[inline(always)]
pub fn tsc_at(ns: u64) -> u64 {
    let cycles = (ns as u128 * CYCLES_PER_NS.load(Relaxed) as u128) >> 32;
    BASE.load(Relaxed)
        .saturating_add(u64::try_from(cycles).unwrap_or(u64::MAX))
}

/// Wall clock minus monotonic clock, in nanoseconds.
pub fn realtime_offset() -> u64 {
    REALTIME_OFFSET.load(Relaxed)
}

/// Finds the frequencies and the wall clock, and publishes them. After interrupts are set up.
pub fn init() {
    let start = rdtsc();
    BASE.store(start, Relaxed);
    let tsc_khz = find_frequencies();
    NS_PER_CYCLE.store((1_000_000 << 32) / tsc_khz, Relaxed);
    CYCLES_PER_NS.store((tsc_khz << 32) / 1_000_000, Relaxed);
    publish(tsc_khz);
    let kvm = features().contains(Features::KVM_CLOCK);
    let wall = if kvm {
        kvm::realtime_ns()
    } else {
        legacy::cmos_realtime_ns()
    };
    set_realtime_offset(wall.saturating_sub(now_ns()));
}

/// TSC frequency in kHz; tells the APIC timer its own.
fn find_frequencies() -> u64 {
    let (tsc, timer) = arch::hypervisor_frequencies();
    let known = [tsc, arch::crystal_tsc_khz()]
        .into_iter()
        .find(|&khz| khz != 0);
    let kvm = || features().contains(Features::KVM_CLOCK).then(kvm::tsc_khz);
    let known = known.or_else(kvm);
    match known {
        Some(tsc) if timer != 0 || features().contains(Features::TSC_DEADLINE) => {
            apic::set_timer_frequency(timer);
            tsc as u64
        }
        _ => {
            let (measured, timer) = legacy::measure_khz();
            apic::set_timer_frequency(timer);
            known.unwrap_or(measured) as u64
        }
    }
}

/// Fills the page from which programs compute the time.
fn publish(tsc_khz: u64) {
    // SAFETY: the page is the kernel's to write; no program runs yet.
    unsafe {
        let info = kernel_info();
        (*info).tsc_base = BASE.load(Relaxed);
        (*info).tsc_multiplier = NS_PER_CYCLE.load(Relaxed);
        (*info).tsc_khz = tsc_khz;
    }
}

/// Sets the wall clock.
pub fn set_realtime_offset(offset: u64) {
    static WRITER: crate::sync::SpinLock<()> = crate::sync::SpinLock::new(());
    let _writer = WRITER.lock();
    REALTIME_OFFSET.store(offset, Relaxed);
    let info = kernel_info();
    // SAFETY: the page is the kernel's to write, one writer at a time; programs read it under the
    // sequence lock.
    unsafe {
        let sequence = &raw mut (*info).sequence;
        sequence.write_volatile(sequence.read().wrapping_add(1));
        fence(Release);
        (&raw mut (*info).realtime_offset).write_volatile(offset);
        fence(Release);
        sequence.write_volatile(sequence.read().wrapping_add(1));
    }
}
