//! Message-signalled interrupts (Intel SDM volume 3, 11.11): a device writes to an address that means a
//! local APIC, and the data name the vector.

use core::sync::atomic::Ordering::Relaxed;

use ferrix_machine::irq::LAPIC_BASE;

use super::cpu::{cpu, cpu_id};
use super::entry::idt;
use super::ioapic;
use super::vector::{FIRST_GSI, GSIS};

/// What a device writes to interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where to (physical); the upper 32 bits are zero.
    pub address: u32,
    /// What: delivery mode "fixed", edge-triggered, and the vector.
    pub data: u32,
}

/// Largest APIC id that a message can name (without interrupt remapping): all ones is every CPU.
const ID_MAX: u32 = 0xfe;

/// The numbers that messages can have: those of no line, from the top. Like lines they arrive at `FIRST_GSI` +
/// number.
pub fn numbers() -> impl Iterator<Item = u32> {
    (0..GSIS as u32)
        .rev()
        .filter(|&number| !ioapic::exists(number))
}

/// Opens the vector of a number from [`numbers`], and makes the message that raises it on a CPU: this one if it
/// can be named, else the first.
pub fn open(number: u32) -> Message {
    idt::open_gsi(number);
    let here = cpu(cpu_id()).apic_id.load(Relaxed);
    let first = cpu(0).apic_id.load(Relaxed);
    let target = if here <= ID_MAX { here } else { first };
    Message {
        address: LAPIC_BASE as u32 | target << 12,
        data: FIRST_GSI as u32 + number,
    }
}
