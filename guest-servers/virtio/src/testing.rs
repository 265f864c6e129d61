//! What the tests play the device with: guest memory, a register file, the device's side of a queue.

use crate::dma::{DmaMemory, PhysAddr, Segment};
use crate::registers::Registers;
use crate::spec::{MAGIC_VALUE, VERSION_MMIO, feature, register, ring, status};
use core::cell::{Ref, RefCell, RefMut};
use core::ptr::NonNull;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

pub mod pci;

/// Where guest memory starts: nowhere near a host address, so that a mix-up shows.
const BASE: u64 = 0x8000_0000;
const SIZE: usize = 4 << 20;

/// Memory that `virtio-queue` can work on.
pub struct Guest {
    pub memory: GuestMemoryMmap,
    used: u64,
}

impl Guest {
    pub fn new() -> Guest {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(BASE), SIZE)]).unwrap();
        Guest { memory, used: 0 }
    }

    /// Fresh memory, mapped as long as the value lives.
    pub fn dma(&mut self, bytes: usize) -> DmaMemory {
        let base = BASE + self.used;
        self.used += (bytes as u64).next_multiple_of(4096);
        assert!(self.used <= SIZE as u64, "test memory exhausted");
        let host = self.memory.get_host_address(GuestAddress(base)).unwrap();
        // SAFETY: the mapping lives as long as the guest, which the tests keep; every byte is given
        // out once, and otherwise used by the device that the test plays.
        unsafe { DmaMemory::new(NonNull::new(host).unwrap(), PhysAddr(base), bytes) }
    }

    pub fn read(&self, segment: Segment) -> Vec<u8> {
        let mut bytes = vec![0; segment.length() as usize];
        let address = GuestAddress(segment.address().0);
        self.memory.read_slice(&mut bytes, address).unwrap();
        bytes
    }

    pub fn write(&self, segment: Segment, bytes: &[u8]) {
        let address = GuestAddress(segment.address().0);
        self.memory.write_slice(bytes, address).unwrap();
    }
}

/// Memory without a mapping, for tests that Miri can run.
pub struct Heap(Vec<Page>);

