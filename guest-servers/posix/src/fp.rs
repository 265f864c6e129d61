//! The floating-point registers. The personality is compiled without them, so they are the program's all the time.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, _fxrstor64, _fxsave64};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use ferrix_posix::fp_state::{Layout, MOST};

/// A state in memory.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct State(pub [u8; MOST]);

impl State {
    /// Nothing yet.
    pub const fn empty() -> State {
        State([0; MOST])
    }
}

/// States and size, packed; 0: not asked yet.
static LAYOUT: AtomicU64 = AtomicU64::new(0);

/// How much state a thread has. The processor is asked once: under a hypervisor that is slow.
pub fn layout() -> Layout {
    let known = LAYOUT.load(Relaxed);
    if known != 0 {
        return Layout {
            states: known >> 32,
            size: known as u32 as usize,
        };
    }
    let found = ask();
    LAYOUT.store(found.states << 32 | found.size as u64, Relaxed);
    found
}

fn ask() -> Layout {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return Layout::FXSAVE;
    }
    let (low, high): (u32, u32);
    // SAFETY: the kernel enabled XSAVE.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack))
    };
    let enabled = u64::from(low) | u64::from(high) << 32;
    Layout::of(enabled, |state| {
        let extent = __cpuid_count(0xd, state);
        (extent.ebx, extent.eax)
    })
}

/// The registers as they are, as they lie in a frame.
pub fn save() -> State {
    let layout = layout();
    let mut state = State::empty();
    let area = state.0.as_mut_ptr();
    // SAFETY: the area is aligned to 64, zeroed, and holds what the layout says.
    unsafe {
        match layout.states {
            0 => _fxsave64(area),
            states => asm!("xsave64 [{}]", in(reg) area, in("eax") states as u32, in("edx") 0),
        }
    }
    layout.mark(&mut state.0);
    state
}

/// Loads registers, of which the program gave the first `read` bytes.
pub fn load(mut state: State, read: usize) {
    let layout = layout();
    layout.repair(&mut state.0, read);
    let area = state.0.as_ptr();
    // SAFETY: as in `save`; what would fault was taken away.
    unsafe {
        match layout.states {
            0 => _fxrstor64(area),
            states => asm!("xrstor64 [{}]", in(reg) area, in("eax") states as u32, in("edx") 0),
        }
    }
}
