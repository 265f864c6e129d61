//! What a virtio driver gets from the system: the devices announced, their registers, memory that
//! they may use, their interrupts.

use crate::sys::memory::{self, Mapping};
use crate::sys::{ipc, system};
use core::ptr::NonNull;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_proto::startup::Startup;
use ferrix_virtio::{DmaMemory, MmioWindow, PhysAddr, Transport};

/// A virtio-mmio device that the machine announces (init passes `virtio=BASE,SIZE,GSI`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Physical address of the registers.
    pub base: u64,
    /// Bytes of the window.
    pub size: u64,
    /// Global system interrupt.
    pub gsi: u32,
}

impl Announced {
    fn parse(argument: &[u8]) -> Option<Announced> {
        let text = core::str::from_utf8(argument)
            .ok()?
            .strip_prefix("virtio=")?;
        let mut fields = text.split(',');
        let base = u64::from_str_radix(fields.next()?, 16).ok()?;
        let size = u64::from_str_radix(fields.next()?, 16).ok()?;
        Some(Announced {
            base,
            size,
            gsi: fields.next()?.parse().ok()?,
        })
    }

    /// The device's transport, if there is a device of the type wanted behind the window.
    ///
    /// # Errors
    /// What mapping the registers says.
    pub fn transport(
        &self,
        device: u32,
        resource: Handle,
    ) -> Result<Option<Transport<MmioWindow>>> {
        let window = self.registers(resource)?;
        let transport = Transport::probe(window).ok();
        Ok(transport.filter(|transport| transport.device() == device))
    }

    fn registers(&self, resource: Handle) -> Result<MmioWindow> {
        let slack = self.base % PAGE_SIZE;
        let bytes = (slack + self.size).next_multiple_of(PAGE_SIZE);
        let object = memory::object_physical(self.base - slack, bytes, resource)?;
        let mut mapping = Mapping::shared(object, bytes, Prot::READ | Prot::WRITE);
        mapping.flags = MapFlags::UNCACHED | MapFlags::INHERIT_NONE;
        let address = memory::map_anywhere(&mapping)? + slack;
        ipc::close(object)?;
        let base = NonNull::new(address as *mut u8).ok_or(Error::Fault)?;
        // SAFETY: the window was just mapped uncached and is never unmapped; the machine announces each
        // device once, and one server is its driver.
        Ok(unsafe { MmioWindow::new(base, self.size as usize) })
    }
}

/// The devices in the order announced.
pub fn announced(startup: &Startup) -> impl Iterator<Item = Announced> {
    startup.strings().filter_map(Announced::parse)
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
/// `NotPermitted` without the resource's right, `Invalid` for a line that does not exist.
pub fn bind_interrupt(
    device: &Announced,
    port: Handle,
    badge: u32,
    resource: Handle,
) -> Result<Handle> {
    system::irq_bind(device.gsi, port, badge, resource)
}
