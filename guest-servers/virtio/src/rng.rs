//! The entropy source (section 5.4).

use crate::dma::DmaMemory;
use crate::error::{DeviceFault, InitError};
use crate::features::Features;
use crate::queue::{Buffer, Notify, Queue, QueueIndex, QueueSize, UsedRing};
use crate::spec::{device, feature, rng as spec};
use crate::transport::{QueueRequest, Transport, Wanted, take};

/// Bytes asked for at a time.
const BUFFER_BYTES: usize = 64;
const ALIGNMENT: usize = 64;
const QUEUE: QueueRequest = QueueRequest {
    index: QueueIndex(spec::REQUEST_QUEUE),
    size: QueueSize::at_most(1),
    indirect: 0,
};

/// A running entropy source.
#[derive(Debug)]
pub struct Entropy {
    transport: Transport,
    queue: Queue<()>,
    buffer: DmaMemory,
}

impl Entropy {
    /// Bytes of device memory that [`start`](Self::start) needs.
    pub const MEMORY_BYTES: usize = QUEUE.bytes() + BUFFER_BYTES + ALIGNMENT;

    /// Brings the device up. `memory` holds at least [`MEMORY_BYTES`](Self::MEMORY_BYTES).
    ///
    /// # Errors
    /// See [`InitError`].
    pub fn start(mut transport: Transport, mut memory: DmaMemory) -> Result<Entropy, InitError> {
        transport.expect_device(device::ENTROPY)?;
        let buffer = take(&mut memory, BUFFER_BYTES, ALIGNMENT)?;
        let wanted = Wanted {
            required: Features::NONE,
            optional: feature::EVENT_IDX,
        };
        let queue = transport.initialise(wanted, |transport, features| {
            transport.create_queue(QUEUE, features, &mut memory)
        })?;
        Ok(Entropy {
            transport,
            queue,
            buffer,
        })
    }

    /// Fills `into` with random bytes; `wait` returns after the device's next interrupt (or earlier).
    ///
    /// # Errors
    /// If the device broke the rules of the ring; do not use it further.
    pub fn fill(&mut self, into: &mut [u8], mut wait: impl FnMut()) -> Result<(), DeviceFault> {
        let mut filled = 0;
        while filled < into.len() {
            self.request();
            match self.collect(&mut into[filled..])? {
                Some(bytes) => filled += bytes,
                None => {
                    wait();
                    self.transport.acknowledge_used();
                }
            }
        }
        Ok(())
    }

    /// Asks for bytes, unless it was asked already.
    fn request(&mut self) {
        let buffer = Buffer::writable(self.buffer.segment(0, BUFFER_BYTES as u32));
        if self.queue.fits(1) && self.queue.add(&[buffer], ()).is_ok() {
            let notify = self.queue.publish();
            if notify == Notify::Needed {
                self.transport.notify(self.queue.index());
            }
        }
    }

    /// Takes the bytes that came; `None` if none have, and then an interrupt will tell.
    fn collect(&mut self, into: &mut [u8]) -> Result<Option<usize>, DeviceFault> {
        loop {
            if let Some(used) = self.queue.pop()? {
                let bytes = into.len().min(used.written as usize);
                self.buffer.copy_out(0, &mut into[..bytes]);
                self.buffer.zero();
                return Ok(Some(bytes));
            }
            if self.queue.enable_interrupts() == UsedRing::Empty {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
