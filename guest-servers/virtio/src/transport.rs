//! The life of a device (section 3.1), whichever way it is reached.
//!
//! From user space every register access is an exit to the monitor (some 25 µs); only queue
//! notifications are cheap. So nothing is read twice, and after initialisation a driver touches
//! [`notify`](Transport::notify) and one of the interrupt acknowledgements only.

use crate::bus::{Bus, Interrupt};
use crate::dma::DmaMemory;
use crate::error::InitError;
use crate::features::Features;
use crate::queue::{Notifications, Queue, QueueIndex, QueueLayout, QueueSize};
use crate::spec::{feature, status};
use alloc::boxed::Box;

mod config;

pub use config::Config;

/// Reads of the status register before a reset is given up; each leaves the guest, which takes
/// microseconds, so this is more than a second.
const RESET_READS: u32 = 100_000;

/// Attempts at reading a configuration that keeps changing.
const CONFIG_ATTEMPTS: u32 = 16;

/// What a driver wants of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Without these the device cannot be driven. VERSION_1 is always one of them.
    pub required: Features,
    /// These are used if offered.
    pub optional: Features,
}

/// What a queue is to be like; the device may make it smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRequest {
    /// Which one.
    pub index: QueueIndex,
    /// Most descriptors.
    pub size: QueueSize,
    /// Entries of each descriptor's indirect table, if the feature is negotiated.
    pub indirect: u16,
}

impl QueueRequest {
    /// Bytes of device memory that are enough for the queue, whatever is negotiated.
    pub const fn bytes(&self) -> usize {
        self.layout(feature::INDIRECT_DESC, self.size).bytes()
    }

    const fn layout(&self, features: Features, size: QueueSize) -> QueueLayout {
        let indirect = features.contains(feature::INDIRECT_DESC);
        let event_index = features.contains(feature::EVENT_IDX);
        QueueLayout {
            size,
            indirect: if indirect { self.indirect } else { 0 },
            notifications: match event_index {
                true => Notifications::EventIndex,
                false => Notifications::Flags,
            },
        }
    }
}

/// A device on its way to being driven.
#[derive(Debug)]
pub struct Transport {
    bus: Box<dyn Bus>,
    /// What was last written to the status register.
    status: u32,
}

impl Transport {
    /// The device behind a bus.
    pub fn new(bus: Box<dyn Bus>) -> Transport {
        Transport { bus, status: 0 }
    }

    /// The type of the device; see [`spec::device`](crate::spec::device).
    pub fn device(&self) -> u32 {
        self.bus.device()
    }

    /// Fails unless the device has this type.
    ///
    /// # Errors
    /// [`InitError::WrongDevice`].
    pub fn expect_device(&self, expected: u32) -> Result<(), InitError> {
        let found = self.device();
        (found == expected)
            .then_some(())
            .ok_or(InitError::WrongDevice { expected, found })
    }

    /// Brings the device up (section 3.1.1): reset, features, then `set_up` (which makes queues and
    /// reads the configuration, given what was negotiated), then DRIVER_OK.
    ///
    /// # Errors
    /// The first that occurs; the device is marked FAILED then.
    pub fn initialise<D>(
        &mut self,
        wanted: Wanted,
        set_up: impl FnOnce(&mut Transport, Features) -> Result<D, InitError>,
    ) -> Result<D, InitError> {
        let ready = self
            .negotiate(wanted)
            .and_then(|features| set_up(self, features));
        let last = if ready.is_ok() {
            status::DRIVER_OK
        } else {
            status::FAILED
        };
        self.add_status(last);
        ready
    }

    /// Resets the device: afterwards it touches no memory, and every setting is gone.
    ///
    /// # Errors
    /// [`InitError::ResetTimeout`].
    pub fn reset(&mut self) -> Result<(), InitError> {
        self.status = 0;
        self.bus.set_status(0);
        (0..RESET_READS)
            .any(|_| self.bus.status() == 0)
            .then_some(())
            .ok_or(InitError::ResetTimeout)
    }

