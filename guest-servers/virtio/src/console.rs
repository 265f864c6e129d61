//! The console (section 5.3), port 0 only.
//!
//! Input comes into buffers that are posted from the start; output is copied into slots, so that the
//! caller's memory is free at once. Nothing waits: [`receive`](Console::receive) delivers what has
//! come, [`transmit`](Console::transmit) takes what fits.

use crate::bus::Interrupt;
use crate::dma::DmaMemory;
use crate::error::{DeviceFault, InitError};
use crate::features::Features;
use crate::queue::{Buffer, Notify, Queue, QueueIndex, QueueSize, UsedRing};
use crate::spec::{console as spec, device, feature};
use crate::transport::{QueueRequest, Transport, Wanted, take};
use slab::{SLOT_BYTES, Slab, Slot};

mod slab;

/// Buffers posted for input.
const RECEIVE_SLOTS: u16 = 16;
/// Buffers for output under way.
const TRANSMIT_SLOTS: u16 = 32;

/// Size of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// A running console.
#[derive(Debug)]
pub struct Console {
    transport: Transport,
    features: Features,
    receive: Queue<Slot>,
    input: Slab,
    transmit: Queue<Slot>,
    output: Slab,
}

impl Console {
    /// Bytes of device memory that [`start`](Self::start) needs.
    pub const MEMORY_BYTES: usize = request(spec::RECEIVE_QUEUE, RECEIVE_SLOTS).bytes()
        + request(spec::TRANSMIT_QUEUE, TRANSMIT_SLOTS).bytes()
        + Slab::bytes(RECEIVE_SLOTS)
        + Slab::bytes(TRANSMIT_SLOTS);

    /// Brings the device up, ready for input. `memory` holds at least
    /// [`MEMORY_BYTES`](Self::MEMORY_BYTES).
    ///
    /// # Errors
    /// See [`InitError`].
    pub fn start(mut transport: Transport, mut memory: DmaMemory) -> Result<Console, InitError> {
        transport.expect_device(device::CONSOLE)?;
        let optional = feature::EVENT_IDX | spec::feature::SIZE;
        let wanted = Wanted {
            required: Features::NONE,
            optional,
        };
        let input = take(&mut memory, Slab::bytes(RECEIVE_SLOTS), 1)?;
        let output = take(&mut memory, Slab::bytes(TRANSMIT_SLOTS), 1)?;
        let (features, receive, transmit) =
            transport.initialise(wanted, |transport, features| {
                let receive = request(spec::RECEIVE_QUEUE, RECEIVE_SLOTS);
                let transmit = request(spec::TRANSMIT_QUEUE, TRANSMIT_SLOTS);
                let receive = transport.create_queue(receive, features, &mut memory)?;
                let transmit = transport.create_queue(transmit, features, &mut memory)?;
                Ok((features, receive, transmit))
            })?;
        let input = Slab::new(receive.size().get(), input);
        let output = Slab::new(transmit.size().get(), output);
        let mut console = Console {
            transport,
            features,
            receive,
            input,
            transmit,
            output,
        };
        console.post_all();
        Ok(console)
    }

    /// Acknowledges the device's interrupt; call it before the functions below. After a change of
    /// configuration ask for the [`window_size`](Self::window_size) again.
    pub fn acknowledge(&self) -> Interrupt {
        self.transport.acknowledge()
    }

    /// Delivers all input that has come, in pieces (an empty one says that there will be no more:
    /// `ferrix_machine::console`); returns its bytes. Then the next input is sure to
    /// interrupt.
    ///
    /// # Errors
    /// If the device broke the rules of the ring: [`reset_and_recover`](Self::reset_and_recover).
    pub fn receive(&mut self, mut deliver: impl FnMut(&[u8])) -> Result<usize, DeviceFault> {
        let mut total = 0;
        loop {
            while let Some(used) = self.receive.pop()? {
                let mut bytes = [0; SLOT_BYTES];
                let piece = &mut bytes[..used.written as usize];
                self.input.read(used.token, piece);
                deliver(piece);
                total += piece.len();
                self.post(used.token);
            }
            kick(&mut self.receive, &self.transport);
            if self.receive.enable_interrupts() == UsedRing::Empty {
                return Ok(total);
            }
        }
    }

