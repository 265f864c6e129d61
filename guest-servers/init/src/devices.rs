//! The virtio devices of the machine, in the order in which drivers number them: those with register
//! windows as the machine announces them, then those behind PCI by bus, device and function. So the first
//! disk in this order is `vda`.

use crate::ecam::Ecam;
use crate::modules::Modules;
use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_abi::info::PciHost;
use ferrix_abi::vm::PHYSICAL_END;
use ferrix_pci::{Config, Location, Window, find_virtio};
use ferrix_proto::device::{Device, MmioDevice};
use ferrix_rt::log;
use ferrix_rt::sys::system;

/// Finds them, and makes those behind PCI ready.
pub fn find(modules: &Modules) -> Vec<Device> {
    let announced = modules.virtio().iter().map(|device| {
        Device::Mmio(MmioDevice {
            base: device.base,
            size: device.size.into(),
            gsi: device.gsi,
        })
    });
    let mut devices: Vec<_> = announced.collect();
    let (host, resource) = (modules.pci(), modules.resource());
    if host.ecam != 0 {
        match Ecam::map(host, resource) {
            Ok(ecam) => add_pci(&mut devices, &ecam, host),
            Err(error) => log!(
                "init",
                "no PCI: the kernel refuses configuration space at {:#x}: {error:?}",
                host.ecam
            ),
        }
    } else if devices.is_empty()
        && let Some(ports) = ConfigPorts::find(resource)
    {
        let host = PciHost {
            last_bus: u8::MAX,
            ..PciHost::default()
        };
        add_pci(&mut devices, &ports, &host);
    }
    devices
}

fn add_pci(devices: &mut Vec<Device>, config: &impl Config, host: &PciHost) {
    let window = Window {
        base: host.window,
        bytes: host.window_bytes,
    };
    let buses = host.first_bus..=host.last_bus;
    let found = find_virtio(config, buses, window, PHYSICAL_END);
    for (at, problem) in &found.problems {
        log!("init", "virtio device {at} cannot be used: {problem}");
    }
    devices.extend(found.devices.into_iter().map(Device::Pci));
}

/// Configuration space by ports, through the kernel: on machines that do not have it in memory.
#[derive(Debug)]
struct ConfigPorts {
    resource: Handle,
}

impl ConfigPorts {
    /// `None` if the machine has no such ports.
    fn find(resource: Handle) -> Option<ConfigPorts> {
        system::pci_read(0, resource).ok()?;
        Some(ConfigPorts { resource })
    }
}

fn register(at: Location, offset: u8) -> u32 {
    let device = u32::from(at.device) << 11 | u32::from(at.function) << 8;
    u32::from(at.bus) << 16 | device | u32::from(offset)
}

impl Config for ConfigPorts {
    fn read(&self, at: Location, offset: u8) -> u32 {
        system::pci_read(register(at, offset), self.resource).unwrap_or(u32::MAX)
    }

    fn write(&self, at: Location, offset: u8, value: u32) {
        // It was there when it was read.
        let _ = system::pci_write(register(at, offset), value, self.resource);
    }
}
