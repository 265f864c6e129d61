//! virtio-console (specification, section 5.3): one port, the guest's interactive console.
//!
//! The front here holds the configuration space (the window's size); [`back`] moves bytes between
//! the rings and the monitor's standard input and output in the event loop.

mod back;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub use back::{ConsoleBack, ConsoleSnapshot};

use super::{Activation, Interrupt, Slot, VirtioDevice, config_space, read_from};
use crate::console::terminal::WindowSize;

/// `VIRTIO_ID_CONSOLE`.
const ID: u32 = 3;
/// Feature bit: the configuration space holds the window's size.
pub const VIRTIO_CONSOLE_F_SIZE: u32 = 0;

/// The configuration space (section 5.3.4), which virtio-bindings lacks. Little-endian.
#[repr(C)]
struct VirtioConsoleConfig {
    cols: u16,
    rows: u16,
    max_nr_ports: u32,
    emerg_wr: u32,
}

/// receiveq(port0), transmitq(port0).
const QUEUE_SIZES: [u16; 2] = [256, 256];
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

/// What the driver has set up, and how far the back has come with it.
#[derive(Debug)]
pub struct Active {
    activation: Activation,
    /// Bytes already taken from the output buffer that is next in the ring.
    taken: u64,
    /// The driver knows that the input has ended (`ferrix_machine::console`).
    end_told: bool,
}

/// The window's size, shared by the front, the back and the signal handler.
pub struct Window {
    packed: AtomicU32,
    interrupt: Arc<Interrupt>,
}

impl Window {
    /// A window of this size.
    pub fn new(size: WindowSize, interrupt: Arc<Interrupt>) -> Self {
        Self {
            packed: AtomicU32::new(pack(size)),
            interrupt,
        }
    }

    /// The user has changed the size: tells the driver.
    pub fn resize(&self, size: WindowSize) {
        if self.packed.swap(pack(size), Ordering::SeqCst) != pack(size) {
            self.interrupt.config_changed();
        }
    }

    fn size(&self) -> WindowSize {
        let packed = self.packed.load(Ordering::SeqCst);
        WindowSize {
            columns: packed as u16,
            rows: (packed >> 16) as u16,
        }
    }
}

fn pack(size: WindowSize) -> u32 {
    u32::from(size.rows) << 16 | u32::from(size.columns)
}

/// The front.
pub struct Console {
    slot: Slot<Active>,
    window: Arc<Window>,
}

impl Console {
    /// A front whose back looks into `slot`.
    pub fn new(slot: Slot<Active>, window: Arc<Window>) -> Self {
        Self { slot, window }
    }
}

impl VirtioDevice for Console {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_CONSOLE_F_SIZE
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUE_SIZES
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let size = self.window.size();
        let space = config_space!(VirtioConsoleConfig {
            cols: size.columns,
            rows: size.rows,
            max_nr_ports: 1u32,
        });
        read_from(&space, offset, data);
    }

    fn activate(&mut self, activation: Activation) {
        *self.slot.lock() = Some(Active {
            activation,
            taken: 0,
            end_told: false,
        });
    }

    fn reset(&mut self) {
        *self.slot.lock() = None;
    }
}

#[cfg(test)]
mod tests;
