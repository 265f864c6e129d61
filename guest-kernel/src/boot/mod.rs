//! What the boot loader hands over: memory, modules, command line, CPUs, devices.
//!
//! | module | source |
//! |---|---|
//! | `pvh` | the PVH start information |
//! | `acpi` | the MADT: CPUs and I/O APICs |
//! | [`fadt`] | how the machine is switched off and reset |
//! | [`mcfg`] | where PCI configuration space is |
//! | [`archive`] | several modules in one, for loaders that pass only one |
//! | [`command_line`] | `virtio_mmio.device=` |
//!
//! The loader's own structures stay where they are (below 1 MiB, or reserved), and are read in
//! place.

pub mod archive;
pub mod command_line;
pub mod fadt;
pub mod mcfg;

#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "firmware tables are found by address")]
mod acpi;
#[cfg(target_os = "none")]
mod info;
#[cfg(target_os = "none")]
#[expect(
    unsafe_code,
    reason = "the boot loader's structures are found by address"
)]
mod pvh;

#[cfg(target_os = "none")]
pub use info::{
    BootModule, Devices, apic_ids, command_line, devices, ends, init, init_memory, io_apics,
    is_mappable, memory_bytes, modules, publish,
};
