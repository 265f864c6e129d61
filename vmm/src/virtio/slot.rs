//! Where a front leaves an activated device for its back.

use std::sync::{Arc, MutexGuard};

use crate::sync::Mutex;

/// Shared by front and back; empty while the driver has not set up the device.
///
/// Whoever holds the guard may touch the rings; a reset therefore waits for work in progress.
#[derive(Debug)]
pub struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    /// The content, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock()
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
