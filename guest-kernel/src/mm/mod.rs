//! Memory: frames, the kernel's heap, address spaces.
//!
//! | layer | modules |
//! |---|---|
//! | physical | [`phys`] (direct map), [`page`] (descriptors), [`buddy`], [`frame`] (the allocator) |
//! | kernel's own | [`slab`], [`heap`], [`kstack`], [`window`] |
//! | hardware | [`pmap`] (page tables), [`tlb`], [`gather`] |
//! | address spaces | [`object`], [`map`] and [`entry`] (intervals), [`space`], [`utcb`], [`info`] |
//! | entry points | [`fault`], [`oom`], [`uaccess`], [`tlb_ipi`] |
//!
//! Lock order: address space → object → slabs → frames; the shoot-down's sender lock comes after
//! the address space. Two address spaces are locked together only while one is still being made.

pub mod buddy;
pub mod entry;
pub mod frame;
pub mod gather;
#[expect(unsafe_code, reason = "the global allocator hands out raw memory")]
pub mod heap;
#[expect(unsafe_code, reason = "boot information is copied into a page")]
pub mod info;
pub mod kstack;
pub mod map;
pub mod object;
#[expect(unsafe_code, reason = "descriptors are found by address")]
pub mod page;
pub mod page_tree;
#[expect(unsafe_code, reason = "frames are reached by address")]
pub mod phys;
#[path = "../arch/x86_64/pmap.rs"]
pub mod pmap;
#[path = "../arch/x86_64/pte.rs"]
pub mod pte;
#[path = "../arch/x86_64/share.rs"]
pub mod share;
#[expect(unsafe_code, reason = "free objects are linked through themselves")]
pub mod slab;
pub mod space;
mod start;
#[expect(unsafe_code, reason = "page tables are reached by address")]
#[path = "../arch/x86_64/table.rs"]
mod table;
#[expect(unsafe_code, reason = "the root table is switched")]
pub mod tlb;
#[expect(unsafe_code, reason = "UTCBs are shared with user space")]
pub mod utcb;
#[path = "../arch/x86_64/walk.rs"]
mod walk;
pub mod window;

#[cfg(target_os = "none")]
#[path = "../arch/x86_64/audit.rs"]
pub mod audit;
#[cfg(target_os = "none")]
pub mod fault;
#[cfg(target_os = "none")]
mod hw;
#[cfg(target_os = "none")]
pub mod oom;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "instructions")]
#[path = "../arch/x86_64/paging.rs"]
pub mod paging;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "user memory is copied by address")]
#[path = "../arch/x86_64/uaccess.rs"]
pub mod uaccess;

#[cfg(not(target_os = "none"))]
#[expect(unsafe_code, reason = "stands in for RAM")]
pub mod host;
#[cfg(not(target_os = "none"))]
use host as hw;

pub use entry::{Inherit, Kind, VmEntry};
pub use frame::ensure_reserve;
pub use object::VmObject;
pub use phys::{Frame, PhysAddr};
pub use space::{
    AbsentPage, Access, AddressSpace, Bound, FaultError, Lock, MapRequest, Sharing, Usage,
};
pub use start::{BootMemory, init};
pub use tlb::poll as tlb_ipi;
pub use utcb::UtcbSlot;
pub use window::map_device;

/// Where RAM went, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Under management.
    pub total: u64,
    /// Free.
    pub free: u64,
    /// In slabs and kernel stacks.
    pub kernel: u64,
    /// In page tables of address spaces.
    pub tables: u64,
}

/// Counts pages. The slabs' free objects of this CPU are given back first, so that two counts
/// around a balanced stretch of work agree.
pub fn statistics() -> Statistics {
    heap::trim();
    let (free, total) = frame::statistics();
    let kernel = heap::slab_frames() + kstack::pages();
    Statistics {
        total,
        free,
        kernel,
        tables: pmap::table_pages(),
    }
}
