//! Address spaces: the mappings ([`VmMap`]) and the page tables ([`Pmap`]) of a process.
//!
//! Private anonymous memory lives in the page tables alone: an entry with `Pte::OWNED` holds one
//! reference to its page. `fork` copies such entries, both sides read-only, and counts; a write
//! fault on a page with a single owner makes it writable again, on any other it copies. So
//! there are no shadow objects to chain and collapse, and a page is freed by whoever lets go last.
//! Everything else is an object's page, which lives as long as a mapping names the object.
//!
//! | file | what |
//! |---|---|
//! | `mapping` | map, unmap, protect, query, discard, inherit |
//! | `remap` | mappings that grow and move |
//! | `limits` | what a process may use, and how often it wanted more |
//! | `resident` | locked pages, and which are present |
//! | `quick` | short ways for the most frequent of all these |
//! | `fault` | demand zero, copy on write, fault-around, stack growth |
//! | `fork` | the child's copy |
//! | `transfer` | page ranges in messages |
//! | `access` | reading and writing another address space, futex keys |
//! | `shown` | an object's pages, wherever they are mapped |
//! | `supply` | pages on their way from a pager into its object |

mod access;
mod fault;
mod fork;
mod limits;
mod mapping;
mod quick;
mod remap;
mod resident;
mod shown;
mod supply;
mod transfer;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::Result;

pub use access::Sharing;
pub use fault::{AbsentPage, Access, FaultError};
pub use limits::{Bound, Limits};
pub use mapping::MapRequest;
pub use resident::Lock;
pub use shown::Shown;

use super::frame;
use super::map::VmMap;
use super::object::Home;
use super::phys::PhysAddr;
use super::pmap::Pmap;
use super::tlb::{self, Flush};
use super::utcb::Slots;
use crate::sync::{SpinLock, SpinLockGuard};

/// Source of [`AddressSpace::id`].
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What one address space uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes mapped.
    pub mapped_bytes: u64,
    /// Pages present.
    pub resident_pages: u64,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) map: VmMap,
    pub(super) pmap: Pmap,
    limits: Limits,
    pub(super) utcbs: Slots,
}

/// The memory of a process.
#[derive(Debug)]
pub struct AddressSpace {
    home: Home,
    root: PhysAddr,
    inner: SpinLock<Inner>,
}

impl AddressSpace {
    /// An empty address space: the kernel, and the information page.
    pub fn new() -> Result<Arc<AddressSpace>> {
        frame::ensure_reserve()?;
        Ok(Self::with_tables(Pmap::new()?, Limits::none()))
    }

    fn with_tables(pmap: Pmap, limits: Limits) -> Arc<AddressSpace> {
        Arc::new_cyclic(|space| AddressSpace {
            home: Home {
                id: NEXT_ID.fetch_add(1, Relaxed),
                space: space.clone(),
            },
            root: pmap.root(),
            inner: SpinLock::new(Inner {
                map: VmMap::new(),
                pmap,
                limits,
                utcbs: Slots::default(),
            }),
        })
    }

    /// Unique since boot.
    pub fn id(&self) -> u64 {
        self.home.id
    }

    /// Physical address of the root table, for CR3.
    #[inline]
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    #[inline]
    #[cfg_attr(any(feature = "sections", feature = "lockdep"), track_caller)]
    pub(super) fn lock(&self) -> SpinLockGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Bytes mapped, pages present.
    pub fn usage(&self) -> Usage {
        let inner = self.lock();
        Usage {
            mapped_bytes: inner.map.mapped(),
            resident_pages: inner.pmap.resident(),
        }
    }
}

impl Inner {
    /// Mappings and page tables, to use both at a time.
    fn parts(&mut self) -> (&mut VmMap, &mut Pmap) {
        (&mut self.map, &mut self.pmap)
    }
}

/// No thread is left; a CPU may still have the tables loaded.
impl Drop for AddressSpace {
    fn drop(&mut self) {
        tlb::flush(self.root, Flush::Leave);
        // Nobody else has it: no lock, so that this can be preempted however much there is.
        self.inner.get_mut().pmap.destroy();
    }
}

#[cfg(test)]
mod tests;
