//! The block device (section 5.2): many requests in flight, no waiting.
//!
//! A server submits requests with tokens of its own, [`kick`](Disk::kick)s once for the lot, and on
//! an interrupt takes completions until there is none. Data moves between the device and the
//! [`Segment`]s of the requests; nothing is copied here.

use crate::dma::{DmaMemory, Segment};
use crate::error::{DeviceFault, InitError};
use crate::features::Features;
use crate::queue::{Buffer, Notify, Queue, QueueIndex, QueueSize, RingError, UsedRing};
use crate::spec::{blk as spec, device, feature};
use crate::transport::{QueueRequest, Transport, Wanted, take};
use alloc::vec::Vec;
use slots::{Slot, Slots};

mod geometry;
mod request;
mod slots;

pub use geometry::{Geometry, RangeLimits, Topology};
pub use request::{BlkError, Identity, Outcome, Request, SubmitError, Unmap};

/// What this driver understands of the device.
const OPTIONAL: Features = feature::INDIRECT_DESC
    .union(feature::EVENT_IDX)
    .union(spec::feature::SIZE_MAX)
    .union(spec::feature::SEG_MAX)
    .union(spec::feature::RO)
    .union(spec::feature::BLK_SIZE)
    .union(spec::feature::FLUSH)
    .union(spec::feature::TOPOLOGY)
    .union(spec::feature::DISCARD)
    .union(spec::feature::WRITE_ZEROES);

/// Buffers of a request besides its data: header and status.
const FRAME_BUFFERS: usize = 2;

/// How many requests of what size to provide for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// Requests in flight (rounded down to a power of two; the device may allow fewer, and fewer fit
    /// if it has no indirect descriptors).
    pub depth: u16,
    /// Data segments of one request; the device may allow fewer.
    pub segments: u16,
}

impl DiskOptions {
    /// Bytes of device memory that [`Disk::start`] needs.
    pub const fn memory_bytes(&self) -> usize {
        self.queue().bytes() + Slots::bytes(self.depth)
    }

    const fn queue(&self) -> QueueRequest {
        QueueRequest {
            index: QueueIndex(spec::REQUEST_QUEUE),
            size: QueueSize::at_most(self.depth),
            indirect: self.segments.saturating_add(2),
        }
    }
}

/// A request in flight.
#[derive(Debug)]
struct InFlight<T> {
    slot: Slot,
    kind: u32,
    bytes: u64,
    token: T,
}

/// A running block device; `T` is the server's token for a request.
#[derive(Debug)]
pub struct Disk<T> {
    transport: Transport,
    queue: Queue<InFlight<T>>,
    slots: Slots,
    features: Features,
    geometry: Geometry,
    /// Most segments that the server wants.
    segments: usize,
    /// The chain under construction; kept so that submitting does not allocate.
    chain: Vec<Buffer>,
}

impl<T> Disk<T> {
    /// Brings the device up. `memory` holds at least [`DiskOptions::memory_bytes`].
    ///
    /// # Errors
    /// See [`InitError`].
    pub fn start(
        mut transport: Transport,
        options: DiskOptions,
        mut memory: DmaMemory,
    ) -> Result<Disk<T>, InitError> {
        transport.expect_device(device::BLOCK)?;
        let slots = take(&mut memory, Slots::bytes(options.depth), 1)?;
        let wanted = Wanted {
            required: Features::NONE,
            optional: OPTIONAL,
        };
        let (queue, geometry, features) = transport.initialise(wanted, |transport, features| {
            let queue = transport.create_queue(options.queue(), features, &mut memory)?;
            check_ring(&queue)?;
            Ok((queue, Geometry::read(transport, features)?, features))
        })?;
        let slots = Slots::new(queue.size().get(), slots);
        let segments = usize::from(options.segments);
        let chain = Vec::with_capacity(segments + FRAME_BUFFERS);
        Ok(Disk {
            transport,
            queue,
            slots,
            features,
            geometry,
            segments,
            chain,
        })
    }

