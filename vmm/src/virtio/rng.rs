//! virtio-rng (specification, section 5.4): the host's random bytes. Served by the event loop.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use event_manager::{EventOps, Events, MutEventSubscriber};
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::eventfd::EventFd;

use super::ring::{Served, again, serve};
use super::{Activation, Buffers, Interrupt, Slot, VirtioDevice};
use crate::memory::Ram;

/// `VIRTIO_ID_RNG`.
const ID: u32 = 4;
const QUEUE_SIZES: [u16; 1] = [64];
/// Bytes given at a time; a driver that wants more asks again.
const MOST: usize = 4096;

/// The front.
pub struct Rng(pub Slot<Activation>);

impl VirtioDevice for Rng {
    fn id(&self) -> u32 {
        ID
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUE_SIZES
    }

    fn activate(&mut self, activation: Activation) {
        *self.0.lock() = Some(activation);
    }

    fn reset(&mut self) {
        *self.0.lock() = None;
    }
}

/// The back.
pub struct RngBack {
    slot: Slot<Activation>,
    ram: Arc<Ram>,
    interrupt: Arc<Interrupt>,
    notified: EventFd,
    source: File,
}

impl RngBack {
    /// Opens the host's source.
    pub fn new(
        slot: Slot<Activation>,
        ram: Arc<Ram>,
        interrupt: Arc<Interrupt>,
        notified: EventFd,
    ) -> io::Result<Self> {
        let source = File::open("/dev/urandom")?;
        Ok(Self {
            slot,
            ram,
            interrupt,
            notified,
            source,
        })
    }

    /// Fills the buffers that are available, a ring full at most; then the event loop comes again.
    pub fn serve(&mut self) {
        let mut slot = self.slot.lock();
        let Some(queue) = slot.as_mut().and_then(|a| a.queues.first_mut()) else {
            return;
        };
        let (ram, source) = (self.ram.as_ref(), &mut self.source);
        let more = serve(queue, ram, &self.interrupt, |buffers| {
            Served::Used(fill(&buffers, ram, source))
        });
        if more {
            again(&self.notified);
        }
    }
}

fn fill(buffers: &Buffers, ram: &Ram, source: &mut File) -> u32 {
    let Some(first) = buffers.writable.as_slice().first() else {
        return 0;
    };
    let count = MOST.min(first.length as usize);
    ram.read_volatile_from(GuestAddress(first.address), source, count)
        .unwrap_or(0) as u32
}

impl MutEventSubscriber for RngBack {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        ops.add(Events::new(&self.notified, EventSet::IN))
            .expect("event files can be polled");
    }

    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        debug_assert_eq!(events.fd(), self.notified.as_raw_fd());
        // `WouldBlock` if there was nothing.
        let _ = self.notified.read();
        self.serve();
    }
}
