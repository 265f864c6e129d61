//! An interrupt line that is not bound to anything but a port.

use alloc::boxed::Box;

use crate::ipc::{Event, Port, Source, post};
use crate::object::{Core, CoreCell};

#[derive(Debug)]
pub struct Irq {
    port: &'static Port,
    badge: u32,
    count: CoreCell<u64>,
    event: Event,
    /// As in the kernel.
    pub references: CoreCell<u32>,
}

impl Irq {
    pub fn connect(core: &Core, port: &'static Port, badge: u32) -> &'static Irq {
        port.link(core);
        Box::leak(Box::new(Irq {
            port,
            badge,
            count: CoreCell::new(0),
            event: Event::new(),
            references: CoreCell::new(0),
        }))
    }

    pub fn badge(&self, _: &Core) -> u32 {
        self.badge
    }

    pub fn take_count(&self, core: &Core) -> u64 {
        self.count.take(core)
    }

    pub fn release(&'static self, core: &Core) {
        if self.references.decrement(core) == 0 {
            self.event.withdraw(core);
            self.port.unlink(core);
        }
    }

    /// The device interrupts.
    pub fn happen(&'static self, core: &mut Core) {
        if !self.port.dead.get(core) {
            self.count.set(core, self.count.get(core) + 1);
            post(core, &self.port.endpoint, &self.event, Source::Irq(self));
        }
    }
}

pub fn deferred(_: &mut Core) {}
