//! What can go wrong between driver and device.

use crate::Features;
use crate::queue::{QueueIndex, RingError};
use thiserror::Error;

/// Why a register window is not driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// Section 4.2.2: the magic value is missing.
    #[error("no virtio-mmio device: magic is {magic:#x} instead of 0x74726976 (wrong address?)")]
    NotVirtio {
        /// What the register reads.
        magic: u32,
    },
    /// Section 4.2.4.
    #[error(
        "legacy virtio-mmio device (version 1): configure a modern one (QEMU: -global virtio-mmio.force-legacy=false)"
    )]
    Legacy,
    /// Another version.
    #[error("virtio-mmio version {version} is not supported, only 2")]
    Version {
        /// What the register reads.
        version: u32,
    },
    /// Device type 0: the window is there, but nothing is plugged in.
    #[error("no device is attached to this virtio-mmio window")]
    Absent,
}

/// Why a device could not be brought up. It has been given up (status FAILED) then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InitError {
    /// Not the type of device that this driver drives.
    #[error("virtio device has type {found}, this driver needs type {expected}")]
    WrongDevice {
        /// The driver's type.
        expected: u32,
        /// The device's type.
        found: u32,
    },
    /// The status register does not become 0.
    #[error("virtio device does not finish its reset")]
    ResetTimeout,
    /// The device does not offer what the driver cannot do without.
    #[error("virtio device lacks required features {missing}")]
    MissingFeatures {
        /// The bits that are not offered.
        missing: Features,
    },
    /// FEATURES_OK did not stay set.
    #[error("virtio device refuses the feature set {features}")]
    FeaturesRefused {
        /// What the driver had chosen.
        features: Features,
    },
    /// The queue does not exist or is in use.
    #[error("virtio device has no free queue {queue}")]
    NoQueue {
        /// Its index.
        queue: QueueIndex,
    },
    /// Section 4.1.4.4.1: a queue is notified outside of the notification structure.
    #[error("virtio device places the notification of queue {queue} outside of its own structure")]
    NotificationOutside {
        /// Its index.
        queue: QueueIndex,
    },
    /// Section 4.1.5.1.2: the device cannot give an event an interrupt.
    #[error("virtio device has no message-signalled interrupt left: give it an MSI-X vector")]
    NoVector,
    /// The memory given for rings and slots is too small.
    #[error("device memory too small: {needed} more bytes are needed, {left} are left")]
    OutOfMemory {
        /// Bytes of the piece that did not fit.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// The configuration space kept changing while it was read.
    #[error("virtio device's configuration never holds still")]
    ConfigUnstable,
    /// The configuration space contradicts the specification.
    #[error("virtio device's configuration field `{field}` has the invalid value {value}")]
    ConfigInvalid {
        /// The specification's name of the field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A driver bug: the ring was asked for something impossible.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// How a device broke the rules of the ring; it must be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DeviceFault {
    /// The used index ran past what is in flight.
    #[error(
        "virtio device claims {claimed} completions on queue {queue}, {in_flight} are in flight"
    )]
    UsedIndex {
        /// The queue.
        queue: QueueIndex,
        /// New used elements, by the device's index.
        claimed: u16,
        /// Chains that the device has.
        in_flight: u16,
    },
    /// A used element names no chain that the device has.
    #[error("virtio device returns descriptor {id} on queue {queue}, which it does not have")]
    UsedId {
        /// The queue.
        queue: QueueIndex,
        /// The element's id.
        id: u32,
    },
    /// A used element claims more bytes than the chain could take.
    #[error("virtio device claims {length} bytes on queue {queue}, the buffer takes {writable}")]
    UsedLength {
        /// The queue.
        queue: QueueIndex,
        /// Bytes claimed.
        length: u32,
        /// Bytes that are writable.
        writable: u32,
    },
}
