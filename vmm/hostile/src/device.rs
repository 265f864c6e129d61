//! A virtio device on a bench: its window, its RAM, and a driver that does whatever [`Op`]s say.

use std::cell::OnceCell;
use std::sync::Arc;

use virtio_bindings::virtio_mmio::*;
use vm_memory::{Bytes, GuestAddress};
use vmm::config::MemorySize;
use vmm::memory::{self, Ram};
use vmm::virtio::mmio::Transport;
use vmm::virtio::{Interrupt, Line, VirtioDevice};
use vmm_sys_util::eventfd::EventFd;

use crate::op::{Descriptor, Op, Place, Source};

/// Bytes of guest RAM.
const RAM: u64 = 1 << 20;
/// Requests have their memory here.
pub const DATA: u64 = 0x8_0000;
/// Where a queue has its parts: from one queue to the next, and available and used ring from the table on.
const RINGS: [u64; 3] = [0x4000, 0x1000, 0x2000];
/// Bits of the status register (2.1): up to FEATURES_OK, and with DRIVER_OK.
const NEGOTIATED: u32 = 1 | 2 | 8;
const RUNNING: u32 = NEGOTIATED | 4;
/// Feature bit 32.
pub const VERSION_1: u64 = 1 << 32;
/// An honest driver's descriptors.
pub const SIZE: u16 = 16;

/// What works behind a window.
pub trait Back {
    /// Works as after a notification.
    fn serve(&mut self);

    /// The host has bytes for the guest.
    fn type_in(&mut self, _bytes: &[u8]) {}
}

/// A device, its RAM and its driver.
pub struct Bench<B> {
    /// The device's registers.
    pub window: Transport,
    /// Guest RAM.
    pub ram: Arc<Ram>,
    /// The device's back.
    pub back: B,
    /// `avail.idx` of each queue as last written.
    available: [u16; 2],
    size: u16,
}

/// Nobody listens.
struct Silence;

impl Line for Silence {
    fn raise(&self) {}
}

/// An interrupt that nobody hears.
pub fn interrupt() -> Arc<Interrupt> {
    Arc::new(Interrupt::new(Box::new(Silence)))
}

/// An event file.
pub fn event() -> EventFd {
    EventFd::new(libc::EFD_NONBLOCK).expect("event files can be made")
}

/// This thread's RAM, all zero. It is never given back: one for all inputs.
pub fn fresh_ram() -> Arc<Ram> {
    thread_local!(static MEMORY: OnceCell<Arc<Ram>> = const { OnceCell::new() });
    MEMORY.with(|memory| {
        let ram = memory.get_or_init(|| {
            Arc::new(memory::allocate(MemorySize::from_bytes(RAM)).expect("1 MiB"))
        });
        ram.write_slice(&[0; RAM as usize], GuestAddress(0))
            .expect("it is RAM");
        ram.clone()
    })
}

impl<B: Back> Bench<B> {
    /// A device that nobody has touched yet.
    pub fn new(
        device: Box<dyn VirtioDevice>,
        ram: Arc<Ram>,
        interrupt: Arc<Interrupt>,
        events: Vec<EventFd>,
        back: B,
    ) -> Self {
        Self {
            window: Transport::new("hostile".into(), device, ram.clone(), interrupt, events),
            ram,
            back,
            available: [0; 2],
            size: SIZE,
        }
    }

    /// Does all that the bytes say.
    pub fn run(&mut self, mut source: Source<'_>) {
        while let Some(op) = Op::read(&mut source) {
            self.apply(&op);
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Fill(place, bytes) => self.fill(address(*place), bytes),
            Op::Describe(queue, descriptor) => self.describe(*queue, descriptor),
            Op::Offer(queue, head) => self.offer(*queue, *head),
            Op::Jump(queue, index) => self.set_available(*queue, *index),
            Op::Write(offset, width, value) => {
                let bytes = &value.to_le_bytes()[..usize::from(width % 9)];
                self.window.write((offset & 0xfff).into(), bytes);
            }
            Op::Read(offset, width) => {
                let mut bytes = [0; 8];
                let bytes = &mut bytes[..usize::from(width % 9)];
                self.window.read((offset & 0xfff).into(), bytes);
            }
            Op::Serve => self.back.serve(),
            Op::Type(bytes) => self.back.type_in(bytes),
            Op::Restart(features, size) => {
                self.start(*features, *size);
            }
        }
    }

