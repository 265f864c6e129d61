//! Which device answers at which port or address. One line a device, no logic.

use std::sync::Arc;

use ferrix_machine::{exit, port};

use crate::config::Model;
use crate::control::{Control, Outcome};
use crate::devices::cmos::{self, Cmos};
use crate::devices::{Milestones, Registers, power};
use crate::trace;
use crate::virtio::mmio::Transport;

const UART_LAST: u16 = port::UART + 7;

/// Everything that a vCPU can reach by an exit.
pub struct Bus {
    /// Whose machine it looks like.
    pub model: Model,
    /// The UART: the kernel's log, and perhaps the terminal.
    pub uart: Box<dyn Registers>,
    /// Boot milestones.
    pub milestones: Milestones,
    /// What the guest tells of itself, if that is wanted.
    pub trace: Option<trace::guest::Guest>,
    /// The wall clock.
    pub cmos: Cmos,
    /// virtio-mmio windows in order.
    pub virtio: Vec<Transport>,
    /// What the exit port and the reset line end.
    pub control: Arc<Control>,
}

impl Bus {
    /// OUT by a vCPU: `data` is what was written, 1, 2 or 4 bytes (or a string of them).
    pub fn port_write(&self, vcpu: usize, port: u16, data: &[u8]) {
        match port {
            port::UART..=UART_LAST => self.uart.write(port - port::UART, data),
            port::EXIT if self.model.is_ferrix() => self.exit(vcpu, data),
            port::MILESTONE if self.model.is_ferrix() => self.milestones.note(data),
            port::TRACE if let Some(trace) = &self.trace => trace.show(data),
            port::I8042_COMMAND => self.i8042(data),
            power::CONTROL if power::is_soft_off(data) => self.control.end(Outcome::GuestExit(0)),
            cmos::INDEX..=cmos::DATA if self.model.is_ferrix() => self.cmos.write(port, data),
            _ => log::trace!("write to port {port:#x}: {data:x?}"),
        }
    }

    /// IN: fills `data`; nobody there reads as ones.
    pub fn port_read(&self, port: u16, data: &mut [u8]) {
        match port {
            port::UART..=UART_LAST => self.uart.read(port - port::UART, data),
            port::I8042_COMMAND | power::CONTROL | power::STATUS => data.fill(0),
            cmos::INDEX..=cmos::DATA if self.model.is_ferrix() => self.cmos.read(port, data),
            _ => data.fill(0xff),
        }
    }

    /// A write to an address that is not RAM.
    pub fn mmio_write(&self, address: u64, data: &[u8]) {
        match self.window(address) {
            Some((device, offset)) => device.write(offset, data),
            None => log::trace!("write to {address:#x}: {data:x?}"),
        }
    }

    /// A read from an address that is not RAM.
    pub fn mmio_read(&self, address: u64, data: &mut [u8]) {
        match self.window(address) {
            Some((device, offset)) => device.read(offset, data),
            None => data.fill(0xff),
        }
    }

    fn window(&self, address: u64) -> Option<(&Transport, u64)> {
        let (index, offset) = self.model.windows().find(address)?;
        Some((self.virtio.get(index)?, offset))
    }

    fn exit(&self, vcpu: usize, data: &[u8]) {
        let mut value = [0; 4];
        let length = data.len().min(4);
        value[..length].copy_from_slice(&data[..length]);
        let value = u32::from_le_bytes(value);
        self.control.end(match value & exit::PANIC_FLAG {
            0 => Outcome::GuestExit(value as u8),
            _ => Outcome::KernelPanic { vcpu },
        });
    }

    fn i8042(&self, data: &[u8]) {
        if data.first() == Some(&port::I8042_RESET) {
            self.control.end(Outcome::Reset);
        }
    }
}
