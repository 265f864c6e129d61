use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::mm::host::{self, KERNEL_PAGES, PAGES};

const FIRST: u32 = KERNEL_PAGES + 37;
const LAST: u32 = PAGES - 13;

fn buddy() -> Buddy {
    for frame in KERNEL_PAGES..PAGES {
        page(Frame(frame)).set_state(0);
    }
    let mut buddy = Buddy::new();
    buddy.add_region(Frame(FIRST), Frame(FIRST + 900), Content::Zero);
    buddy.add_region(Frame(FIRST + 950), Frame(LAST), Content::Zero);
    buddy
}

/// Miri takes too long for the largest.
const LARGE: usize = if cfg!(miri) { 6 } else { ORDERS };

#[derive(Clone, Debug)]
enum Step {
    Alloc(usize),
    Free(usize, Content),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let alloc = prop_oneof![3 => Just(0usize), 2 => 0..4usize, 1 => 4..LARGE].prop_map(Step::Alloc);
    let content = prop_oneof![Just(Content::Zero), Just(Content::Dirty)];
    let free = (any::<usize>(), content).prop_map(|(which, content)| Step::Free(which, content));
    proptest::collection::vec(prop_oneof![3 => alloc, 2 => free], 1..host::most(200))
}

proptest! {
    /// Against a plain set of the frames in use and of those that may be dirty.
    #[test]
    fn blocks_are_aligned_and_exclusive(steps in steps()) {
        let _memory = host::memory();
        let mut buddy = buddy();
        let total = buddy.free_frames();
        let (mut used, mut dirty) = (BTreeSet::new(), BTreeSet::new());
        let mut blocks = Vec::new();
        for step in steps {
            match step {
                Step::Alloc(order) => {
                    let Some((frame, content)) = buddy.alloc(order) else { continue };
                    prop_assert_eq!(frame.0 % (1 << order), 0);
                    for number in frame.0..frame.0 + (1 << order) {
                        prop_assert!((FIRST..LAST).contains(&number));
                        prop_assert!(used.insert(number));
                        prop_assert!(content == Content::Dirty || !dirty.contains(&number));
                    }
                    blocks.push((frame, order));
                }
                Step::Free(which, content) if !blocks.is_empty() => {
                    let (frame, order) = blocks.swap_remove(which % blocks.len());
                    for number in frame.0..frame.0 + (1 << order) {
                        used.remove(&number);
                        match content {
                            Content::Zero => dirty.remove(&number),
                            Content::Dirty => dirty.insert(number),
                        };
                    }
                    buddy.free(frame, order, content);
                }
                Step::Free(..) => {}
            }
            prop_assert_eq!(buddy.free_frames(), total - used.len() as u64);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes every frame")]
fn freed_pieces_merge_into_the_largest_blocks() {
    let _memory = host::memory();
    let mut buddy = buddy();
    let mut singles = Vec::new();
    while let Some((frame, content)) = buddy.alloc(0) {
        assert_eq!(content, Content::Zero);
        singles.push(frame);
    }
    assert_eq!(buddy.free_frames(), 0);
    assert!(buddy.alloc(1).is_none());
    singles
        .into_iter()
        .rev()
        .for_each(|frame| buddy.free(frame, 0, Content::Dirty));
    let largest = (FIRST..LAST - 1024).filter(|frame| frame % 1024 == 0 && *frame > FIRST + 950);
    for _ in largest {
        assert!(buddy.alloc_listed(ORDERS - 1).is_some());
    }
    assert!(buddy.alloc_listed(ORDERS - 1).is_none());
}

#[test]
fn a_range_of_any_size_can_be_given_back() {
    let _memory = host::memory();
    let mut buddy = buddy();
    let (first, _) = buddy.alloc(6).unwrap();
    let free = buddy.free_frames();
    buddy.free_range(first.0 + 3, first.0 + 61, Content::Dirty);
    assert_eq!(buddy.free_frames(), free + 58);
}
