//! The kernel's.

pub use ferrix_kernel::object::{Core, CoreCell, CoreGuard, CoreRef};
pub use ferrix_kernel::object::{core_lock, ids, list, pool, table};

#[path = "../../src/object/kinds.rs"]
pub mod kinds;

pub use kinds::Object;
