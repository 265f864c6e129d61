//! The I/O APICs: device lines to vectors. All lines are edge-triggered, active high (see
//! `ferrix_machine::irq`).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::cpu::cpu;
use super::entry::idt;
use super::vector::{FIRST_GSI, GSIS};
use crate::mm::PhysAddr;
use crate::sync::IrqSpinLock;

/// Most I/O APICs.
const MAX: usize = 4;
const VERSION: u32 = 1;
/// Redirection entry n is in registers `REDIRECTION + 2n` and the next.
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;

struct IoApic {
    /// Its registers; 0: none.
    window: AtomicU64,
    first_gsi: AtomicU32,
    lines: AtomicU32,
}

static IO_APICS: [IoApic; MAX] = [const {
    IoApic {
        window: AtomicU64::new(0),
        first_gsi: AtomicU32::new(0),
        lines: AtomicU32::new(0),
    }
}; MAX];

/// Guards the index registers.
static INDEX: IrqSpinLock<()> = IrqSpinLock::new(());

impl IoApic {
    /// The caller holds [`INDEX`].
    fn write(&self, register: u32, value: u32) {
        let window = self.window.load(Relaxed);
        // SAFETY: the window is mapped for good; index at 0, data at 0x10.
        unsafe {
            (window as *mut u32).write_volatile(register);
            ((window + 0x10) as *mut u32).write_volatile(value);
        }
    }

    /// The caller holds [`INDEX`].
    fn read(&self, register: u32) -> u32 {
        let window = self.window.load(Relaxed);
        // SAFETY: as in `write`.
        unsafe {
            (window as *mut u32).write_volatile(register);
            ((window + 0x10) as *const u32).read_volatile()
        }
    }
}

/// The I/O APIC of a line, and the line's number there.
fn find(gsi: u32) -> Option<(&'static IoApic, u32)> {
    IO_APICS.iter().find_map(|apic| {
        let line = gsi.wrapping_sub(apic.first_gsi.load(Relaxed));
        (line < apic.lines.load(Relaxed)).then_some((apic, line))
    })
}

/// Adds an I/O APIC whose first line is `first_gsi`; all lines are masked (as after reset).
pub fn add(base: PhysAddr, first_gsi: u32) {
    let Some(apic) = IO_APICS.iter().find(|apic| apic.window.load(Relaxed) == 0) else {
        return;
    };
    let window = crate::mm::map_device(base, 0x20).expect("the I/O APIC is mapped");
    apic.window.store(window as u64, Relaxed);
    apic.first_gsi.store(first_gsi, Relaxed);
    let _index = INDEX.lock();
    apic.lines
        .store((apic.read(VERSION) >> 16 & 0xff) + 1, Relaxed);
}

/// Whether the machine has this line, and the kernel a vector for it.
pub fn exists(gsi: u32) -> bool {
    gsi < GSIS as u32 && find(gsi).is_some()
}

/// Directs a line to a CPU, masked.
pub fn route(gsi: u32, target: usize) {
    let Some((apic, line)) = find(gsi) else {
        return;
    };
    idt::open_gsi(gsi);
    let _index = INDEX.lock();
    apic.write(
        REDIRECTION + 2 * line + 1,
        cpu(target).apic_id.load(Relaxed) << 24,
    );
    apic.write(REDIRECTION + 2 * line, MASKED | (FIRST_GSI as u32 + gsi));
}

/// Lets a routed line interrupt.
pub fn unmask(gsi: u32) {
    let Some((apic, line)) = find(gsi) else {
        return;
    };
    let _index = INDEX.lock();
    apic.write(REDIRECTION + 2 * line, FIRST_GSI as u32 + gsi);
}

/// Holds a line off. An edge that comes meanwhile is lost.
pub fn mask(gsi: u32) {
    let Some((apic, line)) = find(gsi) else {
        return;
    };
    let _index = INDEX.lock();
    apic.write(REDIRECTION + 2 * line, MASKED | (FIRST_GSI as u32 + gsi));
}
