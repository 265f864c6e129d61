//! UTCB pages: one for each thread of a process, always present, reached by the kernel
//! through the direct map.

use alloc::vec::Vec;
use core::ptr::NonNull;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::ipc::Utcb;
use ferrix_abi::layout::{MAX_THREADS, PAGE_SIZE, UTCB_BASE};
use ferrix_abi::vm::Prot;

use super::frame;
use super::pmap::Pte;
use super::space::AddressSpace;

/// A thread's UTCB. The page lives as long as the address space.
#[derive(Clone, Copy, Debug)]
pub struct UtcbSlot {
    /// Slot number in the process.
    pub number: u16,
    /// Where the process sees it.
    pub address: u64,
    /// Where the kernel sees it. User code may write it at any time: copy before checking.
    pub kernel: NonNull<Utcb>,
}

// SAFETY: a slot only names memory; each access through `kernel` justifies itself.
unsafe impl Send for UtcbSlot {}
// SAFETY: as above.
unsafe impl Sync for UtcbSlot {}

impl AddressSpace {
    /// Takes a UTCB slot. Its page holds zeroes, or what its last user left there.
    pub fn utcb_allocate(&self) -> Result<UtcbSlot> {
        let mut inner = self.lock();
        if let Some(number) = inner.utcbs.reuse() {
            let address = UTCB_BASE + number as u64 * PAGE_SIZE;
            return Ok(slot(number, inner.pmap.get(address)));
        }
        let number = inner.utcbs.used;
        if number as u64 >= MAX_THREADS {
            return Err(Error::WouldBlock);
        }
        let frame = frame::alloc_zeroed().ok_or(Error::NoMemory)?;
        let pte = Pte::new(frame, Prot::READ | Prot::WRITE).with(Pte::OWNED);
        let address = UTCB_BASE + number as u64 * PAGE_SIZE;
        inner
            .pmap
            .set(address, pte)
            .inspect_err(|_| frame::free_zeroed(frame))?;
        inner.utcbs.used += 1;
        Ok(slot(number, pte))
    }

    /// Gives a slot back; the page stays for the next thread.
    pub fn utcb_free(&self, number: u16) {
        self.lock().utcbs.give_back(number);
    }
}

/// Which slots of an address space have pages, and which of those are free.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Slots below this one have pages.
    used: u16,
    /// Free ones among the first 64, as bits.
    low: u64,
    /// Other free ones.
    high: Vec<u16>,
}

impl Slots {
    fn reuse(&mut self) -> Option<u16> {
        if self.low == 0 {
            return self.high.pop();
        }
        let number = self.low.trailing_zeros() as u16;
        self.low &= self.low - 1;
        Some(number)
    }

    /// (Without memory to note it, a slot is not used again.)
    fn give_back(&mut self, number: u16) {
        if number < 64 {
            self.low |= 1 << number;
        } else if self.high.try_reserve(1).is_ok() {
            self.high.push(number);
        }
    }
}

fn slot(number: u16, pte: Pte) -> UtcbSlot {
    let address = UTCB_BASE + number as u64 * PAGE_SIZE;
    // SAFETY: the direct map has no address 0.
    let kernel = unsafe { NonNull::new_unchecked(pte.frame().pointer().cast::<Utcb>()) };
    UtcbSlot {
        number,
        address,
        kernel,
    }
}