    /// Steps 1 to 6 of section 3.1.1.
    fn negotiate(&mut self, wanted: Wanted) -> Result<Features, InitError> {
        self.reset()?;
        self.add_status(status::ACKNOWLEDGE);
        self.add_status(status::DRIVER);
        let required = wanted.required | feature::VERSION_1;
        let offered = self.bus.offered_features();
        let missing = required.without(offered);
        if missing != Features::NONE {
            return Err(InitError::MissingFeatures { missing });
        }
        let features = offered & (required | wanted.optional);
        self.bus.accept_features(features);
        self.add_status(status::FEATURES_OK);
        if self.bus.status() & status::FEATURES_OK == 0 {
            return Err(InitError::FeaturesRefused { features });
        }
        self.bus.route_interrupts()?;
        Ok(features)
    }

    /// Makes a queue of the size that both sides can have, and enables it.
    ///
    /// # Errors
    /// [`InitError::NoQueue`], or [`InitError::OutOfMemory`] if `memory` holds less than
    /// [`QueueRequest::bytes`].
    pub fn create_queue<T>(
        &mut self,
        request: QueueRequest,
        features: Features,
        memory: &mut DmaMemory,
    ) -> Result<Queue<T>, InitError> {
        let queue = request.index;
        let limit = match self.bus.queue_limit(queue) {
            0 => return Err(InitError::NoQueue { queue }),
            limit => limit,
        };
        let size = request.size.min(QueueSize::at_most(limit));
        let layout = request.layout(features, size);
        let memory = take(memory, layout.bytes(), 1)?;
        let queue = Queue::new(queue, layout, memory);
        self.enable_queue(&queue)?;
        Ok(queue)
    }

    /// Tells the device where a queue is. The queue must be new or reset.
    ///
    /// # Errors
    /// [`InitError::NoQueue`] if the device already uses one of this index, and what the bus says.
    pub fn enable_queue<T>(&mut self, queue: &Queue<T>) -> Result<(), InitError> {
        self.bus
            .enable_queue(queue.index(), queue.size(), queue.addresses())
    }

    /// Tells the device to look at a queue: one write.
    pub fn notify(&self, queue: QueueIndex) {
        self.bus.notify(queue);
    }

    /// Reads why the device interrupted and acknowledges just that. Do this *before* looking at the
    /// rings: what comes after it interrupts again.
    pub fn acknowledge(&self) -> Interrupt {
        self.bus.acknowledge()
    }

    /// Acknowledges used buffers without asking: half the cost of [`acknowledge`](Self::acknowledge)
    /// or less, for a driver that does not care for configuration changes.
    pub fn acknowledge_used(&self) {
        self.bus.acknowledge_used();
    }

    /// Whether the device asks for a reset (section 2.1.1); it tells so by a configuration change.
    pub fn needs_reset(&self) -> bool {
        self.bus.status() & status::NEEDS_RESET != 0
    }

    /// Reads from the configuration space, again if it changed meanwhile (section 2.5.3).
    ///
    /// # Errors
    /// [`InitError::ConfigUnstable`] if it never holds still.
    pub fn read_config<C>(&self, read: impl Fn(Config<'_>) -> C) -> Result<C, InitError> {
        let mut before = self.bus.config_generation();
        for _ in 0..CONFIG_ATTEMPTS {
            let config = read(Config::new(&*self.bus));
            let after = self.bus.config_generation();
            if before == after {
                return Ok(config);
            }
            before = after;
        }
        Err(InitError::ConfigUnstable)
    }

    fn add_status(&mut self, bit: u32) {
        self.status |= bit;
        self.bus.set_status(self.status);
    }
}

/// Carves device memory, with an error that says how much was missing.
pub(crate) fn take(
    memory: &mut DmaMemory,
    needed: usize,
    align: usize,
) -> Result<DmaMemory, InitError> {
    let left = memory.len();
    memory
        .carve(needed, align)
        .ok_or(InitError::OutOfMemory { needed, left })
}

#[cfg(test)]
mod tests;
