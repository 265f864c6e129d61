//! The virtio-mmio transport, version 2 (specification 1.2, section 4.2).
//!
//! A window of registers in front of one device. All a guest can do here is write registers in the
//! wrong order or with wrong values; each such write is ignored and logged, and the device stays
//! as it was.

use std::sync::Arc;

use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FAILED,
    VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::{Queue, QueueT};
use vmm_sys_util::eventfd::EventFd;

use super::{Activation, Interrupt, VirtioDevice};
use crate::memory::Ram;
use crate::sync::Mutex;

/// "virt".
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "FRRX".
const VENDOR: u32 = ferrix_machine::cpuid::FERRIX_MAGIC;
/// A shared memory region that does not exist has this length.
const NO_REGION: u32 = u32::MAX;
const CONFIG: u64 = VIRTIO_MMIO_CONFIG as u64;
/// Offered by every device.
const COMMON_FEATURES: u64 =
    1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_EVENT_IDX | 1 << VIRTIO_RING_F_INDIRECT_DESC;

/// One device window.
pub struct Transport {
    name: String,
    state: Mutex<State>,
    interrupt: Arc<Interrupt>,
    queue_events: Vec<EventFd>,
}

struct State {
    device: Box<dyn VirtioDevice>,
    ram: Arc<Ram>,
    queues: Vec<Queue>,
    status: u32,
    device_features_select: u32,
    driver_features_select: u32,
    driver_features: u64,
    queue_select: u32,
}

impl Transport {
    /// A window for this device. `queue_events` are written when the driver notifies a queue.
    pub fn new(
        name: String,
        device: Box<dyn VirtioDevice>,
        ram: Arc<Ram>,
        interrupt: Arc<Interrupt>,
        queue_events: Vec<EventFd>,
    ) -> Self {
        let state = State {
            queues: fresh_queues(device.as_ref()),
            device,
            ram,
            status: 0,
            device_features_select: 0,
            driver_features_select: 0,
            driver_features: 0,
            queue_select: 0,
        };
        Self {
            name,
            state: Mutex::new(state),
            interrupt,
            queue_events,
        }
    }

    /// What becomes readable when the driver notifies queue n.
    pub fn queue_events(&self) -> &[EventFd] {
        &self.queue_events
    }

