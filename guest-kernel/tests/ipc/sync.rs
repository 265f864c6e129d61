//! The kernel's.

pub use ferrix_kernel::sync::SpinLock;
