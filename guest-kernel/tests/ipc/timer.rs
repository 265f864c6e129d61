//! The kernel's.

pub use ferrix_kernel::timer::queue;

#[path = "../../src/timer/expiry.rs"]
mod expiry;

pub use expiry::{Owner, Timer, arm, expired, set};
