//! Memory: every thread has its UTCB, and pages that travel in messages are only told of.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use alloc::boxed::Box;
use arrayvec::ArrayVec;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Rights;
use ferrix_abi::ipc::{MAPS_MAX, MapItem, Utcb};

use crate::ipc::PagerLink;

/// Pages at this address cannot be sent.
pub const UNMAPPED: u64 = 0xdead_0000;

#[derive(Clone, Copy)]
pub struct UtcbSlot {
    pub number: u16,
    pub address: u64,
    pub kernel: NonNull<Utcb>,
}

// SAFETY: a place that is never freed, used under the core lock.
#[expect(unsafe_code, reason = "as the kernel's")]
unsafe impl Send for UtcbSlot {}

/// An address space.
#[derive(Debug)]
pub struct AddressSpace {
    /// UTCBs in use.
    pub utcbs: AtomicU16,
}

impl AddressSpace {
    pub fn root(&self) -> u64 {
        0
    }

    pub fn utcb_allocate(&self) -> Result<UtcbSlot> {
        let number = self.utcbs.fetch_add(1, Relaxed);
        let place = Box::leak(zeroed());
        Ok(UtcbSlot {
            number,
            address: core::ptr::from_ref(place) as u64,
            kernel: NonNull::from(place),
        })
    }

    pub fn utcb_free(&self, _: u16) {
        self.utcbs.fetch_sub(1, Relaxed);
    }

    pub fn share_range(&self, _: &AddressSpace, item: &MapItem) -> Result<u64> {
        match item.address {
            UNMAPPED => Err(Error::Fault),
            address => Ok(address + 1),
        }
    }

    pub fn share_ranges(
        &self,
        to: &AddressSpace,
        items: &[MapItem],
    ) -> Result<ArrayVec<u64, MAPS_MAX>> {
        items
            .iter()
            .map(|item| self.share_range(to, item))
            .collect()
    }
}

#[expect(unsafe_code, reason = "a page of integers")]
fn zeroed() -> Box<Utcb> {
    // SAFETY: it consists of integers.
    unsafe { Box::new_zeroed().assume_init() }
}

/// A memory object: nobody has one.
#[derive(Debug)]
pub struct VmObject;

impl VmObject {
    pub fn begin_use(&self, _: Rights) {}
    pub fn end_use(&self, _: Rights) {}

    pub fn pager(&self) -> Option<&PagerLink> {
        None
    }

    pub fn has(&self, _: u64) -> bool {
        true
    }
}

pub struct AbsentPage {
    pub object: VmObject,
    pub index: u64,
    pub count: u64,
}

pub struct KernelStack;

impl KernelStack {
    pub fn new() -> Result<KernelStack> {
        Ok(KernelStack)
    }
}

pub mod tlb {
    pub fn kernel_root() -> u64 {
        0
    }
}

pub mod frame {
    pub fn missing() -> u64 {
        0
    }
}

pub mod oom {
    use crate::object::Core;
    use crate::thread::Thread;

    pub fn memory_freed(_: &Core) {}
    pub fn look_again(_: &Core, _: &'static Thread) {}
    pub fn withdraw(_: &Core, _: &'static Thread) {}
}

pub mod uaccess {
    use core::marker::PhantomData;

    use ferrix_abi::error::Result;

    pub struct UserPtr<T>(PhantomData<T>);

    impl<T> UserPtr<T> {
        pub fn new(_: u64) -> UserPtr<T> {
            UserPtr(PhantomData)
        }

        pub fn write(&self, _: &T) -> Result<()> {
            Ok(())
        }
    }
}
