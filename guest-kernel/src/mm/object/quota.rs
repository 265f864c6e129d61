//! A limit on the pages of several anonymous objects together: what a file system in memory may use.
//!
//! A page that a program's touch makes appear is refused beyond the limit. Pages that servers make appear are only
//! counted: the server that set the limit looks itself whether there is room.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};

use super::{Backing, VmObject};
use crate::mm::hw;

/// The limit, and what is used.
#[derive(Debug, Default)]
pub struct Quota {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Quota {
    /// Counts a page if there is room for it, or the running thread is a server's; whether it did.
    fn take(&self) -> bool {
        let fits = self.used.fetch_add(1, Relaxed) < self.limit.load(Relaxed) || hw::is_server();
        if !fits {
            self.used.fetch_sub(1, Relaxed);
        }
        fits
    }

    /// Pages that there is room for.
    fn room(&self) -> u64 {
        let used = self.used.load(Relaxed);
        self.limit.load(Relaxed).saturating_sub(used)
    }
}

impl VmObject {
    /// Puts an anonymous object under the quota of another one, which gets this limit, in pages; or under
    /// none. Returns how many pages are used under it.
    pub fn set_quota(&self, leader: Option<&VmObject>, limit: u64) -> Result<u64> {
        let Backing::Anonymous(tree) = &self.backing else {
            return Err(Error::Invalid);
        };
        let quota = leader.map(|leader| {
            let mut own = leader.quota.lock();
            let quota = own.get_or_insert_default();
            quota.limit.store(limit, Relaxed);
            quota.clone()
        });
        let tree = tree.lock();
        self.uncharge(tree.pages());
        *self.quota.lock() = quota;
        self.charge(tree.pages());
        let quota = self.quota.lock();
        Ok(quota.as_ref().map_or(0, |quota| quota.used.load(Relaxed)))
    }

    fn with_quota<T>(&self, f: impl FnOnce(&Arc<Quota>) -> T) -> Option<T> {
        self.quota.lock().as_ref().map(f)
    }

    /// Whether a page may appear; then it is counted.
    pub(super) fn may_appear(&self) -> bool {
        self.with_quota(|quota| quota.take()).unwrap_or(true)
    }

    /// Whether there is room for `pages` more.
    pub(super) fn has_room_for(&self, pages: u64) -> bool {
        self.with_quota(|quota| quota.room() >= pages)
            .unwrap_or(true)
    }

    /// Counts pages that are there.
    pub(super) fn charge(&self, pages: u64) {
        self.with_quota(|quota| quota.used.fetch_add(pages, Relaxed));
    }

    /// Pages are gone.
    pub(super) fn uncharge(&self, pages: u64) {
        self.with_quota(|quota| quota.used.fetch_sub(pages, Relaxed));
    }
}
