//! The PCI transport, modern interface (section 4.1), with one message-signalled interrupt (MSI-X
//! vector 0) for the queues and the configuration.
//!
//! Where the structures lie is found out by whoever enumerates the bus; here they are register windows.

use super::{Bus, Interrupt};
use crate::error::InitError;
use crate::features::Features;
use crate::queue::{QueueAddresses, QueueIndex, QueueSize};
use crate::registers::Registers;
use crate::spec::{interrupt, pci::NO_VECTOR, pci::common};
use alloc::vec::Vec;

/// The MSI-X vector for everything.
const VECTOR: u16 = 0;

/// The structures of a device (section 4.1.4).
#[derive(Debug)]
pub struct Structures<R> {
    /// Common configuration.
    pub common: R,
    /// Notification area.
    pub notify: R,
    /// Bytes of the notification area.
    pub notify_bytes: usize,
    /// Bytes per unit of a queue's notification offset.
    pub notify_multiplier: u32,
    /// Interrupt status.
    pub isr: R,
    /// The device type's own configuration, if it has one.
    pub config: Option<R>,
    /// Its bytes.
    pub config_bytes: usize,
}

/// A device behind PCI.
#[derive(Debug)]
pub struct Pci<R> {
    device: u32,
    structures: Structures<R>,
    /// Where each queue is notified, in bytes from the start of the notification area; by index.
    notify_at: Vec<usize>,
}

impl<R: Registers> Pci<R> {
    /// A device of this type (which its function's identification tells).
    pub fn new(device: u32, structures: Structures<R>) -> Pci<R> {
        let notify_at = Vec::new();
        Pci {
            device,
            structures,
            notify_at,
        }
    }

    fn common(&self) -> &R {
        &self.structures.common
    }

    /// Where the selected queue is notified (section 4.1.4.4.1); `None` outside of the area.
    fn notification(&self) -> Option<usize> {
        let unit = self.common().read16(common::QUEUE_NOTIFY_OFF);
        let multiplier = self.structures.notify_multiplier as usize;
        let at = usize::from(unit).checked_mul(multiplier)?;
        let fits = at.checked_add(2)? <= self.structures.notify_bytes;
        (fits && at.is_multiple_of(2)).then_some(at)
    }

    fn remember_notification(&mut self, queue: QueueIndex) -> Result<(), InitError> {
        let at = self
            .notification()
            .ok_or(InitError::NotificationOutside { queue })?;
        let index = usize::from(queue.0);
        if self.notify_at.len() <= index {
            self.notify_at.resize(index + 1, at);
        }
        self.notify_at[index] = at;
        Ok(())
    }

    /// Writes a vector and reads it back: the device says so if it cannot have it (section 4.1.5.1.2).
    fn set_vector(&self, register: usize) -> Result<(), InitError> {
        self.common().write16(register, VECTOR);
        match self.common().read16(register) {
            NO_VECTOR => Err(InitError::NoVector),
            _ => Ok(()),
        }
    }

    /// The configuration, if the field is inside.
    fn field(&self, offset: usize, bytes: usize) -> Option<&R> {
        let fits = offset.checked_add(bytes)? <= self.structures.config_bytes;
        self.structures.config.as_ref().filter(|_| fits)
    }
}

impl<R: Registers> Bus for Pci<R> {
    fn device(&self) -> u32 {
        self.device
    }

    fn status(&self) -> u32 {
        self.common().read8(common::DEVICE_STATUS).into()
    }

    fn set_status(&mut self, status: u32) {
        self.common().write8(common::DEVICE_STATUS, status as u8);
    }

    fn offered_features(&self) -> Features {
        let half = |select| {
            self.common().write32(common::DEVICE_FEATURE_SELECT, select);
            u64::from(self.common().read32(common::DEVICE_FEATURE))
        };
        Features::from_bits(half(0) | half(1) << 32)
    }

    fn accept_features(&mut self, features: Features) {
        let bits = features.bits();
        for (select, half) in [(0, bits as u32), (1, (bits >> 32) as u32)] {
            self.common().write32(common::DRIVER_FEATURE_SELECT, select);
            self.common().write32(common::DRIVER_FEATURE, half);
        }
    }

    fn route_interrupts(&mut self) -> Result<(), InitError> {
        self.set_vector(common::CONFIG_MSIX_VECTOR)
    }

    fn queue_limit(&self, queue: QueueIndex) -> u16 {
        if queue.0 >= self.common().read16(common::NUM_QUEUES) {
            return 0;
        }
        self.common().write16(common::QUEUE_SELECT, queue.0);
        self.common().read16(common::QUEUE_SIZE)
    }

    /// Section 4.1.5.1.3.
    fn enable_queue(
        &mut self,
        queue: QueueIndex,
        size: QueueSize,
        at: QueueAddresses,
    ) -> Result<(), InitError> {
        self.common().write16(common::QUEUE_SELECT, queue.0);
        if self.common().read16(common::QUEUE_ENABLE) != 0 {
            return Err(InitError::NoQueue { queue });
        }
        self.remember_notification(queue)?;
        self.common().write16(common::QUEUE_SIZE, size.get());
        self.set_vector(common::QUEUE_MSIX_VECTOR)?;
        for (offset, address) in [
            (common::QUEUE_DESC, at.descriptors),
            (common::QUEUE_DRIVER, at.driver),
            (common::QUEUE_DEVICE, at.device),
        ] {
            self.common().write32(offset, address.0 as u32);
            self.common().write32(offset + 4, (address.0 >> 32) as u32);
        }
        self.common().write16(common::QUEUE_ENABLE, 1);
        Ok(())
    }

    /// One 16-bit write (section 4.1.5.2).
    fn notify(&self, queue: QueueIndex) {
        if let Some(&at) = self.notify_at.get(usize::from(queue.0)) {
            self.structures.notify.write16(at, queue.0);
        }
    }

    /// The vector is shared, so that it may always be for the queues; reading the interrupt status, which
    /// clears it, tells of a change of configuration (section 4.1.4.5).
    fn acknowledge(&self) -> Interrupt {
        Interrupt(u32::from(self.structures.isr.read8(0)) | interrupt::USED_BUFFER)
    }

    /// A message needs no acknowledgement.
    fn acknowledge_used(&self) {}

    fn config_generation(&self) -> u32 {
        self.common().read8(common::CONFIG_GENERATION).into()
    }

    fn config32(&self, offset: usize) -> u32 {
        self.field(offset, 4)
            .map_or(0, |field| field.read32(offset))
    }

    fn config16(&self, offset: usize) -> u16 {
        self.field(offset, 2)
            .map_or(0, |field| field.read16(offset))
    }

    fn config8(&self, offset: usize) -> u8 {
        self.field(offset, 1).map_or(0, |field| field.read8(offset))
    }
}

#[cfg(test)]
mod tests;
