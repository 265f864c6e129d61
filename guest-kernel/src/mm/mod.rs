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
//! # The boundaries
//!
//! Each layer asks the one below it only for this:
//!
//! | of | what is asked |
//! |---|---|
//! | [`pmap`] by [`space`], [`gather`], [`utcb`] | [`Pmap`](pmap::Pmap): a page's entry (`get`, `set`, `fill`), a `walk` that shows a [`Visitor`](pmap::Visitor) every entry of a range, what `fork` does (`share`, `copy_pages`, `own`), the end (`destroy`). [`Pte`](pmap::Pte): a frame, its protection, and whether the entry owns it |
//! | [`tlb`] by all who take something away | `flush`: every CPU that runs this root forgets a range; a [`Gather`](gather::Gather) does so before the pages go |
//! | [`map`] by [`space`] | intervals: find, insert, isolate, cut, join, a gap |
//! | [`object`] by [`space`] | the page at an index, the run of those present, dirty marks |
//! | [`space`] by [`object`] | who lists an object ([`object::users`]) takes its pages out of the page tables |
//! | [`frame`] by all of these | frames of any content or of zeroes, with owners counted in [`page`] |
//! | `hw` by [`tlb`], [`heap`], [`object`] | CPUs, flushes and interrupts; a pager's link |
//!
//! The files that know the processor lie in `arch/x86_64` and are named by their paths below. Nothing else here
//! has an instruction or a bit of it in it (a test looks); [`fault`] takes the trap's frame apart. On the host
//! `host` stands for `hw` and for RAM, so that tests run the page tables too, not a replica of them.
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
pub use kstack::KernelStack;
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

#[cfg(test)]
mod tests;
