//! The small devices behind ports: UART, milestones, wall clock.

pub mod cmos;
mod milestones;
pub mod power;
pub mod serial;
pub mod uart;

pub use milestones::{Milestone, Milestones};

/// Registers of a byte each, behind ports that follow one another.
pub trait Registers: Send + Sync {
    /// OUT to register `offset`: one byte after the other.
    fn write(&self, offset: u16, data: &[u8]);
    /// IN from register `offset`.
    fn read(&self, offset: u16, data: &mut [u8]);
}
