//! The floating-point registers. The personality is compiled without them, so they are the program's all the time.

use core::arch::x86_64::{_fxrstor64, _fxsave64};
use ferrix_posix::signal_frame::{FP_SIZE, MXCSR_MASK, MXCSR_OFFSET};

/// What FXSAVE writes.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct State(pub [u8; FP_SIZE]);

/// The registers as they are.
pub fn save() -> State {
    let mut state = State([0; FP_SIZE]);
    // SAFETY: the area has 512 bytes and is aligned to 16.
    unsafe { _fxsave64(state.0.as_mut_ptr()) };
    state
}

/// Loads registers, which may come from the program.
pub fn load(mut state: State) {
    let place = &mut state.0[MXCSR_OFFSET..MXCSR_OFFSET + 4];
    let mut word = [0; 4];
    word.copy_from_slice(place);
    place.copy_from_slice(&(u32::from_le_bytes(word) & MXCSR_MASK).to_le_bytes());
    // SAFETY: as in `save`; reserved bits of MXCSR, the only contents that fault, are clear.
    unsafe { _fxrstor64(state.0.as_ptr()) };
}
