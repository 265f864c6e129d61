//! System call stubs: one typed function per call of [`ferrix_abi::number::Call`].
//!
//! The stubs add nothing to the call: units, results and errors are as documented there.

pub mod ipc;
pub mod limit;
pub mod memory;
pub mod process;
pub mod raw;
pub mod signal;
pub mod system;
pub mod thread;
pub mod utcb;
