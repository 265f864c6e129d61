//! The `vmm` binary on `/dev/kvm`, with kernels of a few handmade instructions.

mod bad_input;
mod bad_table;
mod boot;
mod check;
mod common;
mod console;
mod crash;
mod gdb;
mod terminal;
mod virtio;
