//! The Ferrix microkernel.
//!
//! Threads, address spaces, message passing, signals, timers, interrupts and handles; no path
//! names, no files, no drivers but the interrupt controllers, the timer and the log's UART.
//!
//! | modules | what they do |
//! |---|---|
//! | [`boot`], [`arch`], [`time`], [`sync`], [`log`], [`panic`] | the machine: entry, CPUs, traps, clocks, locks |
//! | [`mm`] | frames, slabs, page tables, memory objects, address spaces |
//! | [`object`], [`process`], [`thread`], [`sched`], [`ipc`], [`signal`], [`futex`], [`timer`], [`irq`] | what system calls act upon |
//! | [`syscall`], [`exception`] | the ways in |
//! | [`stats`], [`trace`] | what is told of it all |
//!
//! Logic that needs no hardware also compiles for the host, where `cargo test` runs it; what
//! does is behind `cfg(target_os = "none")`.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]

extern crate alloc;

// First, for its macro.
#[cfg(target_os = "none")]
#[macro_use]
#[expect(unsafe_code, reason = "the UART's ports")]
pub mod log;

#[cfg_attr(
    target_os = "none",
    expect(
        unsafe_code,
        reason = "the machine itself: instructions, tables, registers"
    )
)]
pub mod arch;
pub mod aside;
pub mod backlog;
pub mod boot;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "a table with a name of its own, of addresses")]
mod debug;
#[cfg(target_os = "none")]
pub mod exception;
pub mod futex;
pub mod ipc;
#[cfg(target_os = "none")]
pub mod irq;
pub mod machine_check;
pub mod mm;
pub mod object;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "walks frame pointers")]
pub mod panic;
#[cfg(target_os = "none")]
pub mod ports;
pub mod process;
pub mod sched;
pub mod signal;
pub mod stats;
#[expect(unsafe_code, reason = "locks hand out references to what they protect")]
pub mod sync;
#[cfg(target_os = "none")]
pub mod syscall;
pub mod thread;
#[cfg(target_os = "none")]
#[expect(
    unsafe_code,
    reason = "reads the time stamp counter and the paravirtual clock page"
)]
pub mod time;
pub mod timer;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "buffers that the monitor reads")]
pub mod trace;
#[cfg(test)]
mod user_memory;
