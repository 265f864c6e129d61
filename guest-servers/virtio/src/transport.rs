//! The mmio transport, version 2 (section 4.2), and the life of a device (section 3.1).
//!
//! From user space every register access is an exit to the monitor (some 25 µs); only queue
//! notifications are cheap. So nothing is read twice, and after initialisation a driver touches
//! [`notify`](Transport::notify) and one of the interrupt acknowledgements only.

use crate::dma::DmaMemory;
use crate::error::{InitError, ProbeError};
use crate::features::Features;
use crate::queue::{Notifications, Queue, QueueIndex, QueueLayout, QueueSize};
use crate::registers::Registers;
use crate::spec::{self, feature, interrupt, register, status};

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

/// Why the device interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt(u32);

impl Interrupt {
    /// It used buffers: look at the queues.
    pub fn used_buffers(self) -> bool {
        self.0 & interrupt::USED_BUFFER != 0
    }

    /// Its configuration changed, or it needs a reset: look at both.
    pub fn configuration_changed(self) -> bool {
        self.0 & interrupt::CONFIGURATION != 0
    }
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

/// A device behind the mmio transport.
#[derive(Debug)]
pub struct Transport<R> {
    registers: R,
    device: u32,
    /// What was last written to the status register.
    status: u32,
}

impl<R: Registers> Transport<R> {
    /// Finds out whether there is a device that can be driven (section 4.2.3.1.1). Only reads.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn probe(registers: R) -> Result<Transport<R>, ProbeError> {
        let magic = registers.read32(register::MAGIC);
        if magic != spec::MAGIC_VALUE {
            return Err(ProbeError::NotVirtio { magic });
        }
        match registers.read32(register::VERSION) {
            spec::VERSION_MMIO => {}
            spec::VERSION_MMIO_LEGACY => return Err(ProbeError::Legacy),
            version => return Err(ProbeError::Version { version }),
        }
        match registers.read32(register::DEVICE_ID) {
            spec::device::ABSENT => Err(ProbeError::Absent),
            device => Ok(Transport {
                registers,
                device,
                status: 0,
            }),
        }
    }

    /// The type of the device; see [`spec::device`].
    pub fn device(&self) -> u32 {
        self.device
    }

    /// Fails unless the device has this type.
    ///
    /// # Errors
    /// [`InitError::WrongDevice`].
    pub fn expect_device(&self, expected: u32) -> Result<(), InitError> {
        let found = self.device;
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
        set_up: impl FnOnce(&mut Transport<R>, Features) -> Result<D, InitError>,
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
        self.registers.write32(register::STATUS, 0);
        (0..RESET_READS)
            .any(|_| self.registers.read32(register::STATUS) == 0)
            .then_some(())
            .ok_or(InitError::ResetTimeout)
    }

    /// Steps 1 to 6 of section 3.1.1.
    fn negotiate(&mut self, wanted: Wanted) -> Result<Features, InitError> {
        self.reset()?;
        self.add_status(status::ACKNOWLEDGE);
        self.add_status(status::DRIVER);
        let required = wanted.required | feature::VERSION_1;
        let offered = self.offered_features();
        let missing = required.without(offered);
        if missing != Features::NONE {
            return Err(InitError::MissingFeatures { missing });
        }
        let features = offered & (required | wanted.optional);
        self.accept_features(features);
        self.add_status(status::FEATURES_OK);
        if self.registers.read32(register::STATUS) & status::FEATURES_OK == 0 {
            return Err(InitError::FeaturesRefused { features });
        }
        Ok(features)
    }

    fn offered_features(&self) -> Features {
        let half = |select| {
            self.registers
                .write32(register::DEVICE_FEATURES_SEL, select);
            u64::from(self.registers.read32(register::DEVICE_FEATURES))
        };
        Features::from_bits(half(0) | half(1) << 32)
    }

