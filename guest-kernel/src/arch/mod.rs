//! The processor and its interrupt controllers.
//!
//! Everything above names `arch::…` and knows no other architecture detail than [`TrapFrame`].
//! On the host only what tests need exists: [`cpu`] of one imaginary CPU per test thread.

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(target_os = "none")]
pub mod x86_64;

#[cfg(not(target_os = "none"))]
pub use host::cpu;
#[cfg(target_os = "none")]
pub use x86_64::*;
