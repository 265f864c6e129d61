//! Which pages of a file hold something, sparsely.

use alloc::collections::BTreeMap;
use core::ops::Range;

const BITS: u64 = u64::BITS as u64;

/// A set of page numbers: words of 64 bits by their index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    words: BTreeMap<u64, u64>,
    count: u64,
}

/// The bits of word `index` that lie in the range.
fn mask(index: u64, range: &Range<u64>) -> u64 {
    let start = range.start.saturating_sub(index * BITS).min(BITS);
    let end = range.end.saturating_sub(index * BITS).min(BITS);
    let below = |bits: u64| {
        1u64.checked_shl(bits as u32)
            .map_or(u64::MAX, |bit| bit - 1)
    };
    below(end) & !below(start)
}

/// The words that a range touches.
fn words_of(range: &Range<u64>) -> Range<u64> {
    range.start / BITS..range.end.div_ceil(BITS)
}

impl Pages {
    /// How many.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether a page is in the set.
    pub fn contains(&self, page: u64) -> bool {
        let word = self.words.get(&(page / BITS)).copied().unwrap_or(0);
        word >> (page % BITS) & 1 != 0
    }

    /// How many of the range are in the set.
    pub fn count_in(&self, range: Range<u64>) -> u64 {
        self.words
            .range(words_of(&range))
            .map(|(&index, word)| u64::from((word & mask(index, &range)).count_ones()))
            .sum()
    }

    /// Adds a range; how many are new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        let mut new = 0;
        for index in words_of(&range) {
            let bits = mask(index, &range);
            if bits != 0 {
                let word = self.words.entry(index).or_default();
                new += u64::from((bits & !*word).count_ones());
                *word |= bits;
            }
        }
        self.count += new;
        new
    }

    /// Removes a range; how many there were.
    pub fn remove(&mut self, range: Range<u64>) -> u64 {
        let mut gone = 0;
        for (&index, word) in self.words.range_mut(words_of(&range)) {
            let cut = *word & mask(index, &range);
            *word &= !cut;
            gone += u64::from(cut.count_ones());
        }
        self.count -= gone;
        gone
    }

    /// Removes all from `first` on; how many there were.
    pub fn truncate(&mut self, first: u64) -> u64 {
        let before = self.count;
        let beyond = self.words.split_off(&first.div_ceil(BITS));
        let gone: u32 = beyond.values().map(|word| word.count_ones()).sum();
        self.count -= u64::from(gone);
        if let Some(word) = self.words.get_mut(&(first / BITS)) {
            let cut = *word & mask(first / BITS, &(first..u64::MAX));
            *word &= !cut;
            self.count -= u64::from(cut.count_ones());
        }
        before - self.count
    }

    /// The first page of the set from `from` on.
    pub fn next(&self, from: u64) -> Option<u64> {
        self.words.range(from / BITS..).find_map(|(&index, word)| {
            let rest = word & mask(index, &(from..u64::MAX));
            (rest != 0).then(|| index * BITS + u64::from(rest.trailing_zeros()))
        })
    }

    /// The first page from `from` on that is not in the set.
    pub fn next_absent(&self, from: u64) -> u64 {
        let mut index = from / BITS;
        loop {
            let word = self.words.get(&index).copied().unwrap_or(0);
            let holes = !word & mask(index, &(from..u64::MAX));
            if holes != 0 {
                return index * BITS + u64::from(holes.trailing_zeros());
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u64),
        Remove(u64, u64),
        Truncate(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u64..400, 0u64..150).prop_map(|(start, length)| Step::Insert(start, start + length)),
            1 => (0u64..400, 0u64..150).prop_map(|(start, length)| Step::Remove(start, start + length)),
            1 => (0u64..500).prop_map(Step::Truncate),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(steps in proptest::collection::vec(step(), 1..30)) {
            let (mut pages, mut model) = (Pages::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Insert(start, end) => {
                        let new = (start..end).filter(|page| model.insert(*page)).count();
                        prop_assert_eq!(pages.insert(start..end), new as u64);
                    }
                    Step::Remove(start, end) => {
                        let gone = (start..end).filter(|page| model.remove(page)).count();
                        prop_assert_eq!(pages.remove(start..end), gone as u64);
                    }
                    Step::Truncate(first) => {
                        let gone = model.split_off(&first).len();
                        prop_assert_eq!(pages.truncate(first), gone as u64);
                    }
                }
                prop_assert_eq!(pages.count(), model.len() as u64);
                for from in [0, 1, 63, 64, 65, 127, 200, 399, 600] {
                    prop_assert_eq!(pages.contains(from), model.contains(&from));
                    prop_assert_eq!(pages.next(from), model.range(from..).next().copied());
                    let absent = (from..).find(|page| !model.contains(page));
                    prop_assert_eq!(Some(pages.next_absent(from)), absent);
                    let counted = model.range(from..from + 70).count() as u64;
                    prop_assert_eq!(pages.count_in(from..from + 70), counted);
                }
            }
        }
    }
}
