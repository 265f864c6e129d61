//! `vmm`: the KVM monitor that boots Ferrix, and other PVH kernels.
//!
//! The layers, from the command line down:
//!
//! | module | what it does | speaks to |
//! |---|---|---|
//! | [`cli`], [`config`] | options and the image manifest become one [`config::VmConfig`] | |
//! | [`boot`] | validates the kernel, lays out RAM, ACPI tables and the PVH start info | [`memory`] |
//! | [`kvm`] | the virtual machine, CPUID, registers, KVM's statistics | `/dev/kvm` |
//! | [`vcpu`] | a thread per vCPU and the dispatch of its exits | [`bus`] |
//! | [`bus`], [`devices`], [`virtio`], [`disk`] | what a port or an MMIO window does | irqfd, ioeventfd |
//! | [`console`] | terminal, standard input and output, the kernel's log | the event loop |
//! | [`run`] | the event loop that owns one machine from start to status | all of them |
//! | [`sandbox`] | what the monitor's threads may ask of the host | seccomp |
//! | [`check`], [`info`] | what would run; what this host offers | |
//! | [`gdb`], [`inspect`], [`stats`], [`trace`] | looking into the guest | [`vcpu`] |
//!
//! Every layer has one error enum; [`error::VmmError`] joins them and knows the exit status.

#![deny(unsafe_code)]

pub mod boot;
pub mod bus;
mod bytes;
pub mod check;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod devices;
pub mod disk;
pub mod error;
pub mod gdb;
pub mod info;
pub mod inspect;
pub mod kvm;
pub mod logger;
pub mod memory;
mod nameless;
pub mod run;
#[expect(
    unsafe_code,
    reason = "the handler of SIGSYS speaks to the kernel itself"
)]
pub mod sandbox;
pub mod stats;
pub mod status;
mod sync;
pub mod timer;
pub mod trace;
pub mod vcpu;
pub mod virtio;
