//! PCI configuration space in memory (PCI Express base specification, "Enhanced Configuration Access Mechanism"):
//! 4 KiB a function.

use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::info::PciHost;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_pci::{Config, Location};
use ferrix_rt::sys::ipc;
use ferrix_rt::sys::memory::{self, Mapping};

const BUS_BYTES: u64 = 1 << 20;

/// The configuration space of a segment, mapped as long as the value lives. Its pages cost nothing until they
/// are touched.
#[derive(Debug)]
pub struct Ecam {
    address: u64,
    length: u64,
    first_bus: u8,
}

impl Ecam {
    /// Maps it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn map(host: &PciHost, resource: Handle) -> Result<Ecam> {
        let buses = u64::from(host.last_bus - host.first_bus) + 1;
        let length = buses * BUS_BYTES;
        let base = host.ecam + u64::from(host.first_bus) * BUS_BYTES;
        let object = memory::object_physical(base, length, resource)?;
        let mut mapping = Mapping::shared(object, length, Prot::READ | Prot::WRITE);
        mapping.flags = MapFlags::UNCACHED | MapFlags::INHERIT_NONE;
        let address = memory::map_anywhere(&mapping);
        ipc::close(object)?;
        Ok(Ecam {
            address: address?,
            length,
            first_bus: host.first_bus,
        })
    }

    fn register(&self, at: Location, offset: u8) -> *mut u32 {
        let bus = u64::from(at.bus - self.first_bus);
        let function = u64::from(at.device) << 15 | u64::from(at.function) << 12;
        let place = bus * BUS_BYTES + function + u64::from(offset & !3);
        assert!(place < self.length, "configuration space of {at}");
        (self.address + place) as *mut u32
    }
}

impl Config for Ecam {
    fn read(&self, at: Location, offset: u8) -> u32 {
        // SAFETY: an aligned register within the mapping.
        u32::from_le(unsafe { self.register(at, offset).read_volatile() })
    }

    fn write(&self, at: Location, offset: u8, value: u32) {
        // SAFETY: as above; configuration space is init's alone.
        unsafe {
            self.register(at, offset).write_volatile(value.to_le());
        }
    }
}

impl Drop for Ecam {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        let _ = unsafe { memory::unmap(memory::SELF, self.address, self.length) };
    }
}
