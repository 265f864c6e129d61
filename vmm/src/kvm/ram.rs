//! Gives guest RAM to KVM.

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress};

use super::KvmError;
use crate::memory::Ram;

/// Registers each range of RAM as one slot.
pub fn map(vm: &VmFd, ram: &Ram) -> Result<(), KvmError> {
    for (slot, region) in ram.iter().enumerate() {
        let host = region
            .get_host_address(MemoryRegionAddress(0))
            .map_err(|e| KvmError::ioctl("find guest RAM")(std::io::Error::other(e)))?;
        let slot = kvm_userspace_memory_region {
            slot: slot as u32,
            flags: 0,
            guest_phys_addr: region.start_addr().raw_value(),
            memory_size: region.len(),
            userspace_addr: host as u64,
        };
        // SAFETY: the range is a mapping owned by `ram`, which `Vm` keeps for as long as the VM
        // exists; the monitor reaches it only through volatile accesses.
        unsafe { vm.set_user_memory_region(slot) }.map_err(KvmError::ioctl("map guest RAM"))?;
    }
    Ok(())
}
