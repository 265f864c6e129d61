//! `brk`: where the program's data segment ends, and how much is mapped for it.

use ferrix_abi::layout::PAGE_SIZE;

/// Memory is mapped in steps of this many bytes, so that most calls need no system call.
const STEP: u64 = 128 * 1024;

/// The break; all zero before the first program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Break {
    start: u64,
    end: u64,
    mapped: u64,
}

/// What has to be done before the break can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// Map `length` bytes at `address`.
    Map {
        /// First address.
        address: u64,
        /// Bytes.
        length: u64,
    },
    /// Unmap `length` bytes from `address`.
    Unmap {
        /// First address.
        address: u64,
        /// Bytes.
        length: u64,
    },
    /// The break stays: the address is below the start, or too far above.
    Refuse,
}

impl Break {
    /// Nowhere; all bytes are zero.
    pub const fn new() -> Break {
        Break {
            start: 0,
            end: 0,
            mapped: 0,
        }
    }

    /// At the end of a new program's image.
    pub const fn at(image_end: u64) -> Break {
        let start = image_end.next_multiple_of(PAGE_SIZE);
        Break {
            start,
            end: start,
            mapped: start,
        }
    }

    /// The break.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// What moving the break to `end` needs, with at most `limit` bytes (`RLIMIT_DATA`).
    pub fn plan(&self, end: u64, limit: u64) -> Step {
        let grows = end > self.end;
        if end < self.start || end > u64::MAX - STEP || grows && end - self.start > limit {
            return Step::Refuse;
        }
        let address = self.mapped;
        if end > self.mapped {
            let length = (end - self.start).next_multiple_of(STEP) - (self.mapped - self.start);
            return Step::Map { address, length };
        }
        let keep = self.start + (end - self.start).next_multiple_of(STEP);
        if end < self.end && keep < self.mapped {
            return Step::Unmap {
                address: keep,
                length: self.mapped - keep,
            };
        }
        Step::None
    }

    /// Moves the break, `step` being done.
    pub fn commit(&mut self, end: u64, step: Step) {
        match step {
            Step::Map { address, length } => self.mapped = address + length,
            Step::Unmap { address, .. } => self.mapped = address,
            Step::None => {}
            Step::Refuse => return,
        }
        self.end = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_growth_needs_one_mapping() {
        let mut heap = Break::at(0x40_1234);
        assert_eq!(heap.end(), 0x40_2000);
        let step = heap.plan(0x40_2000 + 10, u64::MAX);
        assert_eq!(
            step,
            Step::Map {
                address: 0x40_2000,
                length: STEP
            }
        );
        heap.commit(0x40_2000 + 10, step);
        assert_eq!(heap.plan(0x40_2000 + STEP, u64::MAX), Step::None);
        assert_eq!(heap.plan(0x40_2000 + STEP, STEP), Step::None);
        assert_eq!(heap.plan(0x40_2000 + STEP, STEP - 1), Step::Refuse);
        assert_eq!(
            heap.plan(0x40_2000 + 5, 0),
            Step::None,
            "shrinking is always allowed"
        );
        assert_eq!(heap.plan(0x1000, u64::MAX), Step::Refuse);
        assert_eq!(heap.plan(u64::MAX, u64::MAX), Step::Refuse);
    }

    proptest::proptest! {
        #[test]
        fn what_is_mapped_covers_the_break(ends in proptest::collection::vec(0u64..4_000_000, 1..50)) {
            let mut heap = Break::at(0x40_0000);
            for end in ends {
                let end = 0x40_0000 + end;
                let step = heap.plan(end, u64::MAX);
                heap.commit(end, step);
                proptest::prop_assert_eq!(heap.end(), end);
                proptest::prop_assert!(heap.mapped >= end && heap.mapped.is_multiple_of(PAGE_SIZE));
                proptest::prop_assert!(heap.mapped < 0x40_0000 + 4_000_000 + 2 * STEP);
            }
        }
    }
}
