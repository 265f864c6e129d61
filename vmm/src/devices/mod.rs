//! The small devices behind ports: UART, milestones, wall clock.

pub mod cmos;
mod milestones;
pub mod uart;

pub use milestones::{Milestone, Milestones};