    /// Resets the device and sets it up; whether it runs.
    pub fn start(&mut self, features: u64, size: u16) -> bool {
        (self.available, self.size) = ([0; 2], size);
        self.set(VIRTIO_MMIO_STATUS, 0);
        (0..2).for_each(|queue| self.fill(ring(queue, 1), &[0; 4]));
        (0..2).for_each(|queue| self.fill(ring(queue, 2), &[0; 4]));
        self.set(VIRTIO_MMIO_STATUS, 1);
        self.set(VIRTIO_MMIO_STATUS, 3);
        for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
            self.set(VIRTIO_MMIO_DRIVER_FEATURES, half);
        }
        self.set(VIRTIO_MMIO_STATUS, NEGOTIATED);
        (0..2).for_each(|queue| self.set_up(queue, size));
        self.set(VIRTIO_MMIO_STATUS, RUNNING);
        self.get(VIRTIO_MMIO_STATUS) == RUNNING
    }

    /// As an honest driver.
    pub fn start_honestly(&mut self) {
        assert!(
            self.start(VERSION_1, SIZE),
            "the device cannot be set up any more"
        );
    }

    fn set_up(&self, queue: u8, size: u16) {
        self.set(VIRTIO_MMIO_QUEUE_SEL, queue.into());
        self.set(VIRTIO_MMIO_QUEUE_NUM, size.into());
        let registers = [
            VIRTIO_MMIO_QUEUE_DESC_LOW,
            VIRTIO_MMIO_QUEUE_AVAIL_LOW,
            VIRTIO_MMIO_QUEUE_USED_LOW,
        ];
        for (part, register) in registers.into_iter().enumerate() {
            self.set(register, ring(queue, part) as u32);
            self.set(register + 4, 0);
        }
        self.set(VIRTIO_MMIO_QUEUE_READY, 1);
    }

    /// Writes a descriptor.
    pub fn describe(&self, queue: u8, descriptor: &Descriptor) {
        let mut bytes = address(descriptor.place).to_le_bytes().to_vec();
        bytes.extend(descriptor.length.to_le_bytes());
        bytes.extend(descriptor.flags.to_le_bytes());
        bytes.extend(descriptor.next.to_le_bytes());
        self.fill(ring(queue, 0) + 16 * u64::from(descriptor.index), &bytes);
    }

    /// Makes a chain available.
    pub fn offer(&mut self, queue: u8, head: u16) {
        let index = self.available[usize::from(queue % 2)];
        let slot = u64::from(index % self.size.max(1));
        self.fill(ring(queue, 1) + 4 + 2 * slot, &head.to_le_bytes());
        self.set_available(queue, index.wrapping_add(1));
    }

    /// Chains that the device has given back.
    pub fn used(&self, queue: u8) -> u16 {
        let index = GuestAddress(ring(queue, 2) + 2);
        self.ram.read_obj(index).expect("it is RAM")
    }

    fn set_available(&mut self, queue: u8, index: u16) {
        self.available[usize::from(queue % 2)] = index;
        self.fill(ring(queue, 1) + 2, &index.to_le_bytes());
    }

    /// Writes guest RAM; what is none stays as it is.
    pub fn fill(&self, address: u64, bytes: &[u8]) {
        // Hostile addresses are the point.
        let _ = self.ram.write_slice(bytes, GuestAddress(address));
    }

    fn get(&self, register: u32) -> u32 {
        let mut bytes = [0; 4];
        self.window.read(register.into(), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn set(&self, register: u32, value: u32) {
        self.window.write(register.into(), &value.to_le_bytes());
    }
}

/// Address of a queue's part: table, available ring, used ring.
fn ring(queue: u8, part: usize) -> u64 {
    let [stride, available, used] = RINGS;
    stride * u64::from(queue % 2) + [0, available, used][part]
}

fn address(place: Place) -> u64 {
    match place {
        Place::Rings(offset) => u64::from(offset) % (2 * RINGS[0]),
        Place::Data(offset) => DATA + u64::from(offset),
        Place::End(back) => RAM - u64::from(back),
        Place::Any(address) => address,
    }
}