    /// A read inside the window.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        if offset >= CONFIG {
            self.state.lock().device.read_config(offset - CONFIG, data);
        } else if data.len() == 4 && offset.is_multiple_of(4) {
            data.copy_from_slice(&self.read_register(offset as u32).to_le_bytes());
        } else {
            log::debug!("{}: read of {} bytes at {offset:#x}", self.name, data.len());
            data.fill(0);
        }
    }

    /// A write inside the window.
    pub fn write(&self, offset: u64, data: &[u8]) {
        let (name, length) = (&self.name, data.len());
        match (offset, <[u8; 4]>::try_from(data)) {
            (0..CONFIG, Ok(bytes)) if offset.is_multiple_of(4) => {
                self.write_register(offset as u32, u32::from_le_bytes(bytes));
            }
            _ => log::debug!("{name}: write of {length} bytes at {offset:#x}"),
        }
    }

    /// Ends the device's work on guest RAM.
    pub fn reset(&self) {
        self.state.lock().reset(&self.interrupt);
    }

    fn read_register(&self, register: u32) -> u32 {
        match register {
            VIRTIO_MMIO_MAGIC_VALUE => MAGIC,
            VIRTIO_MMIO_VERSION => VERSION,
            VIRTIO_MMIO_DEVICE_ID => self.state.lock().device.id(),
            VIRTIO_MMIO_VENDOR_ID => VENDOR,
            VIRTIO_MMIO_DEVICE_FEATURES => self.state.lock().device_features(),
            VIRTIO_MMIO_QUEUE_NUM_MAX => {
                self.state.lock().queue().map_or(0, |q| q.max_size().into())
            }
            VIRTIO_MMIO_QUEUE_READY => self.state.lock().queue().map_or(0, |q| q.ready().into()),
            VIRTIO_MMIO_INTERRUPT_STATUS => self.interrupt.status(),
            VIRTIO_MMIO_STATUS => self.state.lock().status,
            VIRTIO_MMIO_SHM_LEN_LOW | VIRTIO_MMIO_SHM_LEN_HIGH => NO_REGION,
            VIRTIO_MMIO_SHM_BASE_LOW | VIRTIO_MMIO_SHM_BASE_HIGH => NO_REGION,
            VIRTIO_MMIO_CONFIG_GENERATION => self.interrupt.generation(),
            _ => 0,
        }
    }

    fn write_register(&self, register: u32, value: u32) {
        let (mut state, to) = (self.state.lock(), Some(value));
        let accepted = match register {
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => store(&mut state.device_features_select, value),
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => store(&mut state.driver_features_select, value),
            VIRTIO_MMIO_DRIVER_FEATURES => state.set_driver_features(value),
            VIRTIO_MMIO_QUEUE_SEL => store(&mut state.queue_select, value),
            VIRTIO_MMIO_QUEUE_NUM => state.configure(|q| q.set_size(value as u16)),
            VIRTIO_MMIO_QUEUE_READY => state.set_queue_ready(value),
            VIRTIO_MMIO_QUEUE_NOTIFY => self.notify(&state, value),
            VIRTIO_MMIO_INTERRUPT_ACK => acknowledge(&self.interrupt, value),
            VIRTIO_MMIO_STATUS => self.set_status(&mut state, value),
            VIRTIO_MMIO_QUEUE_DESC_LOW => state.configure(|q| q.set_desc_table_address(to, None)),
            VIRTIO_MMIO_QUEUE_DESC_HIGH => state.configure(|q| q.set_desc_table_address(None, to)),
            VIRTIO_MMIO_QUEUE_AVAIL_LOW => state.configure(|q| q.set_avail_ring_address(to, None)),
            VIRTIO_MMIO_QUEUE_AVAIL_HIGH => state.configure(|q| q.set_avail_ring_address(None, to)),
            VIRTIO_MMIO_QUEUE_USED_LOW => state.configure(|q| q.set_used_ring_address(to, None)),
            VIRTIO_MMIO_QUEUE_USED_HIGH => state.configure(|q| q.set_used_ring_address(None, to)),
            VIRTIO_MMIO_SHM_SEL => true,
            _ => false,
        };
        if !accepted {
            let name = &self.name;
            log::debug!("{name}: refused {value:#x} to register {register:#x}");
        }
    }

    /// The slow way of a notification; normally an ioeventfd takes it.
    fn notify(&self, state: &State, queue: u32) -> bool {
        let event = self.queue_events.get(queue as usize);
        state.has(VIRTIO_CONFIG_S_DRIVER_OK) && event.is_some_and(|event| event.write(1).is_ok())
    }

    fn set_status(&self, state: &mut State, value: u32) -> bool {
        if value == 0 {
            state.reset(&self.interrupt);
            return true;
        }
        let was_running = state.has(VIRTIO_CONFIG_S_DRIVER_OK);
        if value & VIRTIO_CONFIG_S_DRIVER_OK != 0 {
            // Before the device runs, or its first interrupt is lost.
            self.interrupt.enable();
        }
        let accepted = state.set_status(value);
        if !state.has(VIRTIO_CONFIG_S_DRIVER_OK) {
            self.interrupt.disable();
        }
        if was_running || !state.has(VIRTIO_CONFIG_S_DRIVER_OK) {
            return accepted;
        }
        if state.has(VIRTIO_CONFIG_S_NEEDS_RESET) {
            self.interrupt.config_changed();
        } else {
            // Buffers may have been made available before the device looked.
            self.queue_events
                .iter()
                .for_each(|event| event.write(1).unwrap_or(()));
        }
        true
    }
}

fn store(register: &mut u32, value: u32) -> bool {
    *register = value;
    true
}

fn acknowledge(interrupt: &Interrupt, bits: u32) -> bool {
    interrupt.acknowledge(bits);
    true
}

fn fresh_queues(device: &dyn VirtioDevice) -> Vec<Queue> {
    // Sizes are powers of two chosen by the devices themselves; anything else has no queue.
    device
        .queue_sizes()
        .iter()
        .filter_map(|&size| Queue::new(size).ok())
        .collect()
}

