//! A process's signal state.

use super::action::Dispositions;
use super::queue::SignalQueue;
use crate::object::{Core, CoreCell, CoreRef};
use crate::timer::Timer;

/// What a process keeps about signals.
#[derive(Debug)]
pub struct ProcessSignals {
    /// What it does with each.
    pub dispositions: CoreCell<Dispositions>,
    /// Signals for the process, which no thread has taken.
    pub pending: CoreRef<SignalQueue>,
    /// Its alarm.
    pub alarm: Timer,
    /// The alarm's interval in nanoseconds; 0: once.
    pub interval: CoreCell<u64>,
}

impl ProcessSignals {
    /// Of a process that is not in use.
    pub const fn new() -> ProcessSignals {
        ProcessSignals {
            dispositions: CoreCell::new(Dispositions::new()),
            pending: CoreRef::new(SignalQueue::new()),
            alarm: Timer::new(),
            interval: CoreCell::new(0),
        }
    }

    /// All default, nothing pending.
    pub fn reset(&self, core: &mut Core) {
        self.dispositions.set(core, Dispositions::new());
        self.pending.get_mut(core).clear();
        self.interval.set(core, 0);
    }

    /// What a child has of it.
    pub fn inherit(&self, core: &Core, parent: &ProcessSignals) {
        self.dispositions.set(core, parent.dispositions.get(core));
    }

    /// Whether children that end leave no zombie.
    pub fn leaves_no_zombies(&self, core: &Core) -> bool {
        self.dispositions.get(core).leaves_no_zombies()
    }

    /// The process ends: no alarm, nothing pending.
    pub fn disarm(&'static self, core: &mut Core) {
        self.alarm.cancel(core);
        self.pending.get_mut(core).clear();
    }
}

impl Default for ProcessSignals {
    fn default() -> Self {
        Self::new()
    }
}
