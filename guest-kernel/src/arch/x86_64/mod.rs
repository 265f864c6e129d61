//! x86-64.
//!
//! | module | what |
//! |---|---|
//! | [`start`], [`smp`] | the first instructions of each CPU; boot page tables |
//! | [`entry`] | the ways into the kernel and out of it |
//! | [`frame`], [`thread`], [`fpu`], [`switch`] | registers, and switching between threads |
//! | [`cpu`], [`segment`], [`features`] | a CPU's own data, GDT and TSS, CPUID |
//! | [`apic`], [`ioapic`], [`vector`] | interrupt controllers |
//! | [`power`], [`instructions`], [`msr`] | ends, instructions, register numbers |
//! | [`upcalls`] | what all this calls in the core |
//!
//! Page tables after boot, and access to user memory, belong to [`mm`](crate::mm).

pub mod apic;
pub mod cpu;
mod entry;
mod features;
mod fpu;
mod frame;
pub mod instructions;
pub mod ioapic;
mod msr;
pub mod power;
mod segment;
pub mod smp;
pub mod start;
mod switch;
pub mod thread;
mod upcalls;
pub mod vector;

pub use features::{Features, crystal_tsc_khz, features, hypervisor_frequencies};
pub use frame::{TrapFrame, USER_RFLAGS_MASK};
pub use msr::{KVM_SYSTEM_TIME_NEW, KVM_WALL_CLOCK_NEW};

use core::cell::UnsafeCell;

use instructions::{read_cr4, write_cr4, wrmsr};
use segment::ExceptionStacks;

/// Features that a bit of CR4 enables.
const CR4_FEATURES: [(Features, u64); 5] = [
    (Features::PGE, 1 << 7),
    (Features::UMIP, 1 << 11),
    (Features::FSGSBASE, 1 << 16),
    (Features::SMEP, 1 << 20),
    (Features::SMAP, 1 << 21),
];

/// Exception stacks of the boot CPU, which starts before there is memory to be had.
#[repr(C, align(16))]
struct BootStacks(UnsafeCell<[u8; 12 << 10]>);

// SAFETY: used only as the boot CPU's stacks.
unsafe impl Sync for BootStacks {}

static BOOT_STACKS: BootStacks = BootStacks(UnsafeCell::new([0; 12 << 10]));

/// Makes the boot CPU a CPU that can take traps. Before anything else.
pub fn init() {
    features::detect();
    let bottom = BOOT_STACKS.0.get() as u64;
    init_cpu(
        0,
        ExceptionStacks::split(bottom, size_of::<BootStacks>() as u64),
    );
    entry::init();
    if entry::syscall_is_fetch_fault() {
        features::restrict_to_emulated();
    }
    init_features();
}

/// Sets up the interrupt controllers, once there is memory.
pub fn init_interrupts() {
    apic::init_machine();
    apic::init_cpu();
}

/// Gives a CPU its data, segments and interrupt table.
fn init_cpu(id: usize, stacks: ExceptionStacks) {
    let cpu = cpu::cpu(id);
    cpu.prepare(id);
    // SAFETY: every x86-64 has these registers.
    unsafe {
        wrmsr(msr::GS_BASE, cpu as *const cpu::PerCpu as u64);
        wrmsr(msr::KERNEL_GS_BASE, 0);
    }
    segment::load(cpu, stacks);
    entry::idt::load();
}

/// Enables the processor features that are used. On the boot CPU after the probe, whose code is on a
/// user page: from now on the kernel neither executes nor, unannounced, touches such pages.
fn init_features() {
    let mut cr4 = read_cr4();
    for (feature, bit) in CR4_FEATURES {
        if features().contains(feature) {
            cr4 |= bit;
        }
    }
    if features().contains(Features::SMAP) {
        crate::mm::uaccess::set_smap();
    }
    // SAFETY: CPUID offers these features; user memory is reached only through `uaccess`.
    unsafe { write_cr4(cr4) }
    fpu::init();
}
