//! The floating-point state in a signal frame: what XSAVE writes in its standard form (Intel SDM volume 1, 13.4), with
//! Linux's marks that tell a program how much of it there is (`asm/sigcontext.h`, `struct _fpx_sw_bytes`).

/// Bytes that FXSAVE writes.
pub const LEGACY: usize = 512;
/// Most bytes that there can be, the mark at the end included.
pub const MOST: usize = 2816;
/// x87, SSE, AVX, AVX-512: what the kernel keeps of a thread.
pub const STATES: u64 = 0xe7;
/// x87 and SSE.
const LEGACY_STATES: u64 = 3;

/// Offset of MXCSR.
const MXCSR: usize = 24;
/// Bits of MXCSR that can be set; others make restoring fault.
const MXCSR_MASK: u32 = 0xffbf;
/// Offset of what Linux puts where the processor writes nothing.
const MARKS: usize = 464;
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;
/// Bytes of the mark at the end.
const END: usize = 4;
/// XSAVE's header: which states there are, and how they are laid out.
const HEADER: usize = LEGACY;
const HEADER_END: usize = HEADER + 64;

/// How much state there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Which states; none: FXSAVE is used.
    pub states: u64,
    /// Bytes without the mark at the end.
    pub size: usize,
}

impl Layout {
    /// Where there is no XSAVE.
    pub const FXSAVE: Layout = Layout {
        states: 0,
        size: LEGACY,
    };

    /// The layout for what the kernel enabled; `extent` gives offset and size of a state above SSE.
    pub fn of(enabled: u64, extent: impl Fn(u32) -> (u32, u32)) -> Layout {
        let states = enabled & STATES;
        let above = (2..64).filter(|state| states & 1 << state != 0);
        let ends = above.map(|state| {
            let (offset, size) = extent(state);
            (offset + size) as usize
        });
        let size = ends.max().unwrap_or(HEADER_END).max(HEADER_END);
        match size + END <= MOST {
            true => Layout { states, size },
            false => Layout {
                states: states & LEGACY_STATES,
                size: HEADER_END,
            },
        }
    }

    /// Bytes in a frame.
    pub const fn in_frame(self) -> usize {
        match self.states {
            0 => LEGACY,
            _ => self.size + END,
        }
    }

    /// Marks a saved state as Linux does.
    pub fn mark(self, state: &mut [u8; MOST]) {
        if self.states == 0 {
            return;
        }
        put(state, MARKS, &MAGIC_1.to_le_bytes());
        put(state, MARKS + 4, &(self.in_frame() as u32).to_le_bytes());
        put(state, MARKS + 8, &self.states.to_le_bytes());
        put(state, MARKS + 16, &(self.size as u32).to_le_bytes());
        put(state, self.size, &MAGIC_2.to_le_bytes());
    }

    /// Makes a state that a program may have changed one that can be restored; `read` is how many of its bytes
    /// could be read.
    pub fn repair(self, state: &mut [u8; MOST], read: usize) {
        let control = u32::from_le_bytes(get(state, MXCSR)) & MXCSR_MASK;
        put(state, MXCSR, &control.to_le_bytes());
        if self.states == 0 {
            return;
        }
        let there = match read >= self.in_frame() && self.is_marked(state) {
            true => u64::from_le_bytes(get(state, HEADER)) & self.states,
            // As FXSAVE left it: all else begins anew.
            false => LEGACY_STATES,
        };
        state[HEADER..HEADER_END].fill(0);
        put(state, HEADER, &there.to_le_bytes());
    }

    fn is_marked(self, state: &[u8; MOST]) -> bool {
        let word = |at| u32::from_le_bytes(get(state, at));
        word(MARKS) == MAGIC_1 && word(MARKS + 16) == self.size as u32 && word(self.size) == MAGIC_2
    }
}

fn put(state: &mut [u8; MOST], at: usize, bytes: &[u8]) {
    state[at..at + bytes.len()].copy_from_slice(bytes);
}

fn get<const N: usize>(state: &[u8; MOST], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&state[at..at + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intel(state: u32) -> (u32, u32) {
        match state {
            2 => (576, 256),
            5 => (1088, 64),
            6 => (1152, 512),
            7 => (1664, 1024),
            _ => panic!("state {state} is not saved"),
        }
    }

    #[test]
    fn the_last_state_gives_the_size() {
        assert_eq!(Layout::of(0x3, intel).size, 576);
        assert_eq!(
            Layout::of(0x207, intel),
            Layout {
                states: 7,
                size: 832
            }
        );
        assert_eq!(Layout::of(0x2e7, intel).in_frame(), 2692);
    }

    #[test]
    fn a_marked_state_is_kept() {
        let layout = Layout::of(7, intel);
        let mut state = [0; MOST];
        state[HEADER] = 7;
        layout.mark(&mut state);
        layout.repair(&mut state, layout.in_frame());
        assert_eq!(state[HEADER], 7);
    }

    #[test]
    fn what_would_fault_is_taken_away() {
        let layout = Layout::of(7, intel);
        let mut state = [0xff; MOST];
        layout.mark(&mut state);
        layout.repair(&mut state, layout.in_frame());
        assert_eq!(state[HEADER..HEADER_END], {
            let mut header = [0; 64];
            header[0] = 7;
            header
        });
        assert_eq!(get(&state, MXCSR), MXCSR_MASK.to_le_bytes());
    }

    #[test]
    fn without_marks_only_the_legacy_part_counts() {
        let layout = Layout::of(7, intel);
        for read in [LEGACY, MOST] {
            let mut state = [0; MOST];
            state[HEADER] = 7;
            layout.repair(&mut state, read);
            assert_eq!(state[HEADER], 3);
        }
    }
}