    /// Size, block sizes and limits.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// What was negotiated.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Most data segments that a request can have.
    pub fn max_segments(&self) -> usize {
        let ring = usize::from(self.queue.max_chain()) - FRAME_BUFFERS;
        let device = self.geometry.max_segments as usize;
        self.segments.min(ring).min(device)
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u16 {
        self.queue.outstanding()
    }

    /// Adds a request; the device sees it after [`kick`](Self::kick).
    ///
    /// # Errors
    /// [`SubmitError::Full`]: try again after a completion. All others: the request can never work.
    pub fn submit(&mut self, request: Request<'_>, token: T) -> Result<(), SubmitError> {
        let most = self.max_segments();
        request.check(&self.geometry, self.features, most)?;
        let slot = self.slots.take().ok_or(SubmitError::Full)?;
        let frame = self.slots.fill(slot, &request);
        let data = request.segments(&frame.data);
        let bytes = data.iter().map(|segment| u64::from(segment.length())).sum();
        self.chain.clear();
        self.chain.push(Buffer::readable(frame.header));
        let buffer = if request.device_writes() {
            Buffer::writable
        } else {
            Buffer::readable
        };
        self.chain.extend(data.iter().copied().map(buffer));
        self.chain.push(Buffer::writable(frame.status));
        let kind = request.kind();
        let entry = InFlight {
            slot,
            kind,
            bytes,
            token,
        };
        self.queue.add(&self.chain, entry).map_err(|error| {
            self.slots.give_back(slot);
            match error {
                RingError::Full => SubmitError::Full,
                _ => SubmitError::TooManySegments { most },
            }
        })
    }

    /// Shows the device all that was submitted, and wakes it if it sleeps.
    pub fn kick(&mut self) {
        if self.queue.publish() == Notify::Needed {
            self.transport.notify(self.queue.index());
        }
    }

    /// Acknowledges the device's interrupt: call it first, then [`complete`](Self::complete) until
    /// `None`.
    pub fn acknowledge(&self) {
        self.transport.acknowledge_used();
    }

    /// The next finished request. After `None` the next completion is sure to interrupt.
    ///
    /// # Errors
    /// If the device broke the rules of the ring: [`reset_and_recover`](Self::reset_and_recover).
    #[expect(
        clippy::type_complexity,
        reason = "an error of the device, or a request's own result"
    )]
    pub fn complete(&mut self) -> Result<Option<(T, Result<Outcome, BlkError>)>, DeviceFault> {
        loop {
            if let Some(used) = self.queue.pop()? {
                return Ok(Some(self.finish(used.token)));
            }
            if self.queue.enable_interrupts() == UsedRing::Empty {
                return Ok(None);
            }
        }
    }

    fn finish(&mut self, done: InFlight<T>) -> (T, Result<Outcome, BlkError>) {
        let status = self.slots.status(done.slot);
        let result = BlkError::check(status).map(|()| match done.kind {
            spec::request::IN | spec::request::OUT => Outcome::Transferred { bytes: done.bytes },
            spec::request::GET_ID => Outcome::Identity(self.slots.identity(done.slot)),
            _ => Outcome::Done,
        });
        self.slots.give_back(done.slot);
        (done.token, result)
    }

    /// Resets the device, which ends all requests in flight, and brings it up again as it was.
    ///
    /// If that fails the disk is lost; submit nothing more.
    pub fn reset_and_recover(&mut self) -> Recovery<T> {
        let reset = self.transport.reset();
        let ended = self.queue.reset();
        let free = |entry: InFlight<T>| {
            self.slots.give_back(entry.slot);
            entry.token
        };
        let lost = ended.into_iter().map(free).collect();
        let device = reset.and_then(|()| self.restart());
        Recovery { lost, device }
    }

    fn restart(&mut self) -> Result<(), InitError> {
        let wanted = Wanted {
            required: self.features,
            optional: Features::NONE,
        };
        let queue = &self.queue;
        self.geometry = self.transport.initialise(wanted, |transport, features| {
            transport.enable_queue(queue)?;
            Geometry::read(transport, features)
        })?;
        Ok(())
    }
}

/// What [`Disk::reset_and_recover`] came to.
#[must_use = "someone waits for the lost requests"]
#[derive(Debug)]
pub struct Recovery<T> {
    /// Tokens of the requests that were in flight, oldest first. Whether each was carried out is
    /// unknown. Their memory is the caller's again, except after [`InitError::ResetTimeout`].
    pub lost: Vec<T>,
    /// Whether the device works again.
    pub device: Result<(), InitError>,
}

/// A ring must hold a request with a single segment.
fn check_ring<T>(queue: &Queue<T>) -> Result<(), InitError> {
    let fits = usize::from(queue.max_chain()) > FRAME_BUFFERS;
    fits.then_some(()).ok_or(RingError::ChainTooLong.into())
}

/// Data of a request without segments of its own.
type SlotData = Option<Segment>;

#[cfg(test)]
mod tests;
