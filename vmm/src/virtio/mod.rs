//! virtio 1.2: the mmio transport and the devices behind it.
//!
//! A device is a front, owned by its [`mmio::Transport`] and driven by register accesses of the
//! vCPUs, and a back, which works on the rings: a thread per disk, the event loop for the console.
//! [`VirtioDevice`] is the border between transport and front; [`Interrupt`] is the way back to the
//! guest. Neither knows KVM, so all of it runs in unit tests.

pub mod blk;
pub mod console;
mod interrupt;
pub mod mmio;
pub mod ring;
pub mod rng;
mod segments;
mod slot;
/// The bytes of a configuration space: a structure of the specification, little-endian, zero but for these fields.
macro_rules! config_space {
    ($structure:ty { $($field:ident: $value:expr,)* }) => {{
        let mut space = [0; size_of::<$structure>()];
        $(
            let (at, bytes) = (std::mem::offset_of!($structure, $field), $value.to_le_bytes());
            space[at..at + bytes.len()].copy_from_slice(&bytes);
        )*
        space
    }};
}
pub(crate) use config_space;

#[cfg(test)]
mod testing;

pub use interrupt::{Interrupt, Line};
pub use segments::{Buffers, Segment, Segments};
pub use slot::Slot;
use virtio_queue::Queue;

/// A front: what a device offers, and what it does with queues that are set up.
pub trait VirtioDevice: Send {
    /// Device ID (specification, section 5).
    fn id(&self) -> u32;

    /// Feature bits of this device type; the transport adds those of every device.
    fn features(&self) -> u64 {
        0
    }

    /// The largest size of each queue.
    fn queue_sizes(&self) -> &[u16];

    /// Fills `data` from the configuration space; what is beyond its end reads as zero.
    fn read_config(&self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    /// The driver is ready: queues that it left unused are not ready.
    fn activate(&mut self, activation: Activation);

    /// Gives up the queues. When this returns, the device touches guest RAM no more.
    fn reset(&mut self);
}

/// What the driver has set up.
#[derive(Debug)]
pub struct Activation {
    /// Negotiated feature bits.
    pub features: u64,
    /// The queues, validated and with the negotiated ring features set.
    pub queues: Vec<Queue>,
}

impl Activation {
    /// Whether this feature bit number was negotiated.
    pub fn has(&self, bit: u32) -> bool {
        self.features >> bit & 1 != 0
    }
}

/// Copies the part of a configuration space that a read asks for.
pub fn read_from(space: &[u8], offset: u64, data: &mut [u8]) {
    for (index, byte) in data.iter_mut().enumerate() {
        let at = offset.saturating_add(index as u64);
        *byte = space.get(at as usize).copied().unwrap_or(0);
    }
}
