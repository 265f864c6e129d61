//! Hostile input for the monitor's parts: one function per kind of input, which takes any bytes, makes of them
//! what a guest, a file or a debugger could send, and panics if that did harm.
//!
//! | target | the bytes become | afterwards |
//! |---|---|---|
//! | [`blk`] | descriptors, rings, requests, register writes, resets of a virtio-blk device | the file is as its mode allows; an honest read works |
//! | [`mmio`] | register accesses of any width to a disk, a console or an entropy source | a driver can set the device up |
//! | [`console`] | the same for virtio-console, and typed bytes | an honest byte goes through both ways |
//! | [`manifest`] | an image manifest | paths lie where the manifest says; errors are one text with a line number |
//! | [`kernel`] | a kernel file: ELF, PVH note, bzImage | what is accepted lies in RAM, and can be loaded |
//! | [`gdb`] | what a debugger sends | the next debugger is served |
//!
//! The fuzzers of `vmm/fuzz` and the tests here call the same functions. [`seeds`] writes the inputs that both
//! begin with: honest ones.

#![deny(unsafe_code)]

pub mod blk;
pub mod console;
pub mod device;
pub mod gdb;
pub mod kernel;
pub mod manifest;
pub mod mmio;
pub mod op;
pub mod seeds;

/// A target: its name, what runs it, and its seeds.
pub struct Target {
    /// As `vmm/fuzz` names it.
    pub name: &'static str,
    /// Panics if the bytes did harm.
    pub run: fn(&[u8]),
    /// Honest inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "blk",
        run: blk::run,
        seeds: seeds::devices::blk,
    },
    Target {
        name: "mmio",
        run: mmio::run,
        seeds: seeds::devices::mmio,
    },
    Target {
        name: "console",
        run: console::run,
        seeds: seeds::devices::console,
    },
    Target {
        name: "manifest",
        run: manifest::run,
        seeds: seeds::texts::manifest,
    },
    Target {
        name: "kernel",
        run: kernel::run,
        seeds: seeds::kernels::kernel,
    },
    Target {
        name: "gdb",
        run: gdb::run,
        seeds: seeds::texts::gdb,
    },
];

#[cfg(test)]
mod tests;
