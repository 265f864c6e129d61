//! The kernel's.

#[path = "../../src/syscall/handle.rs"]
pub mod handle;
#[path = "../../src/syscall/port.rs"]
pub mod port;
