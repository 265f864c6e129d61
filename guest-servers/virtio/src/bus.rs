//! How a device is reached: what the two transports of the specification have in common.
//!
//! | module | transport |
//! |---|---|
//! | [`mmio`] | registers at an address that the machine announces (section 4.2) |
//! | [`pci`] | structures in the memory of a PCI function (section 4.1) |
//!
//! [`Transport`](crate::Transport), which is the life of a device, works over either.

use crate::error::InitError;
use crate::features::Features;
use crate::queue::{QueueAddresses, QueueIndex, QueueSize};
use crate::spec::interrupt;
use core::fmt;

pub mod mmio;
pub mod pci;

pub use mmio::Mmio;
pub use pci::{Pci, Structures};

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

/// A device behind one of the transports.
pub trait Bus: fmt::Debug {
    /// The type of the device; see [`spec::device`](crate::spec::device).
    fn device(&self) -> u32;

    /// Reads the status; see [`spec::status`](crate::spec::status).
    fn status(&self) -> u32;

    /// Writes the status; 0 resets the device.
    fn set_status(&mut self, status: u32);

    /// The features that the device offers.
    fn offered_features(&self) -> Features;

    /// Tells the device which of them are used.
    fn accept_features(&mut self, features: Features);

    /// Asks for interrupts; called after every reset, before any queue is enabled.
    ///
    /// # Errors
    /// [`InitError::NoVector`].
    fn route_interrupts(&mut self) -> Result<(), InitError>;

    /// Most descriptors of a queue; 0: there is no such queue.
    fn queue_limit(&self, queue: QueueIndex) -> u16;

    /// Tells the device where a queue is, and to use it from now on.
    ///
    /// # Errors
    /// [`InitError::NoQueue`] if the device uses one of this index already, [`InitError::NoVector`].
    fn enable_queue(
        &mut self,
        queue: QueueIndex,
        size: QueueSize,
        at: QueueAddresses,
    ) -> Result<(), InitError>;

    /// Tells the device to look at a queue.
    fn notify(&self, queue: QueueIndex);

    /// Reads why the device interrupted and acknowledges just that.
    fn acknowledge(&self) -> Interrupt;

    /// Acknowledges used buffers without asking.
    fn acknowledge_used(&self);

    /// Changes whenever the device's own configuration may have changed.
    fn config_generation(&self) -> u32;

    /// A 32-bit field of the device's own configuration; 0 beyond its end.
    fn config32(&self, offset: usize) -> u32;

    /// A 16-bit field.
    fn config16(&self, offset: usize) -> u16;

    /// An 8-bit field.
    fn config8(&self, offset: usize) -> u8;
}
