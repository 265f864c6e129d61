//! What the terminal is on: a virtio-console, or a UART.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use ferrix_abi::handle::Handle;
use ferrix_abi::machine::LOG_LINE;
use ferrix_console::uart::{Input, Registers, Uart};
use ferrix_machine::{cmdline, irq, port};
use ferrix_rt::driver::{Announced, bind_interrupt, device_memory};
use ferrix_rt::ports::Ports;
use ferrix_rt::sys::system;
use ferrix_virtio::console::{Console, WindowSize};
use ferrix_virtio::spec;

use super::{IRQ, LOG};

/// Registers of the UART.
const UART_PORTS: u16 = 8;
/// Most output at a time, so that input is not kept waiting where a UART takes all at once.
const PIECE: usize = 512;

/// The UART's registers, by ports.
pub struct PortRegisters(Ports);

impl Registers for PortRegisters {
    fn read(&self, index: u16) -> u8 {
        self.0.read8(index)
    }

    fn write(&self, index: u16, value: u8) {
        self.0.write8(index, value);
    }
}

/// A device, and its interrupt.
pub struct Device {
    kind: Kind,
    irq: Handle,
}

enum Kind {
    Virtio(Box<Console>),
    Serial(Uart<PortRegisters>),
}

/// What the kernel's command line wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Serial,
    Virtio,
    Any,
}

fn wanted() -> Wanted {
    let info = system::kernel_info();
    let used = (info.command_line_length as usize).min(info.command_line.len());
    let line = core::str::from_utf8(&info.command_line[..used]).unwrap_or_default();
    let words = line.split_ascii_whitespace();
    let values = words.filter_map(|word| word.strip_prefix(cmdline::CONSOLE)?.strip_prefix('='));
    let name = |value: &'static str| value.split(',').next();
    match values.filter_map(name).next_back() {
        Some(name) if cmdline::SERIAL_CONSOLES.contains(&name) => Wanted::Serial,
        Some(cmdline::VIRTIO_CONSOLE) => Wanted::Virtio,
        _ => Wanted::Any,
    }
}

impl Device {
    /// Brings up the device that the command line wants, or else virtio-console where there is one, or
    /// else the UART. Its interrupts go to `port`.
    pub fn find(
        devices: impl Iterator<Item = Announced>,
        port: Handle,
        resource: Handle,
    ) -> Result<Device, String> {
        let wanted = wanted();
        if wanted != Wanted::Serial {
            for device in devices {
                if let Some(found) = Device::virtio(&device, port, resource)? {
                    return Ok(found);
                }
            }
        }
        if wanted == Wanted::Virtio {
            return Err("the machine announces no virtio-console device".into());
        }
        Device::serial(port, resource)
    }

    fn virtio(
        device: &Announced,
        port: Handle,
        resource: Handle,
    ) -> Result<Option<Device>, String> {
        let kernel = |error| format!("device at {device}: {error:?}");
        let transport = device.transport(spec::device::CONSOLE, resource);
        let Some(transport) = transport.map_err(kernel)? else {
            return Ok(None);
        };
        let memory = device_memory(Console::MEMORY_BYTES, resource).map_err(kernel)?;
        let console = Console::start(transport, memory).map_err(|error| format!("{error}"))?;
        let irq = bind_interrupt(device, port, IRQ, resource).map_err(kernel)?;
        Ok(Some(Device {
            kind: Kind::Virtio(Box::new(console)),
            irq,
        }))
    }

    /// Takes the UART from the kernel, whose log then goes through this terminal.
    fn serial(port: Handle, resource: Handle) -> Result<Device, String> {
        let kernel = |error| format!("UART at {:#x}: {error:?}", port::UART);
        system::irq_bind(LOG_LINE, port, LOG, resource).map_err(kernel)?;
        let irq = system::irq_bind(irq::UART_GSI, port, IRQ, resource).map_err(kernel)?;
        let ports = Ports::claim(port::UART, UART_PORTS, resource).map_err(kernel)?;
        let uart = Uart::start(PortRegisters(ports)).ok_or_else(|| {
            format!(
                "the machine announces no virtio-console device, and there is no UART at {:#x}",
                port::UART
            )
        })?;
        Ok(Device {
            kind: Kind::Serial(uart),
            irq,
        })
    }

    /// An interrupt came; whether the window's size may have changed.
    pub fn acknowledge(&mut self) -> bool {
        match &self.kind {
            Kind::Virtio(console) => console.acknowledge().configuration_changed(),
            Kind::Serial(_) => false,
        }
    }

    /// The interrupt was served.
    pub fn served(&self) -> Result<(), ferrix_abi::Error> {
        system::irq_ack(self.irq)
    }

    /// Delivers input that has come.
    pub fn receive(&mut self, deliver: &mut dyn FnMut(&[u8])) -> Result<Input, String> {
        match &mut self.kind {
            Kind::Serial(uart) => Ok(uart.receive(deliver)),
            Kind::Virtio(console) => match console.receive(deliver) {
                Ok(_) => Ok(Input::Drained),
                Err(fault) => Err(format!("{fault}")),
            },
        }
    }

    /// Takes output; how many bytes. If it is none, an interrupt comes when some can be taken.
    pub fn transmit(&mut self, output: &[u8]) -> Result<usize, String> {
        match &mut self.kind {
            Kind::Serial(uart) => Ok(uart.transmit(&output[..output.len().min(PIECE)])),
            Kind::Virtio(console) => console.transmit(output).map_err(|fault| format!("{fault}")),
        }
    }

    /// Whether input was seen meanwhile.
    pub fn saw_input(&self) -> bool {
        match &self.kind {
            Kind::Serial(uart) => uart.saw_input(),
            Kind::Virtio(_) => false,
        }
    }

    /// The window's size, where the device tells it.
    pub fn window_size(&self) -> Option<WindowSize> {
        match &self.kind {
            Kind::Virtio(console) => console.window_size().ok().flatten(),
            Kind::Serial(_) => None,
        }
    }
}
