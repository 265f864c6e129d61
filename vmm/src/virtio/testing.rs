//! A driver for unit tests: it speaks to a device through the registers of its window and through
//! the mock rings of virtio-queue, as a guest would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::MockSplitQueue;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::mmio::Transport;
use super::{Interrupt, Line, VirtioDevice};
use crate::config::MemorySize;
use crate::memory::{self, Ram};

pub const ACKNOWLEDGE: u32 = 1;
pub const DRIVER: u32 = 2;
pub const DRIVER_OK: u32 = 4;
pub const FEATURES_OK: u32 = 8;
pub const VERSION_1: u64 = 1 << 32;

/// Counts edges.
#[derive(Clone, Default)]
pub struct Edges(Arc<AtomicU32>);

impl Edges {
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Line for Edges {
    fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn ram() -> Arc<Ram> {
    Arc::new(memory::allocate(MemorySize::mib(2)).unwrap())
}

pub fn interrupt() -> (Arc<Interrupt>, Edges) {
    let edges = Edges::default();
    (Arc::new(Interrupt::new(Box::new(edges.clone()))), edges)
}

pub fn event() -> EventFd {
    EventFd::new(libc::EFD_NONBLOCK).unwrap()
}

/// A part of a chain: address, length, and whether the device writes it.
#[derive(Clone, Copy)]
pub enum Part {
    Out(u64, u32),
    In(u64, u32),
}

pub struct Driver {
    pub transport: Transport,
    pub ram: Arc<Ram>,
}

impl Driver {
    pub fn new(
        device: Box<dyn VirtioDevice>,
        ram: &Arc<Ram>,
        interrupt: &Arc<Interrupt>,
        events: Vec<EventFd>,
    ) -> Self {
        let transport = Transport::new(
            "test".into(),
            device,
            ram.clone(),
            interrupt.clone(),
            events,
        );
        Self {
            transport,
            ram: ram.clone(),
        }
    }

    pub fn get(&self, register: u32) -> u32 {
        let mut bytes = [0; 4];
        self.transport.read(register.into(), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    pub fn set(&self, register: u32, value: u32) {
        self.transport.write(register.into(), &value.to_le_bytes());
    }

    pub fn status(&self) -> u32 {
        self.get(VIRTIO_MMIO_STATUS)
    }

    pub fn offered(&self) -> u64 {
        self.set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
        let low = self.get(VIRTIO_MMIO_DEVICE_FEATURES);
        self.set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
        u64::from(self.get(VIRTIO_MMIO_DEVICE_FEATURES)) << 32 | u64::from(low)
    }

    /// Up to FEATURES_OK; whether the device took them.
    pub fn negotiate(&self, features: u64) -> bool {
        self.set(VIRTIO_MMIO_STATUS, 0);
        self.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGE);
        self.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER);
        for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
            self.set(VIRTIO_MMIO_DRIVER_FEATURES, half);
        }
        self.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        self.status() & FEATURES_OK != 0
    }

    /// A ring of `size` descriptors at `base`, told to the device. True if it is ready then.
    pub fn set_queue(&self, index: u32, base: [u64; 3], size: u32) -> bool {
        self.set(VIRTIO_MMIO_QUEUE_SEL, index);
        self.set(VIRTIO_MMIO_QUEUE_NUM, size);
        let registers = [
            VIRTIO_MMIO_QUEUE_DESC_LOW,
            VIRTIO_MMIO_QUEUE_AVAIL_LOW,
            VIRTIO_MMIO_QUEUE_USED_LOW,
        ];
        for (register, address) in registers.into_iter().zip(base) {
            self.set(register, address as u32);
            self.set(register + 4, (address >> 32) as u32);
        }
        self.set(VIRTIO_MMIO_QUEUE_READY, 1);
        self.get(VIRTIO_MMIO_QUEUE_READY) == 1
    }

    pub fn set_mock(&self, index: u32, queue: &MockSplitQueue<'_, Ram>, size: u32) -> bool {
        let base = [
            queue.desc_table_addr(),
            queue.avail_addr(),
            queue.used_addr(),
        ];
        self.set_queue(index, base.map(|address| address.0), size)
    }

    pub fn go(&self) -> bool {
        self.set(
            VIRTIO_MMIO_STATUS,
            ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK,
        );
        self.status() & DRIVER_OK != 0
    }

    pub fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.ram
            .read_slice(&mut bytes, GuestAddress(address))
            .unwrap();
        bytes
    }
}

/// Makes one chain available, its descriptors from `first` on.
pub fn offer(queue: &MockSplitQueue<'_, Ram>, first: u16, parts: &[Part]) {
    let descriptors: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let (address, length, write) = match *part {
                Part::Out(address, length) => (address, length, 0),
                Part::In(address, length) => (address, length, VRING_DESC_F_WRITE),
            };
            let next = if index + 1 < parts.len() {
                VRING_DESC_F_NEXT
            } else {
                0
            };
            let flags = (write | next) as u16;
            RawDescriptor::from(Descriptor::new(
                address,
                length,
                flags,
                first + index as u16 + 1,
            ))
        })
        .collect();
    queue.add_desc_chains(&descriptors, first).unwrap();
}

/// Used elements so far, and the length in the last one.
pub fn used(queue: &MockSplitQueue<'_, Ram>) -> (u16, u32) {
    let count = u16::from_le(queue.used().idx().load());
    let last = usize::from(count.wrapping_sub(1));
    let length = if count == 0 {
        0
    } else {
        queue.used().ring().ref_at(last).unwrap().load().len()
    };
    (count, length)
}
