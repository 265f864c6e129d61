//! A port's timers: one NOTIFY at a deadline.

use ferrix_abi::error::Result;
use ferrix_abi::ipc::FOREVER;

use super::{Event, Port, Source, post};
use crate::object::list::{Linked, Links};
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell};
use crate::timer::{self, Owner, Timer};

static PORT_TIMERS: Pool<PortTimer> = Pool::new();

/// The kind of a port's list of timers.
#[derive(Debug)]
pub struct InPortTimers;

/// A timer of a port. It exists from being set to the receipt of its notification.
#[derive(Debug)]
pub struct PortTimer {
    port: CoreCell<Option<&'static Port>>,
    badge: CoreCell<u32>,
    timer: Timer,
    event: Event,
    links: Links<PortTimer>,
    free: CoreCell<Option<&'static PortTimer>>,
}

impl Pooled for PortTimer {
    fn free_link(&self) -> &CoreCell<Option<&'static PortTimer>> {
        &self.free
    }

    fn fresh() -> PortTimer {
        PortTimer {
            port: CoreCell::new(None),
            badge: CoreCell::new(0),
            timer: Timer::new(),
            event: Event::new(),
            links: Links::new(),
            free: CoreCell::new(None),
        }
    }
}

impl Linked<InPortTimers> for PortTimer {
    fn links(&self) -> &Links<PortTimer> {
        &self.links
    }
}

impl PortTimer {
    /// The badge of its notification.
    pub(super) fn badge(&self, core: &Core) -> u32 {
        self.badge.get(core)
    }

    /// Its notification has been received. (It may have been set again meanwhile.)
    pub(super) fn delivered(&'static self, core: &Core) {
        if !self.timer.is_armed(core) {
            self.remove(core);
        }
    }

    /// Ends it.
    pub(super) fn remove(&'static self, core: &Core) {
        self.timer.cancel(core);
        self.event.withdraw(core);
        if let Some(port) = self.port.take(core) {
            port.timers.remove(core, self);
            PORT_TIMERS.give(core, self);
        }
    }
}

/// Sets the timer of a port that has this badge; `FOREVER` removes it.
pub fn set_port_timer(core: &Core, port: &'static Port, badge: u32, deadline: u64) -> Result<()> {
    let known = port
        .timers
        .iter(core)
        .find(|timer| timer.badge.get(core) == badge);
    if deadline == FOREVER {
        if let Some(timer) = known {
            timer.remove(core);
        }
        return Ok(());
    }
    let timer = match known {
        Some(timer) => timer,
        None => {
            let timer = PORT_TIMERS.take(core)?;
            timer.port.set(core, Some(port));
            timer.badge.set(core, badge);
            port.timers.push_back(core, timer);
            timer
        }
    };
    timer.event.withdraw(core);
    timer::set(core, &timer.timer, deadline, Owner::Port(timer));
    Ok(())
}

/// A port's timer has expired.
pub fn port_timer_expired(core: &mut Core, timer: &'static PortTimer) {
    if let Some(port) = timer.port.get(core) {
        post(core, &port.endpoint, &timer.event, Source::Timer(timer));
    }
}
