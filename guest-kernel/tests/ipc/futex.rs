//! Nobody waits for a futex here.

use ferrix_abi::error::Result;

use crate::object::Core;
use crate::thread::Thread;

pub use ferrix_kernel::futex::Key;

pub fn withdraw(_: &Core, _: &'static Thread) {}

pub fn key(_: u64, _: u32) -> Result<Key> {
    Ok(Key::NONE)
}

pub fn wake(_: &mut Core, _: Key, _: u32, _: u32) {}

pub mod pi {
    use super::{Core, Thread};

    pub fn withdraw(_: &mut Core, _: &'static Thread) {}
    pub fn owner_ended(_: &mut Core, _: &'static Thread) {}
}

pub mod robust {
    use super::Thread;

    pub fn release(_: &'static Thread) {}
}
