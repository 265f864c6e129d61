//! Type-stable memory: an object that is given back stays an object of its type for good.
//!
//! So a static reference that outlived its object still points to a valid object of that type: a
//! new one, which ids and generations tell from the old. What is free is kept for the next.

use alloc::boxed::Box;

use ferrix_abi::error::Result;

use super::core_lock::{Core, CoreCell};
use crate::mm;

/// An object that a pool keeps.
pub trait Pooled: Sized + Sync + 'static {
    /// Where the pool links it while it is free.
    fn free_link(&self) -> &CoreCell<Option<&'static Self>>;
    /// A new one, for a pool that has none.
    fn fresh() -> Self;
}

/// The free objects of a type, and how many are in use.
#[derive(Debug)]
pub struct Pool<T: Pooled> {
    free: CoreCell<Option<&'static T>>,
    used: CoreCell<u32>,
}

impl<T: Pooled> Pool<T> {
    /// An empty pool.
    pub const fn new() -> Pool<T> {
        Pool {
            free: CoreCell::new(None),
            used: CoreCell::new(0),
        }
    }

    /// Takes an object in whatever state its last user left it.
    pub fn take(&self, core: &Core) -> Result<&'static T> {
        let object = match self.free.get(core) {
            Some(object) => {
                self.free.set(core, object.free_link().take(core));
                object
            }
            None => {
                mm::ensure_reserve()?;
                &*Box::leak(mm::heap::try_box(T::fresh())?)
            }
        };
        self.used.add(core, 1);
        Ok(object)
    }

    /// Gives an object back.
    pub fn give(&self, core: &Core, object: &'static T) {
        object.free_link().set(core, self.free.get(core));
        self.free.set(core, Some(object));
        self.used.decrement(core);
    }

    /// Objects in use.
    pub fn used(&self, core: &Core) -> u32 {
        self.used.get(core)
    }
}

impl<T: Pooled> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}
