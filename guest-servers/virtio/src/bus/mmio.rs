//! The mmio transport, version 2 (section 4.2).

use super::{Bus, Interrupt};
use crate::error::{InitError, ProbeError};
use crate::features::Features;
use crate::queue::{QueueAddresses, QueueIndex, QueueSize};
use crate::registers::Registers;
use crate::spec::{self, interrupt, register};

/// Bytes that any device window has at least: registers and 256 bytes of configuration space (QEMU's
/// `microvm` has exactly this, Ferrix's monitor a page).
pub const MIN_WINDOW_BYTES: usize = 0x200;

/// A device behind a register window.
#[derive(Debug)]
pub struct Mmio<R> {
    registers: R,
    device: u32,
}

impl<R: Registers> Mmio<R> {
    /// Finds out whether there is a device that can be driven (section 4.2.3.1.1). Only reads.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn probe(registers: R) -> Result<Mmio<R>, ProbeError> {
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
            device => Ok(Mmio { registers, device }),
        }
    }
}

impl<R: Registers> Bus for Mmio<R> {
    fn device(&self) -> u32 {
        self.device
    }

    fn status(&self) -> u32 {
        self.registers.read32(register::STATUS)
    }

    fn set_status(&mut self, status: u32) {
        self.registers.write32(register::STATUS, status);
    }

    fn offered_features(&self) -> Features {
        let half = |select| {
            self.registers
                .write32(register::DEVICE_FEATURES_SEL, select);
            u64::from(self.registers.read32(register::DEVICE_FEATURES))
        };
        Features::from_bits(half(0) | half(1) << 32)
    }

    fn accept_features(&mut self, features: Features) {
        let bits = features.bits();
        for (select, half) in [(0, bits as u32), (1, (bits >> 32) as u32)] {
            self.registers
                .write32(register::DRIVER_FEATURES_SEL, select);
            self.registers.write32(register::DRIVER_FEATURES, half);
        }
    }

    /// The one line that the device has needs no asking.
    fn route_interrupts(&mut self) -> Result<(), InitError> {
        Ok(())
    }

    fn queue_limit(&self, queue: QueueIndex) -> u16 {
        self.registers.write32(register::QUEUE_SEL, queue.0.into());
        let limit = self.registers.read32(register::QUEUE_NUM_MAX);
        u16::try_from(limit).unwrap_or(u16::MAX)
    }

    /// Section 4.2.3.2.
    fn enable_queue(
        &mut self,
        queue: QueueIndex,
        size: QueueSize,
        at: QueueAddresses,
    ) -> Result<(), InitError> {
        let registers = &self.registers;
        registers.write32(register::QUEUE_SEL, queue.0.into());
        if registers.read32(register::QUEUE_READY) != 0 {
            return Err(InitError::NoQueue { queue });
        }
        registers.write32(register::QUEUE_NUM, size.get().into());
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

    /// One 32-bit write (section 4.2.3.3).
    fn notify(&self, queue: QueueIndex) {
        self.registers
            .write32(register::QUEUE_NOTIFY, queue.0.into());
    }

    fn acknowledge(&self) -> Interrupt {
        let bits = self.registers.read32(register::INTERRUPT_STATUS);
        if bits != 0 {
            self.registers.write32(register::INTERRUPT_ACK, bits);
        }
        Interrupt(bits)
    }

    fn acknowledge_used(&self) {
        let all = interrupt::USED_BUFFER | interrupt::CONFIGURATION;
        self.registers.write32(register::INTERRUPT_ACK, all);
    }

    fn config_generation(&self) -> u32 {
        self.registers.read32(register::CONFIG_GENERATION)
    }

    fn config32(&self, offset: usize) -> u32 {
        self.registers.read32(register::CONFIG + offset)
    }

    fn config16(&self, offset: usize) -> u16 {
        self.registers.read16(register::CONFIG + offset)
    }

    fn config8(&self, offset: usize) -> u8 {
        self.registers.read8(register::CONFIG + offset)
    }
}
