//! x86-64.
//!
//! | module | what |
//! |---|---|
//! | [`start`], [`smp`] | the first instructions of each CPU; boot page tables |
//! | [`entry`] | the ways into the kernel and out of it |
//! | [`frame`], [`thread`], [`fpu`], [`switch`] | registers, and switching between threads |
//! | [`cpu`], [`segment`], [`features`] | a CPU's own data, GDT and TSS, CPUID |
//! | [`apic`], [`ioapic`], [`msi`], [`vector`] | interrupt controllers, and messages to them |
//! | [`nmi`], [`machine_check`] | what the machine reports of itself |
//! | [`ports`], [`pci`] | I/O ports in user mode; PCI configuration space by ports |
//! | [`power`], [`instructions`], [`msr`] | ends, instructions, register numbers |
//! | [`trace_point`] | where a kernel that is traced tells something |
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
mod machine_check;
pub mod msi;
mod msr;
mod nmi;
pub mod pci;
pub mod ports;
pub mod power;
mod requirements;
mod segment;
pub mod smp;
pub mod start;
mod switch;
pub mod thread;
pub mod trace_point;
mod upcalls;
pub mod vector;

pub use entry::take_back_system_call;
pub use features::{Features, crystal_tsc_khz, features, hypervisor_frequencies};
pub use frame::{TrapFrame, USER_RFLAGS_MASK};
pub use msr::{KVM_SYSTEM_TIME_NEW, KVM_WALL_CLOCK_NEW};

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use instructions::{read_cr4, write_cr4, wrmsr};
use segment::ExceptionStacks;

/// Features that a bit of CR4 enables.
const CR4_FEATURES: [(Features, u64); 6] = [
    (Features::MACHINE_CHECK, 1 << 6),
    (Features::PGE, 1 << 7),
    (Features::UMIP, 1 << 11),
    (Features::FSGSBASE, 1 << 16),
    (Features::SMEP, 1 << 20),
    (Features::SMAP, 1 << 21),
];

/// CR4 of the boot CPU: all others get the same.
static CR4: AtomicU64 = AtomicU64::new(0);

/// Exception stacks of the boot CPU, which starts before there is memory to be had.
#[repr(C, align(16))]
struct BootStacks(UnsafeCell<[u8; 16 << 10]>);

// SAFETY: used only as the boot CPU's stacks.
unsafe impl Sync for BootStacks {}

static BOOT_STACKS: BootStacks = BootStacks(UnsafeCell::new([0; 16 << 10]));

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
}

/// Enables what the processor offers and the command line does not take away. On the boot CPU after the
/// probe, whose code is on a user page: from now on the kernel neither executes nor, unannounced,
/// touches such pages.
pub fn init_features(command_line: &str) {
    crate::boot::command_line::without(command_line).for_each(features::forget);
    if features().contains(Features::SMAP) {
        entry::use_clac();
        crate::mm::uaccess::set_smap();
    }
    entry::init_bases();
    CR4.store(enable_features(), Relaxed);
}

/// Sets up the interrupt controllers, once there is memory.
pub fn init_interrupts() {
    publish_features();
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

/// Enables the processor features that are used, on this CPU. Returns its CR4.
fn enable_features() -> u64 {
    let enabled = CR4_FEATURES
        .into_iter()
        .filter(|&(feature, _)| features().contains(feature));
    let cr4 = enabled.fold(read_cr4(), |cr4, (_, bit)| cr4 | bit);
    // SAFETY: CPUID offers these features; user memory is reached only through `uaccess`.
    unsafe { write_cr4(cr4) }
    fpu::init();
    read_cr4()
}

/// Enables on another CPU what the boot CPU has.
fn init_features_alike() {
    let (own, boot) = (enable_features(), CR4.load(Relaxed));
    assert!(
        own == boot,
        "CPU {} has CR4 {own:#x}, the boot CPU {boot:#x}: all must be of one model",
        cpu::cpu_id()
    );
}

/// Tells programs what is in use.
fn publish_features() {
    // SAFETY: the page is the kernel's to write, and no program runs yet.
    unsafe { (*crate::mm::info::kernel_info()).cpu_features = features().bits() }
}
