use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::mm::host;

proptest! {
    #[test]
    fn behaves_like_a_map(
        inserts in proptest::collection::vec((0u64..1 << 34, 0u32..40, 1u32..1000), 1..host::most(60)),
    ) {
        let _memory = host::memory();
        let mut tree = PageTree::new();
        let mut model = BTreeMap::new();
        for (index, shift, frame) in inserts {
            let index = index >> shift;
            let old = tree.insert(index, Frame(frame)).unwrap();
            prop_assert_eq!(old, model.insert(index, Frame(frame)));
            prop_assert_eq!(tree.get(index + 1), model.get(&(index + 1)).copied());
        }
        let mut seen = Vec::new();
        tree.for_each(|index, frame| seen.push((index, frame)));
        prop_assert_eq!(tree.pages(), model.len() as u64);
        prop_assert_eq!(seen, model.into_iter().collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn removes_and_tells_what_is_dirty(
        inserts in proptest::collection::vec((0u64..3000, any::<bool>()), 1..host::most(60)),
        ranges in proptest::collection::vec((0u64..3000, 0u64..900, any::<bool>()), 1..6),
        cleaned in (0u64..3000, 0u64..900),
    ) {
        let _memory = host::memory();
        let mut tree = PageTree::new();
        let mut model = BTreeMap::new();
        for (index, dirty) in inserts {
            let frame = Frame(index as u32 + 1);
            tree.insert(index, frame).unwrap();
            prop_assert!(!tree.mark_dirty(index, Frame(index as u32 + 2)));
            prop_assert!(!dirty || tree.mark_dirty(index, frame));
            model.insert(index, dirty);
        }
        let cleaned = cleaned.0..cleaned.0 + cleaned.1;
        tree.take_dirty(cleaned.clone(), |index| {
            assert_eq!(model.insert(index, false), Some(true));
            assert!(cleaned.contains(&index));
        });
        prop_assert!(model.range(cleaned).all(|(_, dirty)| !dirty));
        for (first, count, only_clean) in ranges {
            let range = first..first + count;
            let mut taken = Vec::new();
            let choose = |_, dirty: bool| !(dirty && only_clean);
            tree.remove(range.clone(), choose, |frame| taken.push(u64::from(frame.0) - 1));
            let chosen = |(index, dirty): (&u64, &bool)| {
                (range.contains(index) && choose(*index, *dirty)).then_some(*index)
            };
            let expected: Vec<u64> = model.iter().filter_map(chosen).collect();
            model.retain(|index, _| !expected.contains(index));
            prop_assert_eq!(taken, expected);
        }
        let mut dirty = Vec::new();
        tree.take_dirty(0..3000, |index| dirty.push(index));
        tree.take_dirty(0..3000, |_| panic!("clean already"));
        let expected = model.iter().filter_map(|(index, dirty)| dirty.then_some(*index));
        prop_assert_eq!(dirty, expected.collect::<Vec<_>>());
        (0..3000).step_by(if cfg!(miri) { 7 } else { 1 }).for_each(|index| {
            assert_eq!(tree.get(index).is_some(), model.contains_key(&index));
        });
        prop_assert_eq!(tree.pages(), model.len() as u64);
        let last = 0..u64::MAX;
        tree.remove(last, |_, _| true, |_| {});
        prop_assert!(tree.root.is_none() && tree.pages() == 0);
    }
}

#[test]
fn an_index_beyond_the_tree_has_no_page() {
    let _memory = host::memory();
    let mut tree = PageTree::new();
    assert_eq!(tree.get(0), None);
    tree.insert(3, Frame(9)).unwrap();
    assert_eq!(tree.get(3 + 32), None);
    assert_eq!(tree.get(3 + (1 << 40)), None);
}

#[test]
fn runs_fill_what_is_empty_in_one_leaf() {
    let _memory = host::memory();
    let mut tree = PageTree::new();
    assert_eq!(tree.room_behind(5, 8), 0, "no leaf yet");
    tree.insert(5, Frame(50)).unwrap();
    tree.insert(12, Frame(51)).unwrap();
    tree.insert(30, Frame(52)).unwrap();
    assert_eq!(tree.room_behind(5, 8), 6);
    assert_eq!(tree.room_behind(5, 4), 4);
    assert_eq!(tree.room_behind(30, 8), 1, "the leaf ends");
    assert_eq!(tree.room_behind(11, 8), 0);
    tree.fill_behind(5, Frame(100), 6);
    let found: Vec<_> = (5..14)
        .map(|index| tree.get(index).map(|frame| frame.0))
        .collect();
    let expected = [50, 100, 101, 102, 103, 104, 105, 51].map(Some);
    assert_eq!(found[..8], expected);
    assert_eq!((found[8], tree.pages()), (None, 9));
}