    fn accept_features(&self, features: Features) {
        let bits = features.bits();
        for (select, half) in [(0, bits as u32), (1, (bits >> 32) as u32)] {
            self.registers
                .write32(register::DRIVER_FEATURES_SEL, select);
            self.registers.write32(register::DRIVER_FEATURES, half);
        }
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
        self.registers.write32(register::QUEUE_SEL, queue.0.into());
        let limit = match self.registers.read32(register::QUEUE_NUM_MAX) {
            0 => return Err(InitError::NoQueue { queue }),
            limit => u16::try_from(limit).unwrap_or(u16::MAX),
        };
        let size = request.size.min(QueueSize::at_most(limit));
        let layout = request.layout(features, size);
        let memory = take(memory, layout.bytes(), 1)?;
        let queue = Queue::new(queue, layout, memory);
        self.enable_queue(&queue)?;
        Ok(queue)
    }

    /// Tells the device where a queue is (section 4.2.3.2). The queue must be new or reset.
    ///
    /// # Errors
    /// [`InitError::NoQueue`] if the device already uses one of this index.
    pub fn enable_queue<T>(&mut self, queue: &Queue<T>) -> Result<(), InitError> {
        let registers = &self.registers;
        let index = queue.index();
        registers.write32(register::QUEUE_SEL, index.0.into());
        if registers.read32(register::QUEUE_READY) != 0 {
            return Err(InitError::NoQueue { queue: index });
        }
        registers.write32(register::QUEUE_NUM, queue.size().get().into());
        let at = queue.addresses();
        for (offset, address) in [
            (register::QUEUE_DESC, at.descriptors),
            (register::QUEUE_DRIVER, at.driver),
            (register::QUEUE_DEVICE, at.device),
        ] {
            registers.write32(offset, address.0 as u32);
            registers.write32(offset + 4, (address.0 >> 32) as u32);
        }
        registers.write32(register::QUEUE_READY, 1);
        Ok(())
    }

    /// Tells the device to look at a queue: one 32-bit write (section 4.2.3.3).
    pub fn notify(&self, queue: QueueIndex) {
        self.registers
            .write32(register::QUEUE_NOTIFY, queue.0.into());
    }

    /// Reads why the device interrupted and acknowledges just that. Do this *before* looking at the
    /// rings: what comes after it interrupts again.
    pub fn acknowledge(&self) -> Interrupt {
        let bits = self.registers.read32(register::INTERRUPT_STATUS);
        if bits != 0 {
            self.registers.write32(register::INTERRUPT_ACK, bits);
        }
        Interrupt(bits)
    }

    /// Acknowledges used buffers without asking: half the cost of [`acknowledge`](Self::acknowledge),
    /// for a driver that does not care for configuration changes.
    pub fn acknowledge_used(&self) {
        let all = interrupt::USED_BUFFER | interrupt::CONFIGURATION;
        self.registers.write32(register::INTERRUPT_ACK, all);
    }

    /// Whether the device asks for a reset (section 2.1.1); it tells so by a configuration change.
    pub fn needs_reset(&self) -> bool {
        self.registers.read32(register::STATUS) & status::NEEDS_RESET != 0
    }

    /// Reads from the configuration space, again if it changed meanwhile (section 2.5.3).
    ///
    /// # Errors
    /// [`InitError::ConfigUnstable`] if it never holds still.
    pub fn read_config<C>(&self, read: impl Fn(Config<'_, R>) -> C) -> Result<C, InitError> {
        let mut before = self.registers.read32(register::CONFIG_GENERATION);
        for _ in 0..CONFIG_ATTEMPTS {
            let config = read(Config::new(&self.registers));
            let after = self.registers.read32(register::CONFIG_GENERATION);
            if before == after {
                return Ok(config);
            }
            before = after;
        }
        Err(InitError::ConfigUnstable)
    }

    fn add_status(&mut self, bit: u32) {
        self.status |= bit;
        self.registers.write32(register::STATUS, self.status);
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