impl State {
    fn has(&self, bit: u32) -> bool {
        self.status & bit != 0
    }

    fn offered(&self) -> u64 {
        self.device.features() | COMMON_FEATURES
    }

    fn device_features(&self) -> u32 {
        match self.device_features_select {
            0 => self.offered() as u32,
            1 => (self.offered() >> 32) as u32,
            _ => 0,
        }
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(self.queue_select as usize)
    }

    fn set_driver_features(&mut self, value: u32) -> bool {
        if !self.has(VIRTIO_CONFIG_S_DRIVER) || self.has(VIRTIO_CONFIG_S_FEATURES_OK) {
            return false;
        }
        let shift = match self.driver_features_select {
            0 => 0,
            1 => 32,
            _ => return value == 0,
        };
        self.driver_features &= !(u64::from(u32::MAX) << shift);
        self.driver_features |= u64::from(value) << shift;
        true
    }

    /// Changes the selected queue, which is allowed only between FEATURES_OK and DRIVER_OK and
    /// while the queue is not ready.
    fn configure(&mut self, change: impl FnOnce(&mut Queue)) -> bool {
        let open = self.has(VIRTIO_CONFIG_S_FEATURES_OK) && !self.has(VIRTIO_CONFIG_S_DRIVER_OK);
        match self.queues.get_mut(self.queue_select as usize) {
            Some(queue) if open && !queue.ready() => {
                change(queue);
                true
            }
            _ => false,
        }
    }

    fn set_queue_ready(&mut self, value: u32) -> bool {
        let ram = self.ram.clone();
        if value == 0 {
            return self
                .queues
                .get_mut(self.queue_select as usize)
                .map(|q| q.set_ready(false))
                .is_some();
        }
        let event_idx = self.driver_features >> VIRTIO_RING_F_EVENT_IDX & 1 != 0;
        self.configure(|queue| {
            queue.set_event_idx(event_idx);
            queue.set_ready(true);
            // A ring outside RAM is no ring.
            queue.set_ready(queue.is_valid(ram.as_ref()));
        })
    }

    /// Bits can only be added; each step has its condition (section 3.1.1).
    fn set_status(&mut self, value: u32) -> bool {
        let added = value & !self.status;
        if self.status & !VIRTIO_CONFIG_S_NEEDS_RESET & !value != 0 {
            return false;
        }
        if added & VIRTIO_CONFIG_S_FEATURES_OK != 0 && !self.features_are_acceptable() {
            log::warn!(
                "the driver chose features {:#x}, which are not possible",
                self.driver_features
            );
            return false;
        }
        if added & VIRTIO_CONFIG_S_DRIVER_OK != 0 && value & VIRTIO_CONFIG_S_FEATURES_OK == 0 {
            return false;
        }
        self.status |= value & !VIRTIO_CONFIG_S_NEEDS_RESET;
        if added & VIRTIO_CONFIG_S_DRIVER_OK != 0 && value & VIRTIO_CONFIG_S_FAILED == 0 {
            self.activate();
        }
        true
    }

    fn features_are_acceptable(&self) -> bool {
        self.driver_features & !self.offered() == 0
            && self.driver_features >> VIRTIO_F_VERSION_1 & 1 != 0
    }

    fn activate(&mut self) {
        let fresh = fresh_queues(self.device.as_ref());
        let queues = std::mem::replace(&mut self.queues, fresh);
        for (shown, used) in self.queues.iter_mut().zip(&queues) {
            shown.set_ready(used.ready());
        }
        if queues
            .iter()
            .any(|q| q.ready() && !q.is_valid(self.ram.as_ref()))
        {
            self.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
            return;
        }
        self.device.activate(Activation {
            features: self.driver_features,
            queues,
        });
    }

    fn reset(&mut self, interrupt: &Interrupt) {
        self.device.reset();
        self.queues = fresh_queues(self.device.as_ref());
        self.status = 0;
        self.driver_features = 0;
        self.device_features_select = 0;
        self.driver_features_select = 0;
        self.queue_select = 0;
        interrupt.disable();
    }
}

#[cfg(test)]
mod tests;
