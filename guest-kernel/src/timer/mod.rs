//! Deadlines: of waits, of ports' timers, of processes' alarms.

pub mod queue;

#[cfg(target_os = "none")]
mod expiry;
#[cfg(target_os = "none")]
pub use expiry::{
    Owner, Timer, arm, expired, interrupt, interrupt_after_all, interrupt_of_program, set,
};
