//! The interrupt descriptor table, one for all CPUs.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::macros::CLAC;
use super::{paranoid, trap};
use crate::arch::x86_64::instructions::lidt;
use crate::arch::x86_64::segment::{
    IST_DEBUG, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_NMI, KERNEL_CS,
};
use crate::arch::x86_64::vector::{self, EXCEPTIONS, FIRST_GSI, GSIS};

pub use paranoid::HEADER;

/// Kind of a gate: who may use it by INT n, and on which stack it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Gate(u16);

impl Gate {
    /// For the processor only, on the thread's stack (or the current one).
    pub const KERNEL: Gate = Gate(0x8e00);
    /// Also for INT3 and INTO of programs.
    const USER: Gate = Gate(0xee00);

    const fn on_stack(ist: u8) -> Gate {
        Gate(Gate::KERNEL.0 | ist as u16)
    }
}

#[repr(C, align(16))]
struct Table(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: written while booting and when a device's line is first routed, one word at a time,
// before anything can arrive through the gate.
unsafe impl Sync for Table {}

/// Bytes of an entry that its gate passes over: the CLAC with which each begins, where there is no SMAP.
static PASSED: AtomicU64 = AtomicU64::new(CLAC);

/// From now on gates do not pass over CLAC.
pub(super) fn begin_with_clac() {
    PASSED.store(0, Relaxed);
}

/// Where the gate of an entry leads.
fn begin(entry: unsafe extern "C" fn()) -> u64 {
    entry as *const () as u64 + PASSED.load(Relaxed)
}

static IDT: Table = Table(UnsafeCell::new([[0; 2]; 256]));

/// Makes `vector` enter at `address`.
pub fn set(vector: u8, address: u64, gate: Gate) {
    let low = address & 0xffff
        | (KERNEL_CS as u64) << 16
        | (gate.0 as u64) << 32
        | (address >> 16 & 0xffff) << 48;
    // SAFETY: within the table; see `Table`.
    unsafe {
        let entry = IDT.0.get().cast::<[u64; 2]>().add(vector as usize);
        entry.write_volatile([low, address >> 32]);
    }
}

/// Address of the n-th stub of an array, which begins at the first aligned address.
fn stub(stubs: unsafe extern "C" fn(), number: u64) -> u64 {
    let first = (stubs as *const () as u64).next_multiple_of(trap::STUB);
    first + number * trap::STUB + PASSED.load(Relaxed)
}

/// Opens the vector of a device's line.
pub fn open_gsi(gsi: u32) {
    assert!(gsi < GSIS as u32);
    set(
        FIRST_GSI + gsi as u8,
        stub(trap::device_stubs, gsi as u64),
        Gate::KERNEL,
    );
}

/// Sets the gates of the exceptions and of the local APIC.
pub(super) fn fill() {
    for exception in 0..EXCEPTIONS {
        set(
            exception,
            stub(trap::exception_stubs, exception as u64),
            Gate::KERNEL,
        );
    }
    for number in 0..3 {
        set(
            vector::TIMER + number,
            stub(trap::local_stubs, number as u64),
            Gate::KERNEL,
        );
    }
    for user in [vector::BREAKPOINT, vector::OVERFLOW] {
        set(user, stub(trap::exception_stubs, user as u64), Gate::USER);
    }
    let special: [(u8, unsafe extern "C" fn(), Gate); 7] = [
        (vector::TIMER, trap::timer, Gate::KERNEL),
        (vector::DEBUG, paranoid::debug, Gate::on_stack(IST_DEBUG)),
        (vector::NMI, paranoid::nmi, Gate::on_stack(IST_NMI)),
        (
            vector::DOUBLE_FAULT,
            paranoid::double_fault,
            Gate::on_stack(IST_DOUBLE_FAULT),
        ),
        (
            vector::MACHINE_CHECK,
            paranoid::machine_check,
            Gate::on_stack(IST_MACHINE_CHECK),
        ),
        (vector::PROTECTION, trap::protection, Gate::KERNEL),
        (vector::SPURIOUS, trap::spurious, Gate::KERNEL),
    ];
    for (vector, entry, gate) in special {
        set(vector, begin(entry), gate);
    }
}

/// Sets the gate of page faults, where SYSCALL does not arrive through it.
pub(super) fn set_page_fault() {
    set(vector::PAGE_FAULT, begin(trap::page_fault), Gate::KERNEL);
}

/// Loads the table on this CPU.
pub(in crate::arch::x86_64) fn load() {
    // SAFETY: the table is static; gates that are not set are not present.
    unsafe { lidt(IDT.0.get() as u64, size_of::<Table>() as u16 - 1) }
}

/// Loads an empty table: the next exception resets the machine.
pub(in crate::arch::x86_64) fn unload() {
    // SAFETY: that nothing can be delivered any more is what the caller wants.
    unsafe { lidt(0, 0) }
}
