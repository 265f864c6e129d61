//! The same device behind PCI: its structures (section 4.1.4) over the state of [`FakeDevice`].

use super::{FakeDevice, State};
use crate::bus::{Pci, Structures};
use crate::registers::Registers;
use crate::spec::pci::common;
use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

/// What only PCI has.
#[derive(Debug)]
pub struct PciState {
    /// Whether the device has a vector to give.
    pub has_vector: bool,
    /// Unit of the notification area that the first queue is notified at; each further one is 1 on.
    pub first_notification: u16,
    /// Where notifications were written: offset, value.
    pub notified: Vec<(usize, u16)>,
    config_vector: u16,
    queue_vectors: Vec<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Common,
    Notify,
    Isr,
    Config,
}

/// One structure's window.
#[derive(Clone, Debug)]
pub struct Window {
    device: FakeDevice,
    pci: Rc<RefCell<PciState>>,
    piece: Piece,
}

/// Bytes per unit of the notification area, and of all of it: eight queues.
pub const MULTIPLIER: u32 = 4;
const NOTIFY_BYTES: usize = 32;
const NO_VECTOR: u16 = 0xffff;

/// The device behind PCI, with `config_bytes` of its configuration.
pub fn pci(device: &FakeDevice, config_bytes: usize) -> (Pci<Window>, Rc<RefCell<PciState>>) {
    let pci = Rc::new(RefCell::new(PciState {
        has_vector: true,
        first_notification: 0,
        notified: Vec::new(),
        config_vector: NO_VECTOR,
        queue_vectors: device.state().queues.iter().map(|_| NO_VECTOR).collect(),
    }));
    let window = |piece| Window {
        device: device.clone(),
        pci: pci.clone(),
        piece,
    };
    let structures = Structures {
        common: window(Piece::Common),
        notify: window(Piece::Notify),
        notify_bytes: NOTIFY_BYTES,
        notify_multiplier: MULTIPLIER,
        isr: window(Piece::Isr),
        config: Some(window(Piece::Config)),
        config_bytes,
    };
    let device = device.state().device;
    (Pci::new(device, structures), pci)
}

impl PciState {
    /// Vectors of the configuration and of every queue.
    pub fn vectors(&self) -> (u16, &[u16]) {
        (self.config_vector, &self.queue_vectors)
    }
}

impl Window {
    fn wrong<T>(&self, offset: usize) -> T {
        panic!("wrong access to {:?} at {offset:#x}", self.piece)
    }

    fn selected(state: &State) -> usize {
        state.selected[2] as usize
    }
}

impl Registers for Window {
    fn read32(&self, offset: usize) -> u32 {
        let mut state = self.device.change();
        match (self.piece, offset) {
            (Piece::Common, common::DEVICE_FEATURE) => {
                (state.offered >> (32 * state.selected[0])) as u32
            }
            (Piece::Config, _) => u32::from_le_bytes(state.read_config(offset + 0x100)),
            _ => self.wrong(offset),
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.device.change();
        match (self.piece, offset) {
            (Piece::Common, common::DEVICE_FEATURE_SELECT) => state.selected[0] = value,
            (Piece::Common, common::DRIVER_FEATURE_SELECT) => state.selected[1] = value,
            (Piece::Common, common::DRIVER_FEATURE) => {
                state.accepted |= u64::from(value) << (32 * state.selected[1]);
            }
            (Piece::Common, common::QUEUE_DESC..common::BYTES) => {
                let queue = state.selected_queue().expect("a queue");
                let area = &mut queue.areas[(offset - common::QUEUE_DESC) / 8];
                let shift = offset % 8 * 8;
                *area = *area & !(0xffff_ffff << shift) | u64::from(value) << shift;
            }
            _ => self.wrong(offset),
        }
    }

    fn read16(&self, offset: usize) -> u16 {
        let mut state = self.device.change();
        let pci = self.pci.borrow();
        let index = Window::selected(&state);
        match (self.piece, offset) {
            (Piece::Common, common::NUM_QUEUES) => state.queues.len() as u16,
            (Piece::Common, common::QUEUE_SIZE) => state.queues[index].max as u16,
            (Piece::Common, common::QUEUE_ENABLE) => state.queues[index].ready as u16,
            (Piece::Common, common::QUEUE_NOTIFY_OFF) => pci.first_notification + index as u16,
            (Piece::Common, common::CONFIG_MSIX_VECTOR) => pci.config_vector,
            (Piece::Common, common::QUEUE_MSIX_VECTOR) => pci.queue_vectors[index],
            (Piece::Config, _) => u16::from_le_bytes(state.read_config(offset + 0x100)),
            _ => self.wrong(offset),
        }
    }

    fn write16(&self, offset: usize, value: u16) {
        let mut state = self.device.change();
        let mut pci = self.pci.borrow_mut();
        let index = Window::selected(&state);
        let vector = if pci.has_vector { value } else { NO_VECTOR };
        match (self.piece, offset) {
            (Piece::Common, common::QUEUE_SELECT) => state.selected[2] = value.into(),
            (Piece::Common, common::QUEUE_SIZE) => state.queues[index].size = value.into(),
            (Piece::Common, common::QUEUE_ENABLE) => state.queues[index].ready = value.into(),
            (Piece::Common, common::CONFIG_MSIX_VECTOR) => pci.config_vector = vector,
            (Piece::Common, common::QUEUE_MSIX_VECTOR) => pci.queue_vectors[index] = vector,
            (Piece::Notify, _) => pci.notified.push((offset, value)),
            _ => self.wrong(offset),
        }
    }

    fn read8(&self, offset: usize) -> u8 {
        let mut state = self.device.change();
        match (self.piece, offset) {
            (Piece::Common, common::DEVICE_STATUS) => state.read_status() as u8,
            (Piece::Common, common::CONFIG_GENERATION) => state.generation as u8,
            (Piece::Isr, 0) => core::mem::take(&mut state.interrupt) as u8,
            (Piece::Config, _) => {
                let [byte] = state.read_config(offset + 0x100);
                byte
            }
            _ => self.wrong(offset),
        }
    }

    fn write8(&self, offset: usize, value: u8) {
        match (self.piece, offset) {
            (Piece::Common, common::DEVICE_STATUS) => {
                self.device.change().set_status(value.into());
                if value == 0 {
                    let mut pci = self.pci.borrow_mut();
                    pci.config_vector = NO_VECTOR;
                    pci.queue_vectors.fill(NO_VECTOR);
                }
            }
            _ => self.wrong(offset),
        }
    }
}
