//! A range of bytes of a file.

/// The last byte that a file can have; a range that reaches it has no end.
pub const LAST: u64 = i64::MAX as u64;

/// Bytes `first` to `last`, both included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u64,
    last: u64,
}

/// Why numbers make no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRange {
    /// It begins before the file (`EINVAL`).
    Negative,
    /// It ends where no file can (`EOVERFLOW`).
    TooFar,
}

impl Range {
    /// Every byte.
    pub const ALL: Range = Range {
        first: 0,
        last: LAST,
    };

    /// What `struct flock` means: `start` counts from `base`; a negative length is what lies before it, and zero is all
    /// from there on (POSIX XSH `fcntl`).
    ///
    /// # Errors
    /// See [`BadRange`].
    pub fn new(base: u64, start: i64, length: i64) -> Result<Range, BadRange> {
        let base = i64::try_from(base).map_err(|_| BadRange::TooFar)?;
        let start = base.checked_add(start).ok_or(BadRange::TooFar)?;
        let position = |value: i64| u64::try_from(value).map_err(|_| BadRange::Negative);
        let first = position(start)?;
        let (first, last) = match length {
            0 => (first, LAST),
            1.. => {
                let last = start.checked_add(length - 1).ok_or(BadRange::TooFar)?;
                (first, position(last)?)
            }
            // Cannot overflow: the one is not negative, the other is.
            _ => (position(start + length)?, position(start - 1)?),
        };
        Ok(Range { first, last })
    }

    /// The bytes from `first` to `last`, if there are any.
    const fn between(first: u64, last: u64) -> Option<Range> {
        if first <= last {
            Some(Range { first, last })
        } else {
            None
        }
    }

    /// Its first byte.
    pub const fn first(self) -> u64 {
        self.first
    }

    /// Its last byte.
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Its length as `struct flock` has it: 0 if it has no end.
    pub const fn length(self) -> u64 {
        if self.last == LAST {
            0
        } else {
            self.last - self.first + 1
        }
    }

    /// Whether a byte is in both.
    pub const fn overlaps(self, other: Range) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether the two together are one range.
    pub const fn joins(self, other: Range) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }

    /// The range of all bytes of two ranges that join.
    pub fn union(self, other: Range) -> Range {
        Range {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    /// What of this lies before `other`, and what behind.
    pub fn without(self, other: Range) -> [Option<Range>; 2] {
        let before = other.first.checked_sub(1).map(|end| end.min(self.last));
        [
            before.and_then(|end| Range::between(self.first, end)),
            Range::between(other.last.saturating_add(1).max(self.first), self.last),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> Range {
        Range { first, last }
    }

    #[test]
    fn lengths_count_forwards_backwards_and_to_the_end() {
        assert_eq!(Range::new(100, -10, 5), Ok(range(90, 94)));
        assert_eq!(Range::new(0, 10, -10), Ok(range(0, 9)));
        assert_eq!(Range::new(7, 0, 0), Ok(range(7, LAST)));
        assert_eq!(Range::new(0, i64::MAX, 1), Ok(range(LAST, LAST)));
    }

    #[test]
    fn ranges_outside_a_file_are_refused() {
        assert_eq!(Range::new(0, -1, 1), Err(BadRange::Negative));
        assert_eq!(Range::new(0, 10, -11), Err(BadRange::Negative));
        assert_eq!(Range::new(0, i64::MIN, i64::MIN), Err(BadRange::Negative));
        assert_eq!(Range::new(1, i64::MAX, 1), Err(BadRange::TooFar));
        assert_eq!(Range::new(0, i64::MAX, 2), Err(BadRange::TooFar));
        assert_eq!(Range::new(u64::MAX, 0, 1), Err(BadRange::TooFar));
    }

    #[test]
    fn a_hole_leaves_both_sides() {
        assert_eq!(
            range(0, 9).without(range(3, 5)),
            [Some(range(0, 2)), Some(range(6, 9))]
        );
        assert_eq!(range(3, 5).without(Range::ALL), [None, None]);
        assert_eq!(range(3, 5).without(range(9, 9)), [Some(range(3, 5)), None]);
    }
}
