//! What a virtio driver gets from the system: the devices announced, their registers, memory that
//! they may use, their interrupts.

use crate::sys::memory::{self, Mapping};
use crate::sys::{ipc, system};
use alloc::boxed::Box;
use core::fmt;
use core::ptr::NonNull;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_proto::device::{Device, MmioDevice, PciDevice, Region};
use ferrix_proto::startup::Startup;
use ferrix_virtio::bus::mmio::MIN_WINDOW_BYTES;
use ferrix_virtio::bus::{Mmio, Pci, Structures};
use ferrix_virtio::{Bus, DmaMemory, MmioWindow, PhysAddr, Registers, Transport};

/// A virtio device that init announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced(Device);

/// Its place, as people know it: an address, or `bus:device.function`.
impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.place().fmt(f)
    }
}

impl Announced {
    /// The device's transport, if there is a device of the type wanted.
    ///
    /// # Errors
    /// What mapping the registers says.
    pub fn transport(&self, device: u32, resource: Handle) -> Result<Option<Transport>> {
        let bus: Option<Box<dyn Bus>> = match &self.0 {
            Device::Mmio(place) => {
                let bus = Mmio::probe(mmio_window(place, resource)?).ok();
                bus.filter(|bus| bus.device() == device)
                    .map(|bus| Box::new(bus) as _)
            }
            Device::Pci(place) if place.kind == device => {
                let structures = pci_structures(place, resource)?;
                Some(Box::new(Pci::new(device, structures)))
            }
            Device::Pci(_) => None,
        };
        Ok(bus.map(Transport::new))
    }
}

fn mmio_window(device: &MmioDevice, resource: Handle) -> Result<MmioWindow> {
    if device.size < MIN_WINDOW_BYTES as u64 {
        return Err(Error::Invalid);
    }
    window(device.base, device.size, resource)
}

fn pci_structures(device: &PciDevice, resource: Handle) -> Result<Structures<MmioWindow>> {
    let map = |region: Region| window(region.base, region.bytes, resource);
    let config = (device.config != Region::NONE).then_some(device.config);
    Ok(Structures {
        common: map(device.common)?,
        notify: map(device.notify)?,
        notify_bytes: device.notify.bytes as usize,
        notify_multiplier: device.notify_multiplier,
        isr: map(device.isr)?,
        config: config.map(map).transpose()?,
        config_bytes: device.config.bytes as usize,
    })
}

/// Maps registers for good.
fn window(base: u64, bytes: u64, resource: Handle) -> Result<MmioWindow> {
    let slack = base % PAGE_SIZE;
    let length = (slack + bytes).next_multiple_of(PAGE_SIZE);
    let object = memory::object_physical(base - slack, length, resource)?;
    let mut mapping = Mapping::shared(object, length, Prot::READ | Prot::WRITE);
    mapping.flags = MapFlags::UNCACHED | MapFlags::INHERIT_NONE;
    let address = memory::map_anywhere(&mapping)? + slack;
    ipc::close(object)?;
    let pointer = NonNull::new(address as *mut u8).ok_or(Error::Fault)?;
    // SAFETY: the window was just mapped uncached and is never unmapped; the machine announces each
    // device once, and one server is its driver.
    Ok(unsafe { MmioWindow::new(pointer, bytes as usize) })
}

/// The devices in the order announced.
pub fn announced(startup: &Startup) -> impl Iterator<Item = Announced> {
    startup.strings().filter_map(Device::parse).map(Announced)
}

/// Fresh, contiguous memory for rings and slots, never given back.
///
/// # Errors
/// `NoMemory`, `NotPermitted` without the resource's right.
pub fn device_memory(bytes: usize, resource: Handle) -> Result<DmaMemory> {
    let length = (bytes as u64).next_multiple_of(PAGE_SIZE);
    let object = memory::object_contiguous(length, resource)?;
    let physical = memory::physical_address(object, 0, resource)?;
    let mut mapping = Mapping::shared(object, length, Prot::READ | Prot::WRITE);
    mapping.flags = MapFlags::INHERIT_NONE;
    let address = memory::map_anywhere(&mapping)?;
    ipc::close(object)?;
    let pointer = NonNull::new(address as *mut u8).ok_or(Error::Fault)?;
    // SAFETY: (1) the pages are ordinary RAM that only this mapping names, and (2, 3) the mapping, which
    // keeps the object alive, is never removed.
    Ok(unsafe { DmaMemory::new(pointer, PhysAddr(physical), length as usize) })
}

/// Binds a device's interrupt to a port.
///
/// # Errors
/// `NotPermitted` without the resource's right, `Invalid` for a line that does not exist, `NoMemory`
/// when there is no vector left for a message.
pub fn bind_interrupt(
    device: &Announced,
    port: Handle,
    badge: u32,
    resource: Handle,
) -> Result<Handle> {
    match &device.0 {
        Device::Mmio(device) => system::irq_bind(device.gsi, port, badge, resource),
        Device::Pci(device) => {
            let (irq, message) = system::msi_bind(port, badge, resource)?;
            let table = window(device.msix_table, MSIX_ENTRY_BYTES, resource)?;
            table.write32(MSIX_CONTROL, MSIX_MASKED);
            table.write32(MSIX_ADDRESS, message.address as u32);
            table.write32(MSIX_ADDRESS + 4, (message.address >> 32) as u32);
            table.write32(MSIX_DATA, message.data);
            table.write32(MSIX_CONTROL, 0);
            Ok(irq)
        }
    }
}

/// An entry of an MSI-X table (PCI 3.0, section 6.8.2.6): offsets, and the bit that holds it off. The
/// message may change only while it is held off.
const MSIX_ENTRY_BYTES: u64 = 16;
const MSIX_ADDRESS: usize = 0;
const MSIX_DATA: usize = 8;
const MSIX_CONTROL: usize = 12;
const MSIX_MASKED: u32 = 1;
