//! Which class of locks was taken while which was held.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use arrayvec::ArrayVec;

/// Most classes.
pub const CLASSES: usize = 64;

/// Classes, each taken while the one before was held.
pub type Path = ArrayVec<u8, { CLASSES + 1 }>;

/// The graph: a bit for each pair.
#[derive(Debug)]
pub struct Graph {
    after: [AtomicU64; CLASSES],
}

impl Graph {
    /// No lock was taken while another was held.
    pub const fn new() -> Graph {
        Graph {
            after: [const { AtomicU64::new(0) }; CLASSES],
        }
    }

    /// Whether `second` is known to be taken while `first` is held.
    #[inline]
    pub fn knows(&self, first: usize, second: usize) -> bool {
        self.after[first].load(SeqCst) & 1 << second != 0
    }

    /// Notes that `second` is taken while `first` is held. If that closes a cycle: the way by which `first` was taken
    /// while `second` was held, both included. Of two CPUs that close one together, at least one is told.
    pub fn add(&self, first: usize, second: usize) -> Result<(), Path> {
        self.after[first].fetch_or(1 << second, SeqCst);
        match self.path(second, first) {
            Some(path) => Err(path),
            None => Ok(()),
        }
    }

    /// How many pairs are known.
    pub fn pairs(&self) -> u32 {
        let rows = self.after.iter().map(|row| row.load(SeqCst).count_ones());
        rows.sum()
    }

    /// The shortest way from one class to another.
    fn path(&self, from: usize, to: usize) -> Option<Path> {
        let mut came_from = [CLASSES; CLASSES];
        let (mut seen, mut frontier) = (1u64 << from, 1u64 << from);
        while frontier != 0 && seen & 1 << to == 0 {
            let mut reached = 0;
            for class in bits(frontier) {
                let new = self.after[class].load(SeqCst) & !seen & !reached;
                bits(new).for_each(|next| came_from[next] = class);
                reached |= new;
            }
            seen |= reached;
            frontier = reached;
        }
        if seen & 1 << to == 0 {
            return None;
        }
        let mut path = Path::new();
        let mut class = to;
        path.push(class as u8);
        while class != from {
            class = came_from[class];
            path.push(class as u8);
        }
        path.reverse();
        Some(path)
    }
}

/// The numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (bit < CLASSES).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cycle_is_told_with_the_way_back() {
        let graph = Graph::new();
        assert_eq!(graph.add(1, 2), Ok(()));
        assert_eq!(graph.add(2, 5), Ok(()));
        assert_eq!(graph.add(1, 5), Ok(()));
        assert_eq!(graph.add(5, 9), Ok(()));
        let way = graph.add(9, 1).unwrap_err();
        assert_eq!(way.as_slice(), [1, 5, 9]);
        assert_eq!(graph.add(7, 7).unwrap_err().as_slice(), [7]);
        assert!(graph.knows(2, 5) && !graph.knows(5, 2));
        assert_eq!(graph.pairs(), 6);
    }

    proptest! {
        #[test]
        fn what_follows_an_order_is_never_told(pairs in prop::collection::vec((0..64usize, 0..64usize), 0..300)) {
            let graph = Graph::new();
            for (a, b) in pairs {
                if a != b {
                    prop_assert_eq!(graph.add(a.min(b), a.max(b)), Ok(()));
                }
            }
        }

        #[test]
        fn a_way_consists_of_known_pairs(pairs in prop::collection::vec((0..12usize, 0..12usize), 1..60)) {
            let graph = Graph::new();
            for (a, b) in pairs {
                if let Err(way) = graph.add(a, b) {
                    prop_assert_eq!((way[0], way[way.len() - 1]), (b as u8, a as u8));
                    prop_assert!(way.windows(2).all(|pair| graph.knows(pair[0].into(), pair[1].into())));
                    return Ok(());
                }
            }
        }
    }
}