#[derive(Clone)]
#[repr(align(4096))]
struct Page(#[expect(dead_code, reason = "accessed through DmaMemory")] [u8; 4096]);

impl Heap {
    pub fn new(bytes: usize) -> Heap {
        Heap(vec![Page([0; 4096]); bytes.div_ceil(4096)])
    }

    /// The same memory twice: for the driver, and for the device that the test plays.
    pub fn views(&mut self) -> (DmaMemory, DmaMemory) {
        let bytes = self.0.len() * 4096;
        let host = NonNull::from(self.0.as_mut_slice()).cast();
        // SAFETY: the heap outlives both in the tests and is not accessed meanwhile; the second view
        // is the device's.
        let view = || unsafe { DmaMemory::new(host, PhysAddr(BASE), bytes) };
        (view(), view())
    }

    /// Offset of a physical address in the memory.
    pub fn offset(address: PhysAddr) -> usize {
        (address.0 - BASE) as usize
    }
}

/// A queue as the driver set it up.
#[derive(Clone, Debug, Default)]
pub struct QueueRegisters {
    pub max: u32,
    pub size: u32,
    pub ready: u32,
    /// Descriptor, driver and device area.
    pub areas: [u64; 3],
}

/// The device's registers, and how it misbehaves.
#[derive(Debug)]
pub struct State {
    pub magic: u32,
    pub version: u32,
    pub device: u32,
    pub offered: u64,
    pub accepted: u64,
    pub status: u32,
    pub config: Vec<u8>,
    pub generation: u32,
    pub queues: Vec<QueueRegisters>,
    pub interrupt: u32,
    /// Queue indices that were notified.
    pub notified: Vec<u32>,
    /// Every write to the status register.
    pub statuses: Vec<u32>,
    /// Never keeps FEATURES_OK.
    pub refuses_features: bool,
    /// Status reads that a reset takes.
    pub reset_reads: u32,
    /// Configuration reads after each of which the configuration changes.
    pub config_changes: u32,
    selected: [u32; 3],
}

/// A register file; clones are the same device.
#[derive(Clone, Debug)]
pub struct FakeDevice(Rc<RefCell<State>>);

impl FakeDevice {
    pub fn new(device: u32, features: u64, queues: &[u32]) -> FakeDevice {
        let queue = |max: &u32| QueueRegisters {
            max: *max,
            ..QueueRegisters::default()
        };
        FakeDevice(Rc::new(RefCell::new(State {
            magic: MAGIC_VALUE,
            version: VERSION_MMIO,
            device,
            offered: features | feature::VERSION_1.bits(),
            accepted: 0,
            status: 0,
            config: vec![0; 256],
            generation: 0,
            queues: queues.iter().map(queue).collect(),
            interrupt: 0,
            notified: Vec::new(),
            statuses: Vec::new(),
            refuses_features: false,
            reset_reads: 0,
            config_changes: 0,
            selected: [0; 3],
        })))
    }

    pub fn state(&self) -> Ref<'_, State> {
        self.0.borrow()
    }

    pub fn change(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    /// Sets a field of the configuration space.
    pub fn configure(&self, offset: usize, bytes: &[u8]) {
        self.change().config[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// The device's side of a queue that the driver set up.
    pub fn queue(&self, index: usize) -> Queue {
        let state = self.state();
        let set = &state.queues[index];
        assert_eq!(set.ready, 1, "queue {index} is not ready");
        let [descriptors, driver, device] = set.areas;
        let event_index = state.accepted & feature::EVENT_IDX.bits() != 0;
        device_queue(set.size as u16, [descriptors, driver, device], event_index)
    }

    /// Takes the notifications so far.
    pub fn take_notified(&self) -> Vec<u32> {
        core::mem::take(&mut self.change().notified)
    }
}

/// The device's side of a queue at these addresses.
pub fn device_queue(size: u16, areas: [u64; 3], event_index: bool) -> Queue {
    let mut queue = Queue::new(size).unwrap();
    queue.set_size(size);
    let half = |at: u64| (Some(at as u32), Some((at >> 32) as u32));
    let [(d, dh), (a, ah), (u, uh)] = areas.map(half);
    queue.set_desc_table_address(d, dh);
    queue.set_avail_ring_address(a, ah);
    queue.set_used_ring_address(u, uh);
    queue.set_event_idx(event_index);
    queue.set_ready(true);
    queue
}

/// Whether the device interrupts after it used buffers. `virtio-queue` leaves the driver's flag (section
/// 2.7.7) to its user.
pub fn interrupts(queue: &mut Queue, memory: &GuestMemoryMmap) -> bool {
    let flags: u16 = memory.read_obj(GuestAddress(queue.avail_ring())).unwrap();
    queue.needs_notification(memory).unwrap() && flags & ring::AVAIL_NO_INTERRUPT == 0
}

impl State {
    fn set_status(&mut self, value: u32) {
        self.statuses.push(value);
        let refused = if self.refuses_features {
            status::FEATURES_OK
        } else {
            0
        };
        self.status = value & !refused;
        if value == 0 {
            self.accepted = 0;
            self.interrupt = 0;
            for queue in &mut self.queues {
                *queue = QueueRegisters {
                    max: queue.max,
                    ..QueueRegisters::default()
                };
            }
        }
    }

    fn read_status(&mut self) -> u32 {
        if self.status == 0 && self.reset_reads > 0 {
            self.reset_reads -= 1;
            return status::ACKNOWLEDGE;
        }
        self.status
    }

    fn read_config<const N: usize>(&mut self, offset: usize) -> [u8; N] {
        let at = offset - register::CONFIG;
        let bytes = self.config[at..at + N].try_into().unwrap();
        if self.config_changes > 0 {
            self.config_changes -= 1;
            self.generation += 1;
            self.config[at] = self.config[at].wrapping_add(1);
        }
        bytes
    }

    fn selected_queue(&mut self) -> Option<&mut QueueRegisters> {
        self.queues.get_mut(self.selected[2] as usize)
    }

    fn write_queue(&mut self, offset: usize, value: u32) {
        let queue = self
            .selected_queue()
            .expect("write to a queue that is not there");
        match offset {
            register::QUEUE_NUM => queue.size = value,
            register::QUEUE_READY => queue.ready = value,
            _ => {
                let area = &mut queue.areas[(offset - register::QUEUE_DESC) / 16];
                let shift = offset % 16 * 8;
                *area = *area & !(0xffff_ffff << shift) | u64::from(value) << shift;
            }
        }
    }
}

impl Registers for FakeDevice {
    fn read32(&self, offset: usize) -> u32 {
        let mut state = self.change();
        match offset {
            register::MAGIC => state.magic,
            register::VERSION => state.version,
            register::DEVICE_ID => state.device,
            register::DEVICE_FEATURES => (state.offered >> (32 * state.selected[0])) as u32,
            register::QUEUE_NUM_MAX => state.selected_queue().map_or(0, |queue| queue.max),
            register::QUEUE_READY => state.selected_queue().map_or(0, |queue| queue.ready),
            register::INTERRUPT_STATUS => state.interrupt,
            register::STATUS => state.read_status(),
            register::CONFIG_GENERATION => state.generation,
            register::CONFIG.. => u32::from_le_bytes(state.read_config(offset)),
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.change();
        match offset {
            register::DEVICE_FEATURES_SEL => state.selected[0] = value,
            register::DRIVER_FEATURES_SEL => state.selected[1] = value,
            register::DRIVER_FEATURES => {
                state.accepted |= u64::from(value) << (32 * state.selected[1]);
            }
            register::QUEUE_SEL => state.selected[2] = value,
            register::QUEUE_NOTIFY => state.notified.push(value),
            register::INTERRUPT_ACK => state.interrupt &= !value,
            register::STATUS => state.set_status(value),
            register::QUEUE_NUM | register::QUEUE_READY => state.write_queue(offset, value),
            register::QUEUE_DESC..0xa8 => state.write_queue(offset, value),
            _ => panic!("write of register {offset:#x}"),
        }
    }

    fn read16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.change().read_config(offset))
    }

    fn write16(&self, offset: usize, _: u16) {
        panic!("16-bit write of register {offset:#x}");
    }

    fn write8(&self, offset: usize, _: u8) {
        panic!("8-bit write of register {offset:#x}");
    }

    fn read8(&self, offset: usize) -> u8 {
        let [byte] = self.change().read_config(offset);
        byte
    }
}