    /// Copies output to be transmitted; returns the bytes accepted. If those are not all, an interrupt
    /// comes when there is room again.
    ///
    /// # Errors
    /// If the device broke the rules of the ring: [`reset_and_recover`](Self::reset_and_recover).
    pub fn transmit(&mut self, output: &[u8]) -> Result<usize, DeviceFault> {
        self.reclaim()?;
        let mut accepted = self.enqueue(output);
        while accepted < output.len() && self.transmit.enable_interrupts() == UsedRing::Pending {
            self.reclaim()?;
            accepted += self.enqueue(&output[accepted..]);
        }
        if accepted == output.len() {
            self.transmit.disable_interrupts();
        }
        Ok(accepted)
    }

    /// Whether all output has left.
    ///
    /// # Errors
    /// As for [`transmit`](Self::transmit).
    pub fn is_drained(&mut self) -> Result<bool, DeviceFault> {
        self.reclaim()?;
        Ok(self.transmit.outstanding() == 0)
    }

    /// The terminal's size, if the device tells it.
    ///
    /// # Errors
    /// [`InitError::ConfigUnstable`].
    pub fn window_size(&self) -> Result<Option<WindowSize>, InitError> {
        if !self.features.contains(spec::feature::SIZE) {
            return Ok(None);
        }
        let size = self.transport.read_config(|config| WindowSize {
            columns: config.u16(spec::config::COLUMNS),
            rows: config.u16(spec::config::ROWS),
        })?;
        Ok((size.columns > 0 && size.rows > 0).then_some(size))
    }

    /// Resets the device, which drops the output under way, and brings it up again as it was.
    ///
    /// # Errors
    /// See [`InitError`]: the console is lost then.
    pub fn reset_and_recover(&mut self) -> Result<(), InitError> {
        self.transport.reset()?;
        self.receive
            .reset()
            .into_iter()
            .for_each(|slot| self.input.give_back(slot));
        self.transmit
            .reset()
            .into_iter()
            .for_each(|slot| self.output.give_back(slot));
        let Console {
            transport,
            receive,
            transmit,
            ..
        } = self;
        let wanted = Wanted {
            required: self.features,
            optional: Features::NONE,
        };
        transport.initialise(wanted, |transport, _| {
            transport.enable_queue(receive)?;
            transport.enable_queue(transmit)
        })?;
        self.post_all();
        Ok(())
    }

    /// Posts all buffers for input; output does not interrupt at first.
    fn post_all(&mut self) {
        self.transmit.disable_interrupts();
        while let Some(slot) = self.input.take() {
            self.post(slot);
        }
        kick(&mut self.receive, &self.transport);
    }

    fn post(&mut self, slot: Slot) {
        let buffer = Buffer::writable(self.input.segment(slot, SLOT_BYTES));
        let posted = self.receive.add(&[buffer], slot);
        debug_assert!(posted.is_ok(), "there is a descriptor for every slot");
    }

    fn enqueue(&mut self, output: &[u8]) -> usize {
        let mut accepted = 0;
        for piece in output.chunks(SLOT_BYTES) {
            let Some(slot) = self.output.take() else {
                break;
            };
            let segment = self.output.write(slot, piece);
            let added = self.transmit.add(&[Buffer::readable(segment)], slot);
            debug_assert!(added.is_ok(), "there is a descriptor for every slot");
            accepted += piece.len();
        }
        kick(&mut self.transmit, &self.transport);
        accepted
    }

    fn reclaim(&mut self) -> Result<(), DeviceFault> {
        while let Some(used) = self.transmit.pop()? {
            self.output.give_back(used.token);
        }
        Ok(())
    }
}

const fn request(index: u16, slots: u16) -> QueueRequest {
    QueueRequest {
        index: QueueIndex(index),
        size: QueueSize::at_most(slots),
        indirect: 0,
    }
}

fn kick<T>(queue: &mut Queue<T>, transport: &Transport) {
    if queue.publish() == Notify::Needed {
        transport.notify(queue.index());
    }
}

#[cfg(test)]
mod tests;
