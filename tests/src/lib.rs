//! Boots a guest, types at it, and waits for what it prints.
//!
//! [`Guest`] is a running machine with its console on a pseudo-terminal or on pipes; [`Options`] say what it is
//! made of, and [`Machine`] what boots it: the monitor, or QEMU; [`Disk`] is its private copy of the root file system; [`host`] knows where the build put things and
//! which tools this machine has. Nothing here sleeps to synchronise: every wait is for an event, up to a time.
//! Failures carry the console's transcript and the monitor's standard error.

#![deny(unsafe_code)]

pub mod disk;
pub mod extent;
pub mod firecracker;
pub mod guest;
pub mod host;
pub mod machine;
mod monitor;
mod options;
mod process;
mod qemu;
pub mod real;
pub mod resident;
mod transcript;
mod wiring;

pub use disk::Disk;
pub use guest::{Ending, Guest, PROMPT};
pub use machine::Machine;
pub use options::{Console, Firmware, Options, Payload};
pub use wiring::Wiring;
