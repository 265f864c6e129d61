//! The heap of a server: talc over memory that the kernel maps when more is needed.

use crate::mutex::RawMutex;
use crate::sys::memory::{Mapping, map_anywhere};
use core::alloc::Layout;
use ferrix_abi::vm::Prot;
use talc::DefaultBinning;
use talc::base::{Talc, binning::Binning};
use talc::source::Source;
use talc::sync::TalcLock;

#[global_allocator]
static HEAP: TalcLock<RawMutex, Kernel, DefaultBinning> = TalcLock::new(Kernel);

/// Least that is asked of the kernel at once: address space only, pages appear when touched.
const STEP: usize = 1 << 20;

/// Memory from the kernel, by anonymous mappings.
#[derive(Debug)]
struct Kernel;

// SAFETY: `acquire` talks to the allocator only through the reference it is given, allocates nothing
// from it, and returns `Ok` only after claiming new memory that is larger than the request.
unsafe impl Source for Kernel {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let wanted = layout.size().checked_add(layout.align()).ok_or(())?;
        let size = wanted.checked_add(STEP).ok_or(())? & !(STEP - 1);
        let mapping = Mapping::anonymous(size as u64, Prot::READ | Prot::WRITE);
        let address = map_anywhere(&mapping).map_err(drop)?;
        // SAFETY: fresh memory of that size, used by nobody else, mapped until the process ends.
        unsafe { talc.claim(address as *mut u8, size) }
            .map(drop)
            .ok_or(())
    }
}
