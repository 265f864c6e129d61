//! Boot modules: named memory objects that the kernel hands to init.

use crate::startup::Failure;
use ferrix_abi::handle::Handle;
use ferrix_abi::info::{BootInfo, Module};
use ferrix_abi::vm::Prot;
use ferrix_rt::sys::memory::{Mapping, map_anywhere};
use ferrix_rt::sys::system;

/// The modules and the boot information.
#[derive(Clone, Copy)]
pub struct Modules {
    info: &'static BootInfo,
}

impl Modules {
    /// Looks at the boot information.
    pub fn find() -> Result<Modules, Failure> {
        // SAFETY: this is init.
        let info = unsafe { system::boot_info() };
        if info.resource == 0 {
            return Err(Failure::new("kernel", "gave init no resource handle"));
        }
        Ok(Modules { info })
    }

    /// The resource handle with every right.
    pub fn resource(&self) -> Handle {
        Handle(self.info.resource)
    }

    /// The virtio devices that the machine announces.
    pub fn virtio(&self) -> &'static [ferrix_abi::info::VirtioDevice] {
        let info = self.info;
        &info.virtio[..(info.virtio_count as usize).min(info.virtio.len())]
    }

    /// PCI, if the machine announces it.
    pub fn pci(&self) -> &'static ferrix_abi::info::PciHost {
        &self.info.pci
    }

    fn module(&self, name: &str) -> Result<&'static Module, Failure> {
        let info = self.info;
        let modules = &info.modules[..(info.module_count as usize).min(info.modules.len())];
        let found = modules
            .iter()
            .find(|module| arguments(module).split(' ').next() == Some(name));
        found.ok_or_else(|| Failure::new(name, "no boot module has this name: add it to the image"))
    }

    /// The object of a module.
    pub fn object(&self, name: &str) -> Result<Handle, Failure> {
        self.module(name).map(|module| Handle(module.handle))
    }

    /// The bytes of a module, mapped for reading.
    pub fn bytes(&self, name: &str) -> Result<&'static [u8], Failure> {
        let module = self.module(name)?;
        let mapping = Mapping::shared(Handle(module.handle), module.size, Prot::READ);
        let address = map_anywhere(&mapping).map_err(|error| Failure::kernel(name, error))?;
        // SAFETY: the mapping has `size` bytes, is never unmapped, and nobody writes a module's pages:
        // processes get private copies of what is writable.
        Ok(unsafe { core::slice::from_raw_parts(address as *const u8, module.size as usize) })
    }

    /// A module that is text.
    pub fn text(&self, name: &str) -> Result<&'static str, Failure> {
        core::str::from_utf8(self.bytes(name)?).map_err(|_| Failure::new(name, "is not UTF-8 text"))
    }
}

fn arguments(module: &Module) -> &str {
    let used = (module.arguments_length as usize).min(module.arguments.len());
    core::str::from_utf8(&module.arguments[..used]).unwrap_or_default()
}

/// The kernel's command line.
pub fn command_line() -> &'static str {
    let info = system::kernel_info();
    let used = (info.command_line_length as usize).min(info.command_line.len());
    core::str::from_utf8(&info.command_line[..used]).unwrap_or_default()
}
