//! virtio drivers for servers in user space: split rings, the mmio and PCI transports, and the device
//! types that Ferrix uses, to the virtio 1.2 specification ("section 2.7" and the like point into it).
//!
//! ```text
//!   blk::Disk   console::Console   rng::Entropy      one type a device, event-driven, never blocking
//!        \            |               /
//!    queue::Queue<T>     transport::Transport        rings (section 2.7) | life of a device (section 3)
//!             |                   |
//!             |          bus::{Mmio, Pci}            how it is reached (sections 4.2 and 4.1)
//!             |                   |
//!      dma::DmaMemory      registers::Registers      memory | windows shared with the device
//! ```
//!
//! The device is not trusted with the driver's own state: everything it writes is read once, by
//! volatile or atomic access, and checked against what the driver remembers in private memory. A
//! device that breaks a rule yields a [`DeviceFault`], after which the queue stands still until it is
//! reset. (Memory that is *given* to a device is at its mercy; only an IOMMU changes that.)
//!
//! Everything here is arch-free and runs in the host's tests, against the `virtio-queue` crate as the
//! device. Unsafe code lives in [`dma`] and [`mmio`] only.

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod blk;
pub mod bus;
pub mod console;
#[expect(unsafe_code, reason = "memory that a device reads and writes")]
pub mod dma;
mod error;
mod features;
#[expect(unsafe_code, reason = "device registers")]
pub mod mmio;
pub mod queue;
pub mod registers;
pub mod rng;
pub mod spec;
pub mod transport;

#[cfg(test)]
#[expect(
    unsafe_code,
    reason = "memory shared with the device that a test plays"
)]
mod testing;

pub use bus::{Bus, Mmio, Pci};
pub use dma::{DmaMemory, PhysAddr, PhysRange, Segment};
pub use error::{DeviceFault, InitError, ProbeError};
pub use features::Features;
pub use mmio::MmioWindow;
pub use queue::Queue;
pub use registers::Registers;
pub use transport::Transport;
