//! The virtio devices of the machine, in the order in which drivers number them: those with register
//! windows as the machine announces them, then those behind PCI by bus, device and function. So the first
//! disk in this order is `vda`.

use crate::ecam::Ecam;
use crate::modules::Modules;
use alloc::vec::Vec;
use ferrix_abi::info::PciHost;
use ferrix_abi::vm::PHYSICAL_END;
use ferrix_pci::{Window, find_virtio};
use ferrix_proto::device::{Device, MmioDevice};
use ferrix_rt::log;

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
    let host = modules.pci();
    if host.ecam != 0 {
        add_pci(&mut devices, host, modules);
    }
    devices
}

fn add_pci(devices: &mut Vec<Device>, host: &PciHost, modules: &Modules) {
    let ecam = match Ecam::map(host, modules.resource()) {
        Ok(ecam) => ecam,
        Err(error) => {
            log!(
                "init",
                "no PCI: the kernel refuses configuration space at {:#x}: {error:?}",
                host.ecam
            );
            return;
        }
    };
    let window = Window {
        base: host.window,
        bytes: host.window_bytes,
    };
    let found = find_virtio(&ecam, host.first_bus..=host.last_bus, window, PHYSICAL_END);
    for (at, problem) in &found.problems {
        log!("init", "virtio device {at} cannot be used: {problem}");
    }
    devices.extend(found.devices.into_iter().map(Device::Pci));
}
