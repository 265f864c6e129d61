//! Interrupts of devices, as notifications to ports.
//!
//! An interrupt notifies the port that its line is bound to. The lines are edge-triggered (see
//! `ferrix_machine::irq`): an edge that met a masked line would be lost, so a line stays open and
//! further edges are counted until the notification is received.
//!
//! Devices that interrupt by messages ([`msi`]) have the numbers that no line has.

use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::machine::LOG_LINE;

use crate::arch::msi::{self, Message};
use crate::arch::trace_point::count_interrupt;
use crate::arch::{cpu, ioapic, vector::GSIS};
use crate::ipc::{Event, Port, Source, post};
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell};
use crate::sched::{self, Work};

/// Lines that can be bound.
const LINES: usize = GSIS as usize;
/// The last one is no line of the machine's: the log has text for the owner of its UART.
const LOG: u32 = LINES as u32 - 1;

static IRQS: Pool<Irq> = Pool::new();
static BY_LINE: [CoreCell<Option<&'static Irq>>; LINES] = [const { CoreCell::new(None) }; LINES];

/// A line bound to a port.
#[derive(Debug)]
pub struct Irq {
    gsi: CoreCell<u32>,
    port: CoreCell<Option<&'static Port>>,
    badge: CoreCell<u32>,
    /// Interrupts since the last notification was received.
    count: CoreCell<u64>,
    event: Event,
    /// Handles to it.
    pub references: CoreCell<u32>,
    free: CoreCell<Option<&'static Irq>>,
}

impl Pooled for Irq {
    fn free_link(&self) -> &CoreCell<Option<&'static Irq>> {
        &self.free
    }

    fn fresh() -> Irq {
        Irq {
            gsi: CoreCell::new(0),
            port: CoreCell::new(None),
            badge: CoreCell::new(0),
            count: CoreCell::new(0),
            event: Event::new(),
            references: CoreCell::new(0),
            free: CoreCell::new(None),
        }
    }
}

impl Irq {
    /// Binds a line to a port and unmasks it; `Busy` if it is bound already.
    pub fn bind(core: &Core, gsi: u32, port: &'static Port, badge: u32) -> Result<&'static Irq> {
        let gsi = match gsi {
            LOG_LINE => LOG,
            LOG => return Err(Error::Invalid),
            _ if ioapic::exists(gsi) => gsi,
            _ => return Err(Error::Invalid),
        };
        let line = &BY_LINE[gsi as usize];
        if line.get(core).is_some() {
            return Err(Error::Busy);
        }
        let irq = Irq::connect(core, gsi, port, badge)?;
        ioapic::route(gsi, cpu::cpu_id());
        ioapic::unmask(gsi);
        Ok(irq)
    }

    /// Finds a free message for a device and binds it to a port; `NoMemory` if there is none.
    pub fn bind_message(
        core: &Core,
        port: &'static Port,
        badge: u32,
    ) -> Result<(&'static Irq, Message)> {
        let is_free = |&number: &u32| number != LOG && BY_LINE[number as usize].get(core).is_none();
        let number = msi::numbers().find(is_free).ok_or(Error::NoMemory)?;
        let irq = Irq::connect(core, number, port, badge)?;
        Ok((irq, msi::open(number)))
    }

    /// Makes an object of a line that is not bound.
    fn connect(core: &Core, gsi: u32, port: &'static Port, badge: u32) -> Result<&'static Irq> {
        let irq = IRQS.take(core)?;
        irq.gsi.set(core, gsi);
        irq.port.set(core, Some(port));
        irq.badge.set(core, badge);
        irq.count.set(core, 0);
        irq.references.set(core, 0);
        port.link(core);
        BY_LINE[gsi as usize].set(core, Some(irq));
        Ok(irq)
    }

    /// The badge of its notifications.
    pub fn badge(&self, core: &Core) -> u32 {
        self.badge.get(core)
    }

    /// Interrupts since the last time.
    pub fn take_count(&self, core: &Core) -> u64 {
        self.count.take(core)
    }

    /// The driver has served the device: nothing to do for an edge-triggered line.
    pub fn acknowledge(&self, _: &Core) {}

    /// A handle is gone; with the last one the line is free.
    pub fn release(&'static self, core: &Core) {
        if self.references.decrement(core) != 0 {
            return;
        }
        let gsi = self.gsi.get(core);
        ioapic::mask(gsi);
        BY_LINE[gsi as usize].set(core, None);
        self.event.withdraw(core);
        if let Some(port) = self.port.take(core) {
            port.unlink(core);
        }
        IRQS.give(core, self);
    }
}

/// The interrupt of a line.
pub fn interrupt(gsi: u32) {
    count_interrupt(gsi);
    if let Some(bits) = sched::local().deferred_gsis.get(gsi as usize / 32) {
        bits.fetch_or(1 << (gsi % 32), Relaxed);
        sched::defer(Work::Device, deferred);
    }
}

/// The log has text: interrupts whoever has bound [`LOG_LINE`], soon. Interrupts are off; the core
/// lock may be held.
pub fn log_has_text() {
    sched::local().deferred_gsis[LOG as usize / 32].fetch_or(1 << (LOG % 32), Relaxed);
    sched::defer_always(Work::Device);
}

/// Notifies the ports of all lines that interrupted on this CPU.
pub fn deferred(core: &mut Core) {
    for (word, bits) in sched::local().deferred_gsis.iter().enumerate() {
        let mut rest = bits.swap(0, Relaxed);
        while rest != 0 {
            notify(core, word as u32 * 32 + rest.trailing_zeros());
            rest &= rest - 1;
        }
    }
}

fn notify(core: &mut Core, gsi: u32) {
    let Some(irq) = BY_LINE[gsi as usize].get(core) else {
        return;
    };
    irq.count.set(core, irq.count.get(core) + 1);
    if let Some(port) = irq.port.get(core).filter(|port| !port.dead.get(core)) {
        post(core, &port.endpoint, &irq.event, Source::Irq(irq));
    }
}
